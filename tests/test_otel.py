"""What OpenTelemetry gets of real calls: metrics, spans under the host's turns, logs."""

import json
import re
from pathlib import Path
from typing import Any

import livekit.agents.telemetry
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bargein import CallEnded, MessageLocked, Reason
from bargein.core.decisions import Delivery, FileReceipt, PausePlayout, ResumeSpeech
from bargein.journal import Alert, Journal, Trouble
from bargein.journal.otel import OtelLogs, Telemetry
from test_interruptions import Call as Told
from test_interruptions import Clock, interruption
from test_seeing import HOSTS, SAID, Call


class Backend:
    """A backend of the test's own, with everything in memory."""

    def __init__(self) -> None:
        self._metrics = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.loggers = LoggerProvider()
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.telemetry = Telemetry(
            meter_provider=MeterProvider([self._metrics]),
            tracer_provider=self.tracers,
            logger_provider=self.loggers,
        )

    def points(self) -> dict[str, list[Any]]:
        data = self._metrics.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def logs(self) -> list[Any]:
        return [one.log_record for one in self._logs.get_finished_logs()]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Both hosts trace into it, too."""
    from opentelemetry import trace

    made = Backend()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made.tracers)
    livekit.agents.telemetry.set_tracer_provider(made.tracers)
    return made


@HOSTS
async def test_a_call_is_measured_and_its_overlap_is_a_span_of_the_host_s_turn(
    call: Call, backend: Backend
) -> None:
    await call(watchers=[backend.telemetry], agent="desk@1.4", call_id="c9")

    points = backend.points()
    (interruption,) = points["bargein.interruptions"]
    assert interruption.value == 1
    assert dict(interruption.attributes) == {
        "bargein.host": call.__name__[3:],
        "gen_ai.agent.name": "desk",
        "gen_ai.agent.version": "1.4",
        "bargein.kind": "correction",
        "bargein.reason": "a floor opening",
    }
    counts = {}
    for name in ("duck", "decision", "silence"):
        (point,) = points[f"bargein.overlap.onset_to_{name}"]
        counts[name] = point.count
        assert 0 <= point.sum < 10  # seconds
    assert counts == {"duck": 1, "decision": 1, "silence": 1}
    assert [one.value for one in points["bargein.calls.active"]] == [0]
    assert "bargein.interruptions.false" not in points

    spans = {span.context.span_id: span for span in backend.spans() if span.context}
    (overlap,) = [span for span in spans.values() if span.name == "overlap"]
    assert overlap.parent is not None
    assert spans[overlap.parent.span_id].name in ("turn", "agent_turn")
    assert [one.name for one in overlap.events] == ["duck", "decision", "silence"]
    attributes = dict(overlap.attributes or {})
    assert (attributes["bargein.outcome"], attributes["bargein.kind"]) == ("yield", "correction")
    assert attributes["bargein.call.id"] == "c9"
    assert SAID not in overlap.to_json()
    silence = attributes["bargein.onset_to_silence_ms"]
    assert (overlap.end_time or 0) - (overlap.start_time or 0) == silence * 1_000_000


@HOSTS
async def test_the_journal_is_logged(call: Call, backend: Backend) -> None:
    await call(journal=Journal(OtelLogs(logger_provider=backend.loggers)), call_id="c9")
    logs = backend.logs()
    names = [one.event_name for one in logs]
    assert (names[0], names[-1]) == ("bargein.Journal", "bargein.Journal")
    (yielded,) = [one for one in logs if one.event_name == "bargein.YieldFloor"]
    line = json.loads(yielded.body)
    assert dict(yielded.attributes) == {
        "bargein.call.id": "c9",
        "bargein.at_ms": line["at_ms"],
        "bargein.overlap": 1,
        "bargein.kind": "correction",
        "bargein.reason": "a floor opening",
    }


def test_an_alert_is_counted_and_logged(backend: Backend) -> None:
    backend.telemetry.alert(
        Alert(
            trouble=Trouble.INTERRUPTION_RATE,
            text="too often",
            agent="desk@1.4",
            call_id="c9",
            value=4.5,
            baseline=2.0,
        )
    )
    (point,) = backend.points()["bargein.alerts"]
    assert point.attributes["bargein.trouble"] == "interruption rate"
    (one,) = backend.logs()
    assert (one.event_name, one.severity_text, one.body) == ("bargein.alert", "WARN", "too often")
    assert (one.attributes["bargein.value"], one.attributes["bargein.baseline"]) == (4.5, 2.0)


DASHBOARD = Path(__file__).parents[1] / "examples" / "grafana" / "bargein.json"


def receipt(state: Delivery, *, pending: bool) -> FileReceipt:
    return FileReceipt(
        at_ms=20_000,
        reason=Reason.CALL_ENDED,
        message_id="code",
        state=state,
        heard="",
        unheard="",
        pending=pending,
    )


def everything(backend: Backend) -> Told:
    """A call in which there is something for each instrument."""
    call = Told(Clock(), backend.telemetry)
    yields = interruption(0, words="uh-huh")
    pause = PausePlayout(at_ms=1300, reason=Reason.STILL_UNDECIDED)
    call.play(*yields[:3], pause, *yields[3:])
    call.play(ResumeSpeech(at_ms=9600, reason=Reason.TOLD_TO, message_id="m0", text=" c d e f"))
    call.observer.trouble("store")
    backend.telemetry.alert(Alert(trouble=Trouble.LOCK_CUT, text="", agent="desk", call_id="c"))
    call.play(MessageLocked(at_ms=10_000, message_id="code", text="4271"))
    return call


def values(backend: Backend, name: str) -> list[float]:
    return [point.value for point in backend.points().get(name, ())]


def test_locks_and_undelivered_messages_are_counted_up_and_down(backend: Backend) -> None:
    call = everything(backend)
    assert values(backend, "bargein.locks.active") == [1]
    call.play(receipt(Delivery.CUT, pending=True))
    assert values(backend, "bargein.locks.active") == [0]
    assert values(backend, "bargein.receipts.undelivered") == [1]
    call.play(CallEnded(at_ms=20_000))
    call.observer.close()
    assert values(backend, "bargein.receipts.undelivered") == [1]  # for the next call

    following = Told(Clock(), backend.telemetry, name="next")
    following.play(receipt(Delivery.DELIVERED, pending=False))
    assert values(backend, "bargein.receipts.undelivered") == [0]
    (delay,) = backend.points()["bargein.resume.delay"]
    assert delay.sum == 8.0


def test_the_dashboard_asks_for_what_there_is(backend: Backend) -> None:
    call = everything(backend)
    call.play(receipt(Delivery.CUT, pending=True))
    call.observer.close()
    there = {name.replace(".", "_") for name in backend.points()}
    board = json.loads(DASHBOARD.read_text("utf-8"))
    asked = set(re.findall(r"\bbargein_\w+(?=\{)", json.dumps(board["panels"])))
    asked |= set(re.findall(r"label_values\((\w+)", json.dumps(board["templating"])))
    # As Prometheus names them: the unit and the sort of number come behind.
    plain = {re.sub(r"(_seconds)?(_bucket|_total)?$", "", name) for name in asked}
    assert plain <= there
    assert there - plain == {"bargein_calls_duration", "bargein_overlap_onset_to_pause"}
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len({panel["id"] for panel in board["panels"]}) == len(set(places)) == len(places)


def test_what_starts_grafana_finds_the_dashboard_and_the_example() -> None:
    """Read as Docker, Prometheus and Grafana read it; none of them runs here."""
    yaml = pytest.importorskip("yaml")
    folder = DASHBOARD.parent

    def read(path: Path) -> Any:
        return yaml.safe_load(path.read_text("utf-8"))

    services = read(folder / "compose.yaml")["services"]
    mounted: dict[str, Path] = {}
    for service in services.values():
        for volume in service["volumes"]:
            here, there, _ = volume.split(":")
            assert (folder / here).exists(), volume
            mounted[there] = folder / here
    (job,) = read(mounted["/etc/prometheus/prometheus.yml"])["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]
    assert "metrics.py 9464" in (folder.parent / "metrics.py").read_text("utf-8")

    provisioning = mounted["/etc/grafana/provisioning"]
    (source,) = read(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    listens = services["prometheus"]["command"].partition("listen-address=")[2]
    assert (source["type"], source["url"]) == ("prometheus", f"http://{listens}")
    (provider,) = read(provisioning / "dashboards" / "bargein.yaml")["providers"]
    assert mounted[provider["options"]["path"] + "/bargein.json"] == DASHBOARD
    assert json.loads(DASHBOARD.read_text("utf-8"))["uid"] == "bargein"
