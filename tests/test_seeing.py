"""What a real call on each host leaves behind for those who were not there."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bargein.livekit
import bargein.pipecat
from bargein import Kind
from bargein.cli.report import page
from bargein.cli.report.figures import Sum, figures
from bargein.core import trace
from bargein.journal import Alert, Alerts, CallFacts, Episode, Journal, Trouble, Watcher
from bargein.memory import MemoryStore
from livekit_rig import LiveKitRig
from rig import Rig
from told_by_lines import said_by

SAID = "no wait I meant Thursday"


async def on_pipecat(**options: Any) -> Rig:
    async def script(rig: Rig) -> None:
        await rig.agent()
        await asyncio.sleep(0.8)
        await rig.voice(True)
        await asyncio.sleep(0.1)
        await rig.hears("no wait", final=False)
        await rig.until(lambda: any("YieldFloor" in one for one in rig.decided))
        await rig.hears(SAID)
        await rig.voice(False)
        await rig.until(lambda: rig.said("user") == [SAID])

    manners = bargein.pipecat.Bargein(detectors=(), **options)
    return await Rig(manners, traced=True).run(script)


async def on_livekit(**options: Any) -> LiveKitRig:
    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await rig.interrupts(SAID)
        await rig.done()
        await rig.until(lambda: rig.said("user") == [SAID])

    return await LiveKitRig(bargein.livekit.Bargein(detectors=(), **options)).run(script)


HOSTS = pytest.mark.parametrize("call", [on_pipecat, on_livekit])
Call = Callable[..., Any]


@HOSTS
async def test_the_journal_of_a_call_tells_onset_duck_decision_silence(
    call: Call, tmp_path: Path
) -> None:
    rig = await call(journal=tmp_path / "{call}.jsonl", call_id="c7", agent="desk@1.4")
    lines = (tmp_path / "c7.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]

    began, ended = found[0], found[-1]
    assert (began["what"], began["host"], began["agent"]) == (
        "began",
        call.__name__[3:],
        "desk@1.4",
    )
    assert (ended["what"], ended["dropped"]) == ("ended", 0)

    first = [line["about"].get("overlap") for line in found if "about" in line].index(1)
    within = [line for line in found if line.get("about", {}).get("overlap") == 1]
    steps = ["UserSpeechStarted", "DuckPlayout", "YieldFloor", "PlayoutStopped"]
    told = dict.fromkeys(line["type"] for line in within)  # a second onset within it is no news
    assert [name for name in told if name in steps] == steps
    assert first > 0  # what the agent said before is no part of it

    by_type = {line["type"]: line for line in reversed(within)}
    onset = by_type["DuckPlayout"]["about"]["onset_at_ms"]
    duck, decision, silence = (
        by_type[name]["about"][f"onset_to_{what}_ms"]
        for name, what in zip(steps[1:], ("duck", "decision", "silence"), strict=True)
    )
    assert 0 <= duck <= decision <= silence
    assert silence == by_type["PlayoutStopped"]["at_ms"] - onset
    decided = by_type["YieldFloor"]
    assert (decided["kind"], decided["reason"]) == ("correction", "a floor opening")
    assert decided["about"]["heard_chars"] > 0
    assert decided["about"]["unheard_chars"] > 0
    assert SAID not in "".join(lines)
    assert "Tuesday" not in "".join(lines)

    (overlap,) = [line for line in found if line.get("what") == "overlap"]
    assert (overlap["outcome"], overlap["caller_words"]) == ("yield", len(SAID.split()))
    assert "false" not in overlap
    assert overlap["onset_to_silence_ms"] == silence

    # The same, asked of the call.
    history = rig.manners.interruptions
    assert history.by_kind() == {Kind.CORRECTION: 1}
    assert history.false() == {}
    assert [round(one, 3) for one in history.progress()] == [overlap["progress"]]
    assert list(trace.read_all(lines))


@HOSTS
async def test_the_journal_of_a_call_becomes_a_page_and_a_baseline(
    call: Call, tmp_path: Path
) -> None:
    """Without a word of the call in either."""
    alerts = Alerts()
    await call(journal=tmp_path / "{call}.jsonl", watchers=[alerts], call_id="c7", agent="desk@1.4")
    lines = (tmp_path / "c7.jsonl").read_text().splitlines()
    (read,) = page.read(page.Source(trace=tmp_path / "c7.jsonl"))
    assert read.problems == []
    summed = Sum(lanes=read.lanes, lines=read.lines, moments=read.moments)
    table = {name: cell for name, (cell,) in figures([summed]) if cell}
    assert {name: said_by(name, lines, cell.lines) for name, cell in table.items()} == {
        name: cell.says for name, cell in table.items()
    }
    assert (table["Agent stopped"].says, table["Words left unsaid"].says != "0") == ("1", True)

    spoke_ms, from_ms = 0, None
    for line in map(json.loads, lines):
        if line["type"] == "PlayoutStarted":
            from_ms = line["at_ms"]
        elif line["type"] == "PlayoutStopped" and from_ms is not None:
            spoke_ms, from_ms = spoke_ms + line["at_ms"] - from_ms, None
    assert alerts.baseline("desk@1.4") == pytest.approx(1 / (spoke_ms / 60_000))


class Fails(Watcher):
    def overlap(self, call: CallFacts, episode: Episode, at_ms: int) -> None:  # noqa: ARG002
        raise RuntimeError("our dashboard is down")

    def trouble(self, call: CallFacts, where: str, at_ms: int) -> None:  # noqa: ARG002
        raise RuntimeError("and so is its alarm")


def raises(_: str) -> None:
    raise OSError("disk full")


@HOSTS
@pytest.mark.parametrize("sink", ["fails", "hangs"])
async def test_a_journal_that_fails_or_hangs_costs_the_call_nothing(call: Call, sink: str) -> None:
    plain = await call()
    gate = threading.Event()
    journal = Journal(raises if sink == "fails" else lambda _: gate.wait(60), queue=5)
    try:
        rig = await call(journal=journal, watchers=[Fails()])
    finally:
        gate.set()
    assert rig.decided == plain.decided
    assert rig.said("user") == plain.said("user") == [SAID]
    assert journal.dropped > 0
    # Each is told once, however often it failed.
    told = [line for line in rig.log if "the call goes on without it" in str(line)]
    expected = ["watcher Fails", *(["journal"] if sink == "fails" else [])]
    assert sorted(
        one for one in expected for line in told if f"{one} failed" in str(line)
    ) == sorted(expected)


class Down(MemoryStore):
    """A store that nobody reaches."""

    async def get(self, owner: str) -> dict[str, bytes]:
        raise ConnectionError(owner)


@HOSTS
async def test_a_store_that_is_down_is_an_alert_and_a_line_of_the_journal(call: Call) -> None:
    told: list[Alert] = []
    lines: list[str] = []
    await call(
        store=Down(), caller="+4930901820", watchers=[Alerts(told.append)], journal=lines.append
    )
    assert [one.trouble for one in told] == [Trouble.STORE_DOWN]
    troubles = [line for line in map(json.loads, lines) if line.get("what") == "trouble"]
    assert {line["where"] for line in troubles} == {"store"}


CODE = "Your code is 4 2 7 1, I repeat, 4 2 7 1, and once more, 4 2 7 1."


async def hangs_up_on_pipecat(**options: Any) -> Rig:
    async def script(rig: Rig) -> None:
        await rig.manners.say(CODE, must_hear=True, message_id="code")
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.hears("was that 4271")
        await asyncio.sleep(0.8)
        await rig.worker.cancel()

    return await Rig(bargein.pipecat.Bargein(detectors=(), **options)).run(script)


async def hangs_up_on_livekit(**options: Any) -> LiveKitRig:
    async def script(rig: LiveKitRig) -> None:
        await rig.manners.say(rig.session, CODE, must_hear=True, message_id="code")
        await rig.until(lambda: rig.manners.floor == "agent")
        rig.hears("was that 4271")
        await asyncio.sleep(0.8)

    rig = LiveKitRig(bargein.livekit.Bargein(detectors=(), **options))
    return await rig.run(script, hang_up=True)


@pytest.mark.parametrize("call", [hangs_up_on_pipecat, hangs_up_on_livekit])
async def test_a_code_cut_by_a_hang_up_is_an_alert_and_stays_a_secret(call: Call) -> None:
    told: list[Alert] = []
    lines: list[str] = []
    journal = Journal(lines.append, transcripts=True)
    await call(journal=journal, watchers=[Alerts(told.append)])
    (alert,) = told
    assert (alert.trouble, "message code" in alert.text) == (Trouble.LOCK_CUT, True)
    assert json.loads(lines[-1])["what"] == "ended"
    (receipt,) = [line for line in map(json.loads, lines) if line["type"] == "FileReceipt"]
    assert receipt["state"] == "cut"
    assert receipt["about"]["heard_chars"] > 0
    text = "".join(lines)
    assert "was that xxxx" in text
    assert not [code for code in ("4 2 7", "427") if code in text]
