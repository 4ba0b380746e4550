"""What happened in a call, to be read while it happens?

The words of both are told: for calls whose words are a script, and not for people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bargein.core.decisions import ReportBackchannel
from bargein.interruption import Interruption
from bargein.manners import Manners
from bargein.memory import Receipt


@dataclass(kw_only=True)
class Told:
    """What happened in a call."""

    yields: list[Interruption] = field(default_factory=list)
    backchannels: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    acknowledged: list[Receipt] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """What the LLM was asked, as the context had it."""


def listen(manners: Manners[Any], told: Told, tell: Callable[[str], None]) -> None:
    """Note what happens.

    Args:
        manners: of the call.
        told: where it is noted.
        tell: told of it, a line at a time, with the call's own time before it.
    """

    def line(what: str) -> None:
        tell(f"{manners.now_ms / 1000:5.1f} s  {what}")

    @manners.on("backchannel")
    def listened(news: ReportBackchannel) -> None:
        told.backchannels.append(news.text)
        line(f'the caller listens: "{news.text}"; the agent goes on')

    @manners.on("yield")
    def interrupted(news: Interruption) -> None:
        told.yields.append(news)
        kind = f" ({news.kind.value})" if news.kind else ""
        line(f'the caller takes the floor{kind}: "{news.caller_words}"')

    @manners.on("receipt")
    def said(receipt: Receipt) -> None:
        told.receipts.append(receipt)
        line(f'what had to be heard is {receipt.state.value}: "{receipt.heard}"')

    @manners.on("receipt_acknowledged")
    def played(receipt: Receipt) -> None:
        told.acknowledged.append(receipt)
        line(f'the telephone has played it: "{receipt.heard}"')
