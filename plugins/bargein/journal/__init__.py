"""What happened in a call, written down and counted. ``SCHEMA.md`` beside this file describes the
lines; `bargein.journal.otel` speaks OpenTelemetry."""

from .alerts import Alert, Alerts, Trouble
from .episode import Episode, Mistake, Outcome
from .interruptions import Interrupted, Interruptions
from .journal import CallJournal, Journal
from .observer import Observer
from .sinks import JournalError
from .watcher import CallFacts, Watcher

__all__ = [
    "Alert",
    "Alerts",
    "CallFacts",
    "CallJournal",
    "Episode",
    "Interrupted",
    "Interruptions",
    "Journal",
    "JournalError",
    "Mistake",
    "Observer",
    "Outcome",
    "Trouble",
    "Watcher",
]
