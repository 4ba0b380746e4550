"""How are scripted calls part of a pytest run? A fixture, the time in which its tests run, and a
report of the calls that failed.

Loaded by pytest itself wherever `bargein` is installed. It imports no host; but the clocks of
``time`` must be known to the virtual one before anything that keeps them is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .calls.call import Call
    from .calls.talk import Talk

FOLDER = "bargein-calls"
MARKER = "real_time"
FIXTURE = "talk"
TIMES = ("virtual", "real")
_CALLS: pytest.StashKey[list[Call]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which time it is, and where to keep what a failed call sounded like."""
    group = parser.getgroup("bargein", "scripted calls to voice agents")
    group.addoption(
        "--bargein-time",
        choices=TIMES,
        default=None,
        help="time in tests that use the fixture talk; real for agents that talk to services"
        " outside of the test (default: virtual)",
    )
    parser.addini("bargein_time", "as --bargein-time", default="virtual")
    group.addoption(
        "--bargein-calls",
        metavar="DIR",
        default=FOLDER,
        help=f"keep sound, trace and timeline of failed calls here (default: {FOLDER})",
    )
    group.addoption(
        "--bargein-keep", action="store_true", help="keep those of the calls that passed, too"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before a conftest imports a host."""
    if not _may_be_virtual(early_config):
        return
    early = sorted({"pipecat", "livekit"} & set(sys.modules))
    if early and "bargein.testing.virtual_time" not in sys.modules:
        warnings.warn(
            f"{early[0]} was imported before bargein's plugin, and may go on by the machine's"
            " clock: let no plugin import it, or say bargein_time = real",
            pytest.PytestWarning,
            stacklevel=1,
        )
    from . import virtual_time  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """Tell of the marker."""
    config.addinivalue_line(
        "markers", f"{MARKER}: this test's agent is in another process, or uses services outside"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    """A test that is a coroutine and talks needs no marker of pytest-asyncio's."""
    if not (inspect.iscoroutinefunction(obj) and collector.istestfunction(obj, name)):
        return
    marks = {mark.name for mark in getattr(obj, "pytestmark", [])}
    if FIXTURE in inspect.signature(obj).parameters and not marks & {"asyncio", "anyio"}:
        pytest.mark.asyncio(obj)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]] | None:
    """A call is held in virtual time, so that it takes a second and no machine is too slow."""
    talks = FIXTURE in getattr(item, "fixturenames", ())
    if talks and _may_be_virtual(config) and not item.get_closest_marker(MARKER):
        from .virtual_time import VirtualTimeLoop

        return {"virtual": VirtualTimeLoop}
    # Whoever else has an opinion may have it, but somebody must.
    others = len(item.ihook.pytest_asyncio_loop_factories.get_hookimpls()) > 1
    return None if others else {"real": asyncio.new_event_loop}


@pytest.fixture
def talk(request: pytest.FixtureRequest) -> Iterator[Talk]:
    """Play a script to an agent: ``call = await talk(agent, user("Hello"), ...)``."""
    from .calls import talk as play

    _hush()
    calls = request.node.stash.setdefault(_CALLS, [])
    root = request.config.rootpath / request.config.getoption("--bargein-calls")

    async def played(agent: Any, *steps: Any, **options: Any) -> Call:
        name = _plain(request.node.nodeid) + (f"-{len(calls) + 1}" if calls else "")
        call = await play(agent, *steps, **{"folder": root / name, **options})
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


def _may_be_virtual(config: pytest.Config) -> bool:
    given: str = getattr(config.known_args_namespace, "bargein_time", None) or config.getini(
        "bargein_time"
    )
    if given not in TIMES:
        raise pytest.UsageError(f"bargein_time is virtual or real, not {given!r}")
    return given == "virtual"


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
