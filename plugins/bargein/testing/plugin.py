"""How are scripted calls part of a pytest run? A fixture, and a report of the calls that failed.

Loaded by pytest itself wherever `bargein` is installed; it imports nothing else until a test asks
for a call.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .calls.call import Call

FOLDER = "bargein-calls"
_CALLS: pytest.StashKey[list[Call]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to keep what a failed call sounded like."""
    group = parser.getgroup("bargein", "scripted calls to voice agents")
    group.addoption(
        "--bargein-calls",
        metavar="DIR",
        default=FOLDER,
        help=f"keep sound, trace and timeline of failed calls here (default: {FOLDER})",
    )
    group.addoption(
        "--bargein-keep", action="store_true", help="keep those of the calls that passed, too"
    )


@pytest.fixture
def talk(request: pytest.FixtureRequest) -> Iterator[Callable[..., Awaitable[Call]]]:
    """Play a script to an agent: ``call = await talk(agent, user("Hello"), ...)``."""
    from .calls import talk as play

    _hush()
    calls = request.node.stash.setdefault(_CALLS, [])
    root = request.config.rootpath / request.config.getoption("--bargein-calls")

    async def played(agent: Any, *steps: Any, **options: Any) -> Call:
        name = _plain(request.node.nodeid) + (f"-{len(calls) + 1}" if calls else "")
        call = await play(agent, *steps, folder=root / name, **options)
        calls.append(call)
        return call

    yield played
    if request.config.getoption("--bargein-keep"):
        for call in calls:
            if call.folder is not None:
                call.keep(call.folder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the calls of a test that failed; a machine that stood still skips it, and says so."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    calls = item.stash.get(_CALLS, [])
    if call.excinfo is None or "bargein.testing.calls" not in sys.modules:
        return
    from .calls import CallFailed, Stalled

    if isinstance(call.excinfo.value, Stalled):
        sentence = str(call.excinfo.value).partition("\n")[0]
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {sentence}")
    elif isinstance(call.excinfo.value, CallFailed):
        # What was measured, and the call as text, is all there is to read.
        report.longrepr = f"{_claim(call.excinfo)}{call.excinfo.value}"
    elif report.failed:
        for one in calls:
            if one.folder is not None:
                one.keep(one.folder)
                told = f"{one.timeline()}\n\nto hear and to replay: {one.folder}"
                report.sections.append(("the call", told))


def _claim(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """The line of the test that was not so."""
    ours = Path(__file__).parent
    own = [entry for entry in excinfo.traceback if ours not in Path(entry.path).parents]
    if not own:
        return ""
    last = own[-1]
    return f">   {str(last.statement).strip()}\n{last.path}:{last.lineno + 1}\n\n"


def _hush() -> None:
    """Pipecat tells everything on standard error, as long as nobody asked for something else."""
    if "loguru" in sys.modules:
        with contextlib.suppress(ValueError):
            sys.modules["loguru"].logger.remove(0)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
