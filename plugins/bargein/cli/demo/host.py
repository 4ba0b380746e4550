"""On which host does the call take place?"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bargein.testing.recorded import Written
from bargein.testing.tones import PCM
from bargein.testing.utterance import Utterance

HOSTS = ("pipecat", "livekit")
OURS = "ours"


class Call(Protocol):
    """A call of any host's, ready to run."""

    async def start(self) -> None:
        """Run until the host is ready for the caller."""

    async def greet(self) -> None:
        """Let the LLM answer what the caller has said first."""

    async def end(self) -> None:
        """Hang up, and wait until everything is over."""

    async def say(self, clip: Utterance) -> float:
        """Let the caller say something; when it began, on ``time.monotonic``."""

    @property
    def manners(self) -> Any:
        """Our part of it; None where it is the host's alone."""

    @property
    def spoken(self) -> list[tuple[float, PCM]]:
        """When each clip of the caller's began, and the clip."""

    @property
    def runs(self) -> Sequence[tuple[float, list[Any]]]:
        """When each run of the LLM began, and the messages it saw."""

    @property
    def voiced(self) -> Sequence[tuple[float, str]]:
        """When each text was given to the voice, and the text."""

    @property
    def written(self) -> list[Written]:
        """What the caller heard."""

    @property
    def rate(self) -> int:
        """Samples of that in a second."""

    def recording(self, from_s: float, until_s: float) -> PCM:
        """What was heard between two instants, silence included."""

    def context(self) -> list[dict[str, Any]]:
        """What the LLM's context says in the end."""

    def receipts(self) -> list[str]:
        """What became of each message that had to be heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A framework, and the ways to make the call on it."""

    title: str
    ways: dict[str, str]
    """Each way, and what it is called in the table; ours comes last."""
    recognisers: tuple[str, ...]
    build: Callable[[str, str], Call]
    """Makes a call, of a way and of a recogniser."""


def host(name: str) -> Host:
    """One of `HOSTS`.

    Raises:
        ImportError: it is not installed.
    """
    module = importlib.import_module(f".on_{name}", __package__)
    found: Host = module.HOST
    return found


def pipeline(name: str) -> Any:
    """A file of ``pipelines``: inside the wheel, or beside the package in a source tree."""
    path = Path(__file__).parents[4] / "pipelines" / f"{name}.py"
    if not path.exists():
        return importlib.import_module(f"bargein.pipelines.{name}")
    found = f"bargein_{name}"
    if found not in sys.modules:
        spec = importlib.util.spec_from_file_location(found, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[found] = module
        spec.loader.exec_module(module)
    return sys.modules[found]
