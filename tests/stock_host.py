"""What does the same call cost on a host that has never heard of us?"""

from collections.abc import Callable, Sequence
from typing import Any

from bargein.testing.tones import metronome
from either_host import SAYS, EitherHost, OnLiveKit, OnPipecat


class Nobody:
    """Stands where our manners would, and has none."""

    busy = False

    def add_event_handler(self, _name: str, _handler: Callable[..., Any]) -> None:
        """Nothing will happen."""

    def session(self, **made: Any) -> Any:
        from livekit.agents import AgentSession

        return AgentSession(**made)

    async def aclose(self) -> None:
        """Nothing to close."""


class StockPipecat(OnPipecat):
    """A pipeline without us."""

    def __init__(self, *, replies: Sequence[str] = (), **_ours: Any) -> None:
        EitherHost.__init__(self)
        from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
        from pipecat.turns.user_turn_strategies import UserTurnStrategies

        from bargein.testing.pipecat_parts import ScriptedTTS
        from rig import Rig

        self.manners: Any = Nobody()
        self.rig = Rig(
            self.manners,
            strategies=UserTurnStrategies(
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.2)]
            ),
            wrap=lambda _, parts: parts,
            tts=ScriptedTTS(metronome),
            replies=replies,
        )
        self.decided = []

    async def says(self, text: str = SAYS, *, must_hear: bool = False) -> None:  # noqa: ARG002
        from pipecat.frames.frames import TTSSpeakFrame

        await self.rig.worker.queue_frame(TTSSpeakFrame(text))


class StockLiveKit(OnLiveKit):
    """A session without us."""

    def __init__(self, *, replies: Sequence[str] = (), **_ours: Any) -> None:
        EitherHost.__init__(self)
        from bargein.testing.livekit_parts import ScriptedTTS
        from livekit_rig import LiveKitRig

        self.manners: Any = Nobody()
        self.rig = LiveKitRig(self.manners, tts=ScriptedTTS(metronome), replies=replies)
        self.decided = []

    async def says(self, text: str = SAYS, *, must_hear: bool = False) -> None:  # noqa: ARG002
        self.rig.session.say(text)


STOCK: dict[str, Callable[..., EitherHost]] = {"pipecat": StockPipecat, "livekit": StockLiveKit}
