"""bargein for OpenAI Realtime, for those who hold the socket themselves: `Realtime`, one a call."""

try:
    import numpy  # noqa: F401
except ImportError as error:
    raise ImportError('bargein.realtime needs: pip install "bargein[realtime]"') from error

from bargein.manners import BargeinError

from .call import Out, Play, Send
from .manners import Realtime

__all__ = ["BargeinError", "Out", "Play", "Realtime", "Send"]
