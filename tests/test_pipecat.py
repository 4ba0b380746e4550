"""What a Pipecat application notices."""

import subprocess
import sys
from pathlib import Path

import pytest
from pipecat.frames import frames
from pipecat.frames.frames import (
    InterruptionFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.turns.user_mute import AlwaysUserMuteStrategy
from pipecat.turns.user_start import MinWordsUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bargein import BargeIn, Overlap, Verdict, YieldFloor, standard_rules
from bargein.pipecat import Bargein
from bargein.pipecat.manners import BargeinError
from bargein.testing.pipecat_parts import PacedOutput
from rig import SAYS, Rig

WORDS = SAYS.split()


async def interrupts(rig: Rig) -> None:
    await rig.agent()
    await rig.until(lambda: len(rig.passed(TTSTextFrame)) >= 3)
    await rig.voice(True)
    await rig.hears("no wait", final=False)
    await rig.hears("no wait I meant Thursday")
    await rig.voice(False)
    await rig.until(lambda: len(rig.llm.runs) == 1)


async def listens(rig: Rig) -> None:
    await rig.agent()
    await rig.until(lambda: len(rig.passed(TTSTextFrame)) >= 3)
    await rig.voice(True)
    await rig.hears("uh-huh", final=False)
    await rig.voice(False)
    await rig.hears("uh-huh")
    await rig.until(lambda: rig.manners.floor == "open")


async def test_a_backchannel_costs_nothing() -> None:
    told: list[str] = []
    rig = Rig()

    async def hear(_aggregator: object, message: object) -> None:
        told.append(message.content)  # type: ignore[attr-defined]

    rig.user.add_event_handler("on_user_backchannel", hear)
    await rig.run(listens)
    assert rig.said("assistant") == [SAYS]
    assert rig.said("user") == []
    assert rig.llm.runs == []
    assert rig.passed(InterruptionFrame) == []
    # The oldest supported host has no frame to tell it with.
    assert told == (["uh-huh"] if hasattr(frames, "UserBackchannelFrame") else [])
    # Every sample that was made was heard, at most quieter.
    assert sum(len(chunk.pcm) // 2 for chunk in rig.output.written) >= rig.tts.samples


async def test_an_interruption_leaves_what_was_heard_in_the_context() -> None:
    rig = await Rig().run(interrupts)
    (heard,) = rig.said("assistant")
    assert SAYS.startswith(heard)
    assert heard != SAYS
    assert rig.said("user") == ["no wait I meant Thursday"]
    (run,) = [messages for _, messages in rig.llm.runs]
    said = [message["content"] for message in run if message["role"] != "developer"]
    assert said[1:] == [heard, "no wait I meant Thursday"]
    assert len(rig.passed(InterruptionFrame)) == 1


async def test_wrap_is_enough() -> None:
    """An aggregator without strategies of its own takes ours, as it would take a service's."""
    rig = await Rig(strategies=None).run(interrupts)
    assert [line for line in rig.decided if line.startswith("YieldFloor(correction)")] != []
    assert len(rig.said("assistant")) == 1


async def test_other_strategies_run_the_call_and_one_error_says_so() -> None:
    theirs = UserTurnStrategies(start=[MinWordsUserTurnStartStrategy(min_words=3)])
    rig = await Rig(strategies=theirs).run(interrupts)
    assert rig.said("user") == ["no wait I meant Thursday"]
    errors = [line for line in rig.log if "ERROR" in line]
    assert len(errors) == 1
    assert "user_turn_strategies=manners.turn_strategies()" in errors[0]


async def test_a_missing_gate_leaves_the_call_to_the_host() -> None:
    def without_gate(manners: Bargein, parts: list[FrameProcessor]) -> list[FrameProcessor]:
        return [manners.backchannel_filter(), *parts[:-1], manners.playout_ledger(), parts[-1]]

    async def listens_in_vain(rig: Rig) -> None:
        await rig.agent()
        await rig.until(lambda: len(rig.passed(TTSTextFrame)) >= 3)
        await rig.voice(True)
        await rig.until(lambda: len(rig.passed(InterruptionFrame)) == 1)

    rig = await Rig(wrap=without_gate).run(listens_in_vain)
    assert any("no InterruptionGate" in line for line in rig.log if "ERROR" in line)


async def test_a_muted_caller_moves_nothing() -> None:
    async def talks(rig: Rig) -> None:
        await rig.agent()
        await rig.until(lambda: len(rig.passed(TTSTextFrame)) >= 3)
        await rig.voice(True)
        await rig.hears("stop")
        await rig.voice(False)
        await rig.until(lambda: rig.manners.floor == "open")

    rig = await Rig(user_params={"user_mute_strategies": [AlwaysUserMuteStrategy()]}).run(talks)
    assert rig.decided == []
    assert rig.said("assistant") == [SAYS]


async def test_events_tell_what_happens_and_a_failing_handler_is_reported_once() -> None:
    manners = Bargein()
    told: list[str] = []
    for name in ("on_duck", "on_hold", "on_resume", "on_yield", "on_backchannel"):

        async def hear(_: Bargein, __: object, name: str = name) -> None:
            told.append(name)

        manners.add_event_handler(name, hear)

    @manners.event_handler("on_decision")
    async def fails(_: Bargein, decision: object) -> None:
        raise RuntimeError(str(decision))

    rig = await Rig(manners).run(listens)
    assert told == ["on_duck", "on_hold", "on_resume", "on_backchannel"]
    assert rig.said("assistant") == [SAYS]
    errors = [line for line in rig.log if "ERROR" in line]
    assert len(errors) == 1
    assert "RuntimeError" in errors[0]
    assert "uh-huh" not in errors[0]


class Broken:
    """A rule that fails with the caller's words in its mouth."""

    def __call__(self, overlap: Overlap, /) -> Verdict | None:
        raise ValueError(overlap.words)


async def test_a_failing_rule_is_left_out_and_the_call_goes_on() -> None:
    rig = await Rig(Bargein(rules=(Broken(), *standard_rules()))).run(listens)
    assert rig.said("assistant") == [SAYS]
    errors = [line for line in rig.log if "ERROR" in line]
    assert len(errors) == 1
    assert "rule Broken" in errors[0]


async def test_no_words_of_ours_reach_the_log() -> None:
    rig = await Rig().run(interrupts)
    ours = [line for line in rig.log if " | bargein" in line or "bargein:" in line]
    assert [line for line in ours if "Thursday" in line or "appointment" in line] == []


async def test_what_is_queued_is_played_out_at_the_end_of_the_call() -> None:
    rig = await Rig().run(lambda rig: rig.agent())
    assert rig.said("assistant") == [SAYS]
    assert sum(len(chunk.pcm) // 2 for chunk in rig.output.written) >= rig.tts.samples


async def test_a_call_that_ends_in_the_middle_of_a_hold_plays_out() -> None:
    async def holds(rig: Rig) -> None:
        await rig.agent()
        await rig.voice(True)
        await rig.until(lambda: any(line.startswith("PausePlayout") for line in rig.decided))

    rig = await Rig().run(holds)
    assert rig.said("assistant") == [SAYS]
    assert sum(len(chunk.pcm) // 2 for chunk in rig.output.written) >= rig.tts.samples


async def test_words_that_wait_when_the_call_ends_are_not_lost() -> None:
    async def hangs_up(rig: Rig) -> None:
        await rig.agent(must_hear=True)
        await rig.voice(True)
        await rig.hears("what did you say")
        await rig.until(lambda: any(line.startswith("DeferTurn") for line in rig.decided))

    rig = await Rig().run(hangs_up)
    assert rig.said("user") == ["what did you say"]


async def test_an_emergency_stop_ends_even_a_critical_message() -> None:
    async def stops(rig: Rig) -> None:
        await rig.agent(must_hear=True)
        await rig.until(lambda: len(rig.passed(TTSTextFrame)) >= 2)
        rig.manners.emergency_stop()
        await rig.until(lambda: rig.manners.floor == "open")

    rig = await Rig().run(stops)
    assert rig.decided[0].startswith("YieldFloor(emergency)")


async def test_two_calls_in_one_process_know_nothing_of_each_other() -> None:
    import asyncio

    one, other = Rig(), Rig()
    await asyncio.gather(one.run(listens), other.run(interrupts))
    assert one.said("assistant") == [SAYS]
    assert one.llm.runs == []
    assert other.said("user") == ["no wait I meant Thursday"]


async def test_a_yield_event_says_what_was_heard() -> None:
    rig = Rig()
    yields: list[YieldFloor] = []
    rig.manners.add_event_handler("on_yield", lambda _, decision: yields.append(decision))
    await rig.run(interrupts)
    (decision,) = yields
    assert decision.heard + decision.unheard == SAYS
    assert rig.said("assistant")[0].startswith(decision.heard)


def test_a_pipeline_that_cannot_work_is_refused() -> None:
    with pytest.raises(BargeinError, match=r"exactly one LLMUserAggregator .* found 0"):
        Bargein().wrap([PacedOutput()])
    with pytest.raises(BargeinError, match="no event 'on_sneeze'; there are on_duck"):
        Bargein().add_event_handler("on_sneeze", lambda *_: None)
    with pytest.raises(BargeinError, match="min_speak_ms would not be read"):
        Bargein(rules=(BargeIn,), min_speak_ms=3)  # type: ignore[arg-type]


def test_a_missing_host_is_one_sentence() -> None:
    root = Path(__file__).parents[1] / "plugins"
    script = "import sys; sys.path.insert(0, sys.argv[1]); import bargein.pipecat"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr.splitlines()[-1] == (
        'ImportError: bargein.pipecat needs Pipecat: pip install "bargein[pipecat]"'
    )


async def test_a_call_that_is_ending_is_not_interrupted_any_more() -> None:
    """The farewell is said to its end, and then the call is over."""
    rig = Rig()

    async def script(rig: Rig) -> None:
        await rig.manners.say("Your code is 4 2.", must_hear=True)
        await rig.agent()
        await rig.voice(True)
        await rig.hears("no wait")

    await rig.run(script)
    assert rig.said("assistant") == ["Your code is 4 2.", SAYS]
