"""bargein for LiveKit: adapters around the parts of an `AgentSession`, and what makes them."""

try:
    import livekit.agents as _agents  # noqa: F401
except ImportError as error:
    raise ImportError('bargein.livekit needs LiveKit: pip install "bargein[livekit]"') from error

from bargein.core.locks import LockError
from bargein.functions import ToolError
from bargein.manners import BargeinError

from .manners import Bargein

__all__ = ["Bargein", "BargeinError", "LockError", "ToolError"]
