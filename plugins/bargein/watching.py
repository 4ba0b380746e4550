"""Who looks on at a call? Its history, its journal, and whoever watches many."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from bargein import __version__
from bargein.call import Call
from bargein.core.decisions import Kind
from bargein.core.overlap import Ruling
from bargein.journal import CallFacts, CallJournal, Interruptions, Journal, Observer, Watcher
from bargein.language import Judges


class Watching:
    """Everything that looks on at one call. It hears of everything first, and changes nothing."""

    def __init__(
        self,
        call: Call,
        *,
        host: str,
        journal: Journal | str | os.PathLike[str] | Callable[[str], object] | None,
        watchers: Sequence[Watcher],
        call_id: str,
        agent: str,
        judges: Judges,
    ) -> None:
        """Look on from now on.

        Raises:
            JournalError: a journal that cannot work.
        """
        self.interruptions = Interruptions()
        self._journal = (
            journal if journal is None or isinstance(journal, Journal) else Journal(journal)
        )
        self.facts = CallFacts(
            call_id=call_id or uuid4().hex,
            host=host,
            agent=agent,
            began_at=datetime.now(UTC) - timedelta(milliseconds=call.clock_ms()),
        )

        opens: Callable[[], CallJournal] | None = None
        if self._journal is not None:
            opens = partial(self._journal.open, self.facts, call.report, version=__version__)

        def listens(caller_words: str, agent_said: str) -> bool:
            judged = judges(caller_words, agent_said=agent_said, is_final=True)
            return judged.ruling is Ruling.HOLD and judged.kind is Kind.BACKCHANNEL

        observer = Observer(
            self.facts,
            journal=opens,
            watchers=(self.interruptions, *watchers),
            listens=listens,
            now_ms=lambda: call.now_ms,
            report=call.report,
            host_turn=lambda: call.host_turn(),
        )
        # Before all others: they may answer with events of their own, which come later.
        call.happened.insert(0, observer.happened)
        call.decided.insert(0, observer.decided)
        call.troubled.append(observer.trouble)
        call.closing.append(observer.close)

    async def end(self) -> None:
        """Give the journal a last moment."""
        if self._journal is not None:
            await self._journal.flush()
