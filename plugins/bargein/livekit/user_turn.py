"""What becomes of withheld words when the application itself commits or clears the turn?"""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import AgentSession

from .words import CallerWords


def turns_of_the_application(session: AgentSession[Any], words: CallerWords) -> None:
    """Let ``commit_user_turn`` and ``clear_user_turn`` mean the words that wait here, too.

    The session tells nobody that it was asked, so we stand around the two, as a subclass would.
    """
    commit, clear = session.commit_user_turn, session.clear_user_turn

    words.clear = clear

    def committed(**options: Any) -> asyncio.Future[str]:
        words.release_all()
        return commit(**options)

    def cleared() -> None:
        words.forget()
        clear()

    for name, ours in (("commit_user_turn", committed), ("clear_user_turn", cleared)):
        setattr(session, name, ours)
