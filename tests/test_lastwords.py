"""What the caller said is answered, though the recogniser never made it final; and only once."""

import asyncio
from typing import Any

import pytest

SAYS = ["is there", "is there a lift"]
LATE = [
    ([], "is there a lift"),
    (["Is there a lift?"], "is there a lift"),
    (["Is their a lift?"], "is there a lift"),
    (["Is there a lift to the third floor?"], "is there a lift to the third floor?"),
    (["And stairs?"], "is there a lift And stairs?"),
]
"""What comes as final when nobody waits for it any more, and what the caller has said by that."""


def call(host: str) -> Any:
    rig = pytest.importorskip({"pipecat": "rig", "livekit": "livekit_rig"}[host])
    return rig.Rig() if host == "pipecat" else rig.LiveKitRig()


async def done(act: Any) -> None:
    """The one rig has to be waited for."""
    if act is not None:
        await act


both = pytest.mark.parametrize("host", ["pipecat", "livekit"])


@both
@pytest.mark.parametrize("talked_over", [False, True])
async def test_words_without_a_final_are_the_callers_turn(host: str, talked_over: bool) -> None:
    async def script(rig: Any) -> None:
        if talked_over:
            await (rig.agent() if host == "pipecat" else rig.agent_says())
        await done(rig.voice(True))
        for text in SAYS:
            await done(rig.hears(text, final=False))
            await asyncio.sleep(0.3)
        await done(rig.voice(False))
        await asyncio.sleep(1)
        assert rig.manners.busy
        await rig.until(lambda: not rig.manners.busy)
        await asyncio.sleep(1)

    rig = await call(host).run(script)
    assert rig.said("user") == [SAYS[-1]]
    assert len(rig.llm.runs if host == "pipecat" else rig.runs) == 1


@both
@pytest.mark.parametrize(("late", "said"), LATE)
async def test_a_final_that_comes_too_late_tells_nothing_twice(
    host: str, late: list[str], said: str
) -> None:
    async def script(rig: Any) -> None:
        await done(rig.voice(True))
        for text in SAYS:
            await done(rig.hears(text, final=False))
        await done(rig.voice(False))
        await asyncio.sleep(2.1)
        for text in late:
            await done(rig.hears(text))
        await asyncio.sleep(2)

    rig = await call(host).run(script)
    assert " ".join(rig.said("user")) == said


@both
async def test_a_caller_who_thinks_for_long_is_waited_for(host: str) -> None:
    async def script(rig: Any) -> None:
        await done(rig.voice(True))
        await done(rig.hears("is there", final=False))
        await asyncio.sleep(4)
        assert (rig.llm.runs if host == "pipecat" else rig.runs) == []
        await done(rig.hears("is there a lift"))
        await done(rig.voice(False))
        await asyncio.sleep(2)

    rig = await call(host).run(script)
    assert rig.said("user") == ["is there a lift"]


async def test_a_service_that_dies_in_its_own_turn_is_answered() -> None:
    """Flux tells of a turn's beginning and of its end; here of its end no more."""
    frames = pytest.importorskip("pipecat.frames.frames")
    rig = pytest.importorskip("rig")

    async def script(rig: Any) -> None:
        await rig.worker.queue_frame(frames.ProposedUserStartedSpeakingFrame())
        await rig.hears("is there a lift", final=False)
        await rig.worker.queue_frame(frames.VADUserStoppedSpeakingFrame())
        await rig.until(lambda: len(rig.llm.runs) == 1)

    call = await rig.Rig(strategies=None).run(script)
    assert call.said("user") == ["is there a lift"]
