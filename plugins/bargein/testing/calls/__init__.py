"""How does an agent behave when somebody talks over it? Scripted calls to any agent.

``PipecatAgent`` is in `bargein.testing.calls.pipecat`, ``LiveKitAgent`` in ``livekit``,
``PhoneAgent`` in ``phone`` and ``RealtimeAgent`` in ``realtime``.
"""

try:
    import numpy  # noqa: F401
except ImportError as error:
    raise ImportError('scripted calls need: pip install "bargein[demo,testing]"') from error

from .call import Call, CallFailed, Stalled
from .subject import Capabilities, Unsupported, VoiceLog
from .talk import Talk, talk

__all__ = [
    "Call",
    "CallFailed",
    "Capabilities",
    "Stalled",
    "Talk",
    "Unsupported",
    "VoiceLog",
    "talk",
]
