"""What a call on OpenAI Realtime leaves behind, with the gate and with the relay."""

import json
from pathlib import Path
from typing import Any

from bargein import Kind
from bargein.core import trace
from bargein.journal import Alert, Alerts, Interruptions, Journal, Trouble
from bargein.memory import MemoryStore
from bargein.realtime import Realtime
from bargein.testing.services import Said
from line import until
from realtime_rig import COUNT, realtime_call
from test_otel import Backend
from test_realtime import counting, server
from test_realtime_relay import pipecat_call
from test_realtime_relay import server as relay_server

SAID = "No wait, stop."


async def interrupted(**options: Any) -> Realtime:
    """The caller takes the floor of an agent that counts."""
    gate = Realtime(early_onset=False, call_id="c7", agent="desk@1.4", **options)
    calls = server(Said(SAID, at_ms=2000), answers=[COUNT, "Fine."])
    async with realtime_call(calls, gate) as rig:
        await counting(rig)
        await rig.talk(2000)
        await rig.until(lambda: rig.statuses[1:] == [("completed", None)])
        await rig.silent()
    return gate


async def test_the_journal_of_a_gate_tells_onset_duck_decision_silence(tmp_path: Path) -> None:
    gate = await interrupted(journal=tmp_path / "{call}.jsonl")
    lines = (tmp_path / "c7.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert (found[0]["what"], found[0]["host"]) == ("began", "realtime")
    assert (found[-1]["what"], found[-1]["dropped"]) == ("ended", 0)
    (overlap,) = [line for line in found if line.get("what") == "overlap"]
    assert (overlap["outcome"], overlap["kind"]) == ("yield", "cancellation")
    duck, decision, silence = (
        overlap[f"onset_to_{name}_ms"] for name in ("duck", "decision", "silence")
    )
    assert 0 <= duck <= decision <= silence
    assert (overlap["caller_words"], "false" in overlap) == (3, False)
    assert 0 < overlap["progress"] < 1
    assert gate.interruptions.by_kind() == {Kind.CANCELLATION: 1}
    assert [round(one, 3) for one in gate.interruptions.progress()] == [overlap["progress"]]
    assert not [word for word in ("wait", "three") if word in "".join(lines)]
    assert list(trace.read_all(lines))


async def test_an_overlap_is_a_span_of_what_the_application_has_open() -> None:
    """Nobody here traces turns: the span that was open where the call began is the parent."""
    backend = Backend()
    with backend.tracers.get_tracer("app").start_as_current_span("call"):
        await interrupted(watchers=[backend.telemetry])
    (overlap,) = [span for span in backend.spans() if span.name == "overlap"]
    (call,) = [span for span in backend.spans() if span.name == "call"]
    assert overlap.parent is not None
    assert call.context is not None
    assert overlap.parent.span_id == call.context.span_id
    assert [one.name for one in overlap.events] == ["duck", "decision", "silence"]
    (point,) = backend.points()["bargein.interruptions"]
    assert dict(point.attributes) == {
        "bargein.host": "realtime",
        "gen_ai.agent.name": "desk",
        "gen_ai.agent.version": "1.4",
        "bargein.kind": "cancellation",
        "bargein.reason": "a stop word",
    }


class Down(MemoryStore):
    """A store that nobody reaches."""

    async def get(self, owner: str) -> dict[str, bytes]:
        raise ConnectionError(owner)


async def test_a_store_that_is_down_is_an_alert() -> None:
    told: list[Alert] = []
    await interrupted(store=Down(), caller="+4930901820", watchers=[Alerts(told.append)])
    assert [one.trouble for one in told] == [Trouble.STORE_DOWN]


async def test_a_relay_s_calls_are_seen_as_any_others() -> None:
    """The client is a Pipecat service that knows nothing of us; the journal may be shared."""
    lines: list[str] = []
    history = Interruptions()
    seen = {"journal": Journal(lines.append), "watchers": [history], "agent": "desk@1.4"}
    calls = relay_server(Said(SAID, at_ms=2000), answers=[COUNT, "Fine."], speed=1.2)
    async with pipecat_call(calls, seen) as call:
        await call.line.talk(1500)
        await call.agent_at("three")
        await call.line.talk(2000)
        await until(lambda: call.statuses[2:] == ["completed"], 20)
        await call.silent()
        call_id = call.relay.calls[-1].call_id
    found = [json.loads(line) for line in lines]
    assert {line.get("call") or line["about"]["call"] for line in found} == {call_id}
    assert (found[0]["what"], found[0]["host"]) == ("began", "realtime")
    assert (found[-1]["what"], found[-1]["dropped"]) == ("ended", 0)
    (one,) = history.all()
    assert (one.call_id, one.agent) == (call_id, "desk@1.4")
    (overlap,) = [line for line in found if line.get("what") == "overlap"]
    assert overlap["onset_to_silence_ms"] == one.episode.onset_to_silence_ms
    assert (overlap["outcome"], overlap["kind"]) == ("yield", "cancellation")
