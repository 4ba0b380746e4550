"""How do calls look in OpenTelemetry? Metrics, spans under the host's turns, the journal as logs.

Names and units follow the conventions of OpenTelemetry and of both hosts: dots, seconds. No words
of a call are ever in an attribute.
"""

from __future__ import annotations

import json
from typing import Any

from bargein.core.decisions import Delivery, FileReceipt
from bargein.core.events import MessageLocked

from .alerts import Alert
from .episode import Episode, summary
from .watcher import CallFacts, Watcher

try:
    from opentelemetry import metrics, trace
    from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider
except ImportError as error:
    raise ImportError('OpenTelemetry is missing: pip install "bargein[otel]"') from error

SCOPE = "bargein"
_LATENCIES_S = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_WORDS = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_RESUMES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0)


class Telemetry(Watcher):
    """Metrics and spans of all calls that are given it: ``Bargein(watchers=[Telemetry()])``.

    Give `alert` to `Alerts` for what they notice.
    """

    def __init__(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """Make the instruments.

        Args:
            meter_provider: the process's own if None. So the others:
            tracer_provider: give LiveKit's where it has one of its own.
            logger_provider: for alerts.
        """
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        self._logger = get_logger(SCOPE, logger_provider=logger_provider)
        self._latency = {
            name: meter.create_histogram(
                f"bargein.overlap.onset_to_{name}",
                unit="s",
                description=f"From the onset of the caller's speech to the {name}",
                explicit_bucket_boundaries_advisory=_LATENCIES_S,
            )
            for name in ("duck", "pause", "decision", "silence")
        }
        self._words = meter.create_histogram(
            "bargein.overlap.words_to_decision",
            unit="{word}",
            description="Words the caller had said when it was decided",
            explicit_bucket_boundaries_advisory=_WORDS,
        )
        self._progress = meter.create_histogram(
            "bargein.interruption.progress",
            unit="1",
            description="How far the agent was when it was cut, by its text",
            explicit_bucket_boundaries_advisory=_SHARES,
        )
        self._resume = meter.create_histogram(
            "bargein.resume.delay",
            unit="s",
            description="From the agent's silence until it went on",
            explicit_bucket_boundaries_advisory=_RESUMES_S,
        )
        self._overlaps = meter.create_counter(
            "bargein.overlaps", unit="{overlap}", description="Stretches of talking at once"
        )
        self._interruptions = meter.create_counter(
            "bargein.interruptions", unit="{interruption}", description="Callers took the floor"
        )
        self._false = meter.create_counter(
            "bargein.interruptions.false",
            unit="{interruption}",
            description="Interruptions behind which no words came, or only a backchannel",
        )
        self._receipts = meter.create_counter(
            "bargein.receipts", unit="{message}", description="Attempts at messages to be heard"
        )
        self._undelivered = meter.create_up_down_counter(
            "bargein.receipts.undelivered",
            unit="{message}",
            description="Messages whose newest receipt says that they are still to be said",
        )
        self._locks = meter.create_up_down_counter(
            "bargein.locks.active",
            unit="{message}",
            description="Messages that must be heard and have no receipt yet",
        )
        self._calls = meter.create_up_down_counter(
            "bargein.calls.active", unit="{call}", description="Calls that go on"
        )
        self._call_s = meter.create_counter(
            "bargein.calls.duration", unit="s", description="How long the calls took that are over"
        )
        self._troubles = meter.create_counter(
            "bargein.troubles", unit="{failure}", description="Failures of bargein's own"
        )
        self._alerts = meter.create_counter(
            "bargein.alerts", unit="{alert}", description="Somebody should look"
        )
        self._spans: dict[tuple[str, int], Span] = {}
        self._locked: dict[str, set[str]] = {}
        self._pending: dict[str, dict[str, Any]] = {}

    def alert(self, alert: Alert) -> None:
        """Count an alert, and log it as an event: ``Alerts(tell=telemetry.alert)``."""
        about = _known(
            {
                "bargein.trouble": alert.trouble.value,
                "gen_ai.agent.name": alert.agent.partition("@")[0],
                "gen_ai.agent.version": alert.agent.partition("@")[2],
            }
        )
        self._alerts.add(1, about)
        figures = {"bargein.value": alert.value, "bargein.baseline": alert.baseline}
        self._logger.emit(
            LogRecord(
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                body=alert.text,
                event_name="bargein.alert",
                attributes={**about, **_known(figures), "bargein.call.id": alert.call_id},
            )
        )

    # --- what is told ---

    def opened(self, call: CallFacts, at_ms: int) -> None:  # noqa: ARG002
        self._calls.add(1, _of(call))
        self._locked[call.call_id] = set()

    def onset(self, call: CallFacts, episode: Episode, host_turn: object | None) -> None:
        self._spans[call.call_id, episode.number] = self._tracer.start_span(
            "overlap",
            context=host_turn if isinstance(host_turn, Context) else None,
            start_time=_ns(call, episode.onset_at_ms),
            attributes={**_of(call), "bargein.call.id": call.call_id},
        )

    def overlap(self, call: CallFacts, episode: Episode, at_ms: int) -> None:
        if not episode.over:
            return
        about = {
            **_of(call),
            **_known(
                {
                    "bargein.kind": episode.kind.value if episode.kind else None,
                    "bargein.reason": episode.reason.value if episode.reason else None,
                }
            ),
        }
        if episode.silent_ms is not None:
            self._resume.record(episode.silent_ms / 1000, about)
        span = self._spans.pop((call.call_id, episode.number), None)
        if span is None:
            return  # told before: now the rest of it is gone on with
        self._count(about, episode)
        _end(span, call, episode, at_ms)

    def _count(self, about: dict[str, Any], episode: Episode) -> None:
        decided = {**about, "bargein.outcome": episode.outcome.value}
        self._overlaps.add(1, decided)
        if not episode.by_caller:
            return
        for name, histogram in self._latency.items():
            measured_ms = getattr(episode, f"onset_to_{name}_ms")
            if measured_ms is not None:
                histogram.record(measured_ms / 1000, decided)
        if episode.interrupts:
            self._interruptions.add(1, about)
            self._words.record(episode.words_to_decision, about)
            if episode.progress is not None:
                self._progress.record(episode.progress, about)
            if episode.mistake is not None:
                self._false.add(1, {**about, "bargein.mistake": episode.mistake.value})

    def locked(self, call: CallFacts, message: MessageLocked) -> None:
        waiting = self._locked.setdefault(call.call_id, set())
        if message.message_id not in waiting:
            waiting.add(message.message_id)
            self._locks.add(1, _of(call))

    def receipt(self, call: CallFacts, receipt: FileReceipt) -> None:
        self._receipts.add(
            1,
            {
                **_of(call),
                "bargein.state": receipt.state.value,
                "bargein.reason": receipt.reason.value,
                "bargein.pending": receipt.pending,
            },
        )
        waiting = self._locked.get(call.call_id, set())
        if receipt.message_id in waiting:
            waiting.discard(receipt.message_id)
            self._locks.add(-1, _of(call))
        # By the message, not by its call: the next call may be the one that says it.
        pending = self._pending.pop(receipt.message_id, None)
        if pending is not None:
            self._undelivered.add(-1, pending)
        if receipt.pending and receipt.state is not Delivery.DELIVERED:
            self._pending[receipt.message_id] = _of(call)
            self._undelivered.add(1, _of(call))

    def trouble(self, call: CallFacts, where: str, at_ms: int) -> None:  # noqa: ARG002
        # What stands behind a colon, or names a handler of somebody's, would make a series of each.
        self._troubles.add(1, {**_of(call), "bargein.where": where.partition(":")[0].split(" ")[0]})

    def closed(self, call: CallFacts, at_ms: int) -> None:
        self._calls.add(-1, _of(call))
        self._call_s.add(at_ms / 1000, _of(call))
        for _ in self._locked.pop(call.call_id, ()):
            self._locks.add(-1, _of(call))
        for key in [key for key in self._spans if key[0] == call.call_id]:
            self._spans.pop(key).end()


class OtelLogs:
    """The journal as OpenTelemetry logs: ``Bargein(journal=OtelLogs())``, or within a `Journal`.

    Each line is one record: its event name is ``bargein.`` and the line's type, its body the line.
    """

    def __init__(self, *, logger_provider: LoggerProvider | None = None) -> None:
        """Write to that provider, or to the process's own."""
        self._logger = get_logger(SCOPE, logger_provider=logger_provider)

    def __call__(self, line: str) -> None:
        """Emit one line."""
        found = json.loads(line)
        about = found.get("about", found)
        self._logger.emit(
            LogRecord(
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=line,
                event_name=f"bargein.{found['type']}",
                attributes=_known(
                    {
                        "bargein.call.id": about.get("call"),
                        "bargein.at_ms": found["at_ms"],
                        "bargein.overlap": about.get("overlap"),
                        "bargein.kind": found.get("kind"),
                        "bargein.reason": found.get("reason"),
                    }
                ),
            )
        )


def _end(span: Span, call: CallFacts, episode: Episode, at_ms: int) -> None:
    instants = {
        "duck": episode.duck_at_ms,
        "pause": episode.pause_at_ms,
        "decision": episode.decided_at_ms,
        "silence": episode.silent_at_ms,
        "resume": episode.resumed_at_ms,
    }
    last_ms = episode.onset_at_ms
    for name, instant in instants.items():
        if instant is not None:
            span.add_event(name, timestamp=_ns(call, instant))
            last_ms = max(last_ms, instant)
    told = summary(episode)
    told.pop("overlap")
    span.set_attributes({f"bargein.{name}": value for name, value in told.items()})
    span.end(_ns(call, last_ms if episode.decided_at_ms is not None else max(last_ms, at_ms)))


def _of(call: CallFacts) -> dict[str, Any]:
    """The attributes of everything: few enough for a series each."""
    return _known(
        {
            "bargein.host": call.host,
            "gen_ai.agent.name": call.agent_name,
            "gen_ai.agent.version": call.agent_version,
        }
    )


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value not in (None, "")}


def _ns(call: CallFacts, at_ms: int) -> int:
    return int(call.began_at.timestamp() * 1_000_000_000) + at_ms * 1_000_000
