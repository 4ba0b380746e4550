"""How is the difference shown to somebody who has never seen it?"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from .measure import LISTENING, Heard, Overlap, WentOn
from .talk import GO_ON, NO_WAIT, YES

EVENTS = 11
"""How many things the caller says at most."""


class Progress:
    """A bar for each call."""

    def __init__(self, ways: Mapping[str, str], *, quiet: bool) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.fields[says]}"),
            TimeElapsedColumn(),
            disable=quiet,
            console=Console(stderr=True),
        )
        self._tasks = {
            way: self._bars.add_task(title, total=EVENTS, says="ringing")
            for way, title in ways.items()
        }

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks.values():
            self._bars.update(task, completed=EVENTS, says="done")
        self._bars.stop()

    def says(self, way: str, what: str) -> None:
        """The caller says something."""
        self._bars.update(self._tasks[way], advance=1, says=f"caller: {what}")


def table(heard: Mapping[str, Heard], titles: Mapping[str, str]) -> None:
    """Print the calls side by side."""
    grid = Table(title="The same call", title_style="bold", show_lines=False)
    grid.add_column("the caller says")
    for way in heard:
        grid.add_column(titles[way])
    for name in (*LISTENING, NO_WAIT):
        grid.add_row(
            f'"{name}"' if name != "a cough" else name,
            *(_overlap(_find(one, name), meant=name == NO_WAIT) for one in heard.values()),
        )
    grid.add_row(
        f'"{YES}", before the question ends',
        *("[red]lost[/]" if one.answer_lost else "[green]answered[/]" for one in heard.values()),
    )
    grid.add_row(
        "speaks over a code",
        *(_code(one) for one in heard.values()),
    )
    grid.add_row(
        f'"{GO_ON}", after a question in between',
        *(_went_on(one.went_on) for one in heard.values()),
    )
    grid.add_section()
    grid.add_row("speech lost to noises", *(f"{_lost(one):.1f} s" for one in heard.values()))
    grid.add_row("LLM runs nobody needed", *(_flag(one.extra_llm_runs) for one in heard.values()))
    grid.add_row(
        "noises in the LLM context", *(_flag(one.backchannels_in_context) for one in heard.values())
    )
    grid.add_row(
        "words in the context / heard",
        *(_words(one) for one in heard.values()),
    )
    Console().print(grid)


def verdict(heard: Mapping[str, Heard], titles: Mapping[str, str]) -> str:
    """One line for those who read only one."""
    parts = []
    for way, one in heard.items():
        cuts = sum(o.cut for o in one.overlaps if o.says in LISTENING)
        stop = _find(one, NO_WAIT)
        ms = (
            "never"
            if stop is None or stop.silent_after_ms is None
            else f"{stop.silent_after_ms} ms"
        )
        parts.append(f"{titles[way]}: stopped by {cuts} noises, by the caller after {ms}")
    return ";\n".join(parts) + "."


def _find(one: Heard, name: str) -> Overlap | None:
    return next((overlap for overlap in one.overlaps if overlap.says == name), None)


def _overlap(overlap: Overlap | None, *, meant: bool) -> str:
    if overlap is None or not overlap.over_agent:
        return "agent was silent already"
    if not overlap.cut:
        if overlap.paused_ms and not meant:
            return f"[red]goes on[/] after {overlap.paused_ms} ms of silence"
        return "[red]ignored[/]" if meant else "[green]goes on[/]"
    colour = "green" if meant else "red"
    after = f"silent {overlap.silent_after_ms} ms after the onset"
    return f"[{colour}]stops[/], {overlap.lost_s:.1f} s unsaid, {after}"


def _code(one: Heard) -> str:
    if not one.code_heard:
        return "[red]code cut[/]"
    told = f", receipt: {', '.join(one.receipts)}" if one.receipts else ""
    return f"[green]code heard in full[/]{told}"


def _went_on(after: WentOn) -> str:
    runs = {0: "no LLM run", 1: "1 LLM run"}.get(after.llm_runs, f"{after.llm_runs} LLM runs")
    unheard = f", {after.words_unheard} words unheard" if after.words_unheard else ""
    if after.from_word is None:
        return f"[red]never goes on[/]{unheard}, {runs}"
    what = "[green]goes on[/]" if after.from_word else "[red]says it all again[/]"
    return f"{what}, {after.words_twice} words twice{unheard}, {runs}"


def _words(one: Heard) -> str:
    context, ear = (
        sum(getattr(a, f"{of}_words") for a in one.answers) for of in ("context", "heard")
    )
    return f"{context} / {ear}"


def _lost(one: Heard) -> float:
    return sum(overlap.lost_s for overlap in one.overlaps if overlap.says in LISTENING)


def _flag(count: int) -> str:
    return f"[red]{count}[/]" if count else "[green]0[/]"
