"""Do we, or our tests, use anything that a host is about to take away? Then the run fails.

A filter of pytest's is not enough. Pipecat warns under a filter of its own, which shows what ours
would make an error; LiveKit writes into its log who called, and warns nobody. So whatever was told
is looked at when the run ends.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

import bargein

OURS = (Path(bargein.__file__).parent, *(Path(__file__).parents[1] / one for one in (
    "plugins", "tests", "pipelines", "examples",
)))  # fmt: skip
GOING = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
BROUGHT_BY_USERS = ("livekit-plugins-silero ",)
"""Tried because they are still used beside us, for as long as there are any."""


class _ToldInALog(logging.Handler):
    """What LiveKit writes becomes a warning about the line that it names."""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "deprecated" in message:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn_explicit(message, DeprecationWarning, record.pathname, record.lineno)


class DeprecatedUses:
    """A plugin of pytest's."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}
        """The line that does it -> what it was told, and in which test first."""
        self._log = _ToldInALog()
        logging.getLogger("livekit").addHandler(self._log)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, nodeid: str
    ) -> None:
        """Called for each warning, and with workers once more where their results come in."""
        path = Path(warning_message.filename).resolve()
        here = path.is_file() and any(path.is_relative_to(one) for one in OURS)  # no "<frozen abc>"
        brought = str(warning_message.message).startswith(BROUGHT_BY_USERS)
        if here and not brought and issubclass(warning_message.category, GOING):
            line = f"{path}:{warning_message.lineno}"
            self.told.setdefault(line, f"{warning_message.message}  ({nodeid})")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tests that all passed are not enough."""
        if self.told and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what, and where."""
        if self.told:
            terminalreporter.section("used here, and deprecated", red=True)
            for line, message in sorted(self.told.items()):
                terminalreporter.line(f"{line}: {message}")
