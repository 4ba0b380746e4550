"""What does a caller notice of an ear, a rule or a machine that fails? The same on both hosts."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bargein import Overlap, Verdict, standard_rules
from bargein.testing.tones import metronome
from bargein.testing.virtual_time import VirtualTimeLoop
from either_host import HOSTS, SAYS, EitherHost


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[request.param])
    return HOSTS[request.param]


def graces(call: EitherHost) -> None:
    """What is so after any call."""
    assert call.complaints == []
    call.kept_every_word()
    call.knew_what_was_heard()


async def begins_over(call: EitherHost) -> None:
    """The agent is heard, and the caller begins to speak over it."""
    await call.heard()
    await asyncio.sleep(0.9)
    await call.voice(True)


def loop() -> VirtualTimeLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualTimeLoop)
    return running


async def test_a_caller_whom_no_recogniser_understands_loses_no_word_of_the_agents(
    host: Any,
) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await asyncio.sleep(1.5)
        await call.voice(False)
        await call.quiet()

    call = await host().run(script)
    graces(call)
    assert round(call.words_heard) == len(SAYS.split())
    assert call.said("assistant") == [SAYS]


@pytest.mark.parametrize("late_s", [1.0, 3.0, 6.0])
async def test_words_that_come_late_are_answered_all_the_same(host: Any, late_s: float) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await asyncio.sleep(0.8)
        await call.voice(False)
        await asyncio.sleep(late_s)
        await call.hears("no wait I meant Thursday")
        await call.quiet(2)

    call = await host(replies=["Of course, Thursday."]).run(script)
    graces(call)
    assert call.said("user") == ["no wait I meant Thursday"]
    assert call.said("assistant")[-1] == "Of course, Thursday."


async def test_interims_that_never_become_final_end_in_no_mute_agent(host: Any) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await call.hears("no wait I", final=False)
        await asyncio.sleep(0.4)
        await call.voice(False)
        await call.quiet(4)
        assert call.words_heard < len(SAYS.split())
        await call.heard("Are you there?")
        await call.quiet()

    call = await host().run(script)
    assert call.complaints == []
    call.knew_what_was_heard()
    assert call.said("assistant")[-1] == "Are you there?"


async def test_a_voice_detection_that_never_ends_delays_the_agent_and_cuts_no_word(
    host: Any,
) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await call.quiet(12)

    call = await host().run(script)
    graces(call)
    assert round(call.words_heard) == len(SAYS.split())
    assert call.said("assistant") == [SAYS]


async def test_a_machine_that_stands_still_loses_no_word_and_no_interruption(host: Any) -> None:
    async def script(call: EitherHost) -> None:
        await call.heard()
        stalling = asyncio.ensure_future(stalls())
        await asyncio.sleep(0.5)
        await call.voice(True)
        await asyncio.sleep(0.4)
        await call.hears("mm-hm")
        await call.voice(False)
        await call.quiet(3)
        assert call.words_heard > len(SAYS.split()) - 0.2
        await call.heard()
        await call.talks_over()
        await call.quiet(3)
        stalling.cancel()

    async def stalls() -> None:
        while True:
            await asyncio.sleep(0.33)
            loop().stands_still(0.7)

    call = await host(replies=["Of course."]).run(script)
    graces(call)
    whole, cut, answer = call.said("assistant")
    assert (whole, answer) == (SAYS, "Of course.")
    assert SAYS.startswith(cut)
    assert cut != SAYS


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
async def test_a_machine_whose_date_is_put_right_changes_nothing(host: Any, by_s: float) -> None:
    ends: list[Any] = []
    for step_s in (0.0, by_s):

        async def script(call: EitherHost, step_s: float = step_s) -> None:
            await call.heard("Your code is four two seven one.", must_hear=True)
            loop().sets_the_date(step_s)
            await call.talks_over("sorry what was that", after_s=0.3)
            await call.quiet(2)
            await call.heard()
            await call.talks_over("mm-hm", after_s=0.6)
            loop().sets_the_date(step_s)
            await call.quiet(2)
            await call.heard()
            await call.talks_over()
            loop().sets_the_date(step_s)
            await call.quiet(2)

        call = await host(replies=["Four two seven one.", "Of course."]).run(script)
        graces(call)
        call.told_the_truth()
        # LiveKit sorts its history by the date.
        ends.append([call.decided, *(sorted(call.said(who)) for who in ("user", "assistant"))])
    assert ends[0] == ends[1]


async def test_who_interrupts_a_resume_is_obeyed_at_once(host: Any) -> None:
    async def script(call: EitherHost) -> None:
        await call.heard()
        await call.talks_over("is there a lift", after_s=1.2)
        await call.quiet(2)
        before = call.words_heard
        await call.voice(True)
        await call.hears("please go on")
        await call.voice(False)
        await call.until(lambda: call.words_heard > before + 2)
        await call.talks_over(after_s=0.1)
        await call.quiet(2)

    call = await host(replies=["Yes, beside the entrance.", "Of course."]).run(script)
    graces(call)
    first, lift, rest, last = call.said("assistant")
    assert (lift, last) == ("Yes, beside the entrance.", "Of course.")
    assert SAYS.startswith(first)
    assert not rest.endswith("building.")


async def test_two_interruptions_within_50_ms_are_one(host: Any) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await asyncio.sleep(0.3)
        await call.hears("stop")
        await call.voice(False)
        await asyncio.sleep(0.03)
        await call.voice(True)
        await call.hears("no I meant Thursday")
        await asyncio.sleep(0.2)
        await call.voice(False)
        await call.quiet(2)

    call = await host(replies=["Of course.", "Of course."]).run(script)
    graces(call)
    assert sum(one.startswith("Yield") for one in call.decided) == 1
    assert call.said("assistant")[-1] == "Of course."


class Ear:
    """A detector that does as it is told."""

    name = "ear"
    window_ms = 500

    def __init__(self, says: Callable[[], float]) -> None:
        self._says = says

    def __call__(self, _: object) -> float:
        return self._says()


@pytest.mark.parametrize("how", ["hangs", "raises", "says nonsense"])
async def test_a_detector_that_fails_is_told_of_once_and_a_caller_notices_nothing(
    host: Any, how: str
) -> None:
    over = threading.Event()
    ears: dict[str, Callable[[], float]] = {
        "hangs": lambda: float(over.wait(60)),
        "raises": lambda: 1 / 0,
        "says nonsense": lambda: float("nan"),
    }

    async def script(call: EitherHost) -> None:
        for words, after_s in (("mm-hm", 0.5), ("no wait I meant Thursday", 0.9)):
            await call.heard()
            await asyncio.sleep(after_s)
            await call.voice(True)
            await call.sounds(metronome("la la la", 16000)[0])
            await call.hears(words)
            await call.voice(False)
            await call.quiet(3)

    call = host(detectors=[Ear(ears[how])], replies=["Of course."])
    try:
        await call.run(script)
    finally:
        over.set()
    (complaint,) = call.complaints
    assert "detector ear" in complaint
    whole, cut, answer = call.said("assistant")
    assert (whole, answer) == (SAYS, "Of course.")
    assert SAYS.startswith(cut)
    call.kept_every_word()
    call.knew_what_was_heard()


@pytest.mark.parametrize("nth", range(3))
async def test_a_rule_that_raises_is_told_of_once_and_the_others_decide(
    host: Any, nth: int
) -> None:
    class Breaks:
        asked = 0

        def __call__(self, _: Overlap) -> Verdict | None:
            self.asked += 1
            if self.asked > nth:
                raise RuntimeError("a bug")
            return None

    async def script(call: EitherHost) -> None:
        await call.heard()
        await call.talks_over("mm-hm", after_s=0.5)
        await call.quiet()
        await call.heard()
        await call.talks_over()
        await call.quiet(3)

    call = await host(rules=(Breaks(), *standard_rules()), replies=["Of course."]).run(script)
    (complaint,) = call.complaints
    assert "rule Breaks failed with RuntimeError" in complaint
    whole, cut, answer = call.said("assistant")
    assert (whole, answer) == (SAYS, "Of course.")
    assert cut != SAYS
    call.kept_every_word()
    call.knew_what_was_heard()
