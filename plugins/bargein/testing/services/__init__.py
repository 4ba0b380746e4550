"""Which services run on this machine, for the real clients to talk to? Loopback servers, no keys.

async with Deepgram([Said("wait, I meant Thursday", at_ms=1200)]) as deepgram:
    stt = DeepgramSTTService(api_key="any", base_url=deepgram.ws_url)
"""

try:
    import aiohttp  # noqa: F401
    import numpy  # noqa: F401
except ImportError as error:
    raise ImportError('the loopback services need: pip install "bargein[testing]"') from error

from .deepgram import Deepgram
from .elevenlabs import ElevenLabs
from .faults import Delay, Drop, Fault, Half, Malformed, Refuse, Silence, Status
from .openai_chat import Answer, Call, OpenAIChat
from .openai_realtime import OpenAIRealtime
from .prompted import PromptedRealtime
from .said import Failed, Said
from .server import Server
from .voice import Voice, tones

__all__ = [
    "Answer", "Call", "Deepgram", "Delay", "Drop", "ElevenLabs", "Failed", "Fault", "Half",
    "Malformed", "OpenAIChat", "OpenAIRealtime", "PromptedRealtime", "Refuse", "Said", "Server",
    "Silence", "Status", "Voice", "tones",
]  # fmt: skip
