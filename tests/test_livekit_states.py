"""Whether the user is away, and what the agent does: LiveKit says so with us as without us."""

import asyncio
from typing import Any

from livekit.agents.stt import SpeechEventType

from livekit_rig import SAYS, LiveKitRig

AWAY_S = 1.5


class Watched(LiveKitRig):
    """A call whose changes of state are kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(user_away_timeout=AWAY_S, **options)
        self.states: list[str] = []

    def watch(self) -> None:
        self.session.on("user_state_changed", lambda e: self.states.append(f"user {e.new_state}"))
        self.session.on("agent_state_changed", lambda e: self.states.append(f"agent {e.new_state}"))


async def test_a_held_agent_speaks_all_the_time_and_nobody_is_away() -> None:
    """The hold lasts longer than it takes to be away."""

    async def script(rig: LiveKitRig) -> None:
        assert isinstance(rig, Watched)
        rig.watch()
        await rig.agent_says()
        await asyncio.sleep(0.9)
        rig.voice(True)
        await rig.until(lambda: any("PausePlayout" in one for one in rig.decided))
        await asyncio.sleep(AWAY_S)
        rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "open")
        await rig.until(lambda: rig.states[-1] == "user away")

    rig = Watched()
    await rig.run(script)
    assert rig.states == [
        "agent speaking",
        "user speaking",
        "user listening",
        "agent listening",
        "user away",
    ]
    assert rig.said("assistant") == [SAYS]


async def test_an_acknowledgement_brings_the_user_back_for_no_longer_than_it_lasts() -> None:
    async def script(rig: LiveKitRig) -> None:
        assert isinstance(rig, Watched)
        rig.watch()
        await rig.agent_says()
        await asyncio.sleep(0.9)
        rig.voice(True)
        rig.hears("uh-huh")
        await asyncio.sleep(0.3)
        rig.voice(False)
        await rig.until(lambda: rig.states[-1] == "user away")

    rig = Watched()
    await rig.run(script)
    assert [one for one in rig.states if one.startswith("agent")] == [
        "agent speaking",
        "agent listening",
    ]
    assert [one for one in rig.states if one.startswith("user")] == [
        "user speaking",
        "user listening",
        "user away",
    ]
    assert rig.said("assistant") == [SAYS]


async def test_a_caller_who_speaks_after_hang_on_is_not_away() -> None:
    """Without a VAD only the recogniser knows, and what it hears waits."""

    async def script(rig: LiveKitRig) -> None:
        assert isinstance(rig, Watched)
        stt = rig.studio.stt
        await rig.agent_says()
        await asyncio.sleep(0.9)
        stt.tells(SpeechEventType.START_OF_SPEECH)
        rig.hears("hang on a second")
        stt.tells(SpeechEventType.END_OF_SPEECH)
        await rig.until(lambda: any("hold" in one for one in rig.decided))
        await rig.until(lambda: rig.manners.floor != "agent")
        rig.watch()
        await asyncio.sleep(0.3)
        stt.tells(SpeechEventType.START_OF_SPEECH)
        await asyncio.sleep(AWAY_S + 0.5)
        rig.hears("what about Thursday")
        stt.tells(SpeechEventType.END_OF_SPEECH)
        await rig.until(lambda: len(rig.runs) == 1)

    rig = Watched(vad=None, turn_handling={"turn_detection": "stt"})
    await rig.run(script)
    assert "user away" not in rig.states
