"""Does the feed tell somebody who watches a call what happens in it?"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bargein.call import Call
from bargein.core.decisions import Decision
from bargein.core.events import (
    Event,
    MessageLocked,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from bargein.core.overlap import Rules
from bargein.core.unfinished import Resumption
from bargein.feed import PLAIN, Feed, News
from bargein.manners import Manners

LONG = "The clinic is on the second floor of the main building."


class Bare(Manners[Call]):
    """Manners without a host."""

    def _open(self, rules: Rules, resumption: Resumption) -> Call:
        self.log: list[str] = []
        return Call(rules, resumption, error=self.log.append)

    async def happen(self, *events: Event) -> None:
        """Let events happen, and the handlers run."""
        for event in events:
            self._call.feed(event)
        await asyncio.sleep(0)


async def told(*events: Event, **options: Any) -> list[News]:
    """What the feed says of them."""
    news: list[News] = []
    manners = Bare()
    Feed(manners, news.append, **options)
    await manners.happen(*events)
    manners._call.close()
    json.dumps(news)
    return news


def speaks(text: str = LONG, *, heard_chars: int, message_id: str = "m") -> list[Event]:
    return [
        PlayoutStarted(at_ms=0, message_id=message_id),
        PlayoutWorded(at_ms=0, text=text),
        PlayoutProgressed(at_ms=900, heard_chars=heard_chars),
    ]


def brief(news: News) -> Any:
    """A message as one looks at it."""
    match news["type"]:
        case "floor":
            on = [name for name, value in news.items() if value is True]
            return " ".join([news["floor"], *on])
        case "answer":
            return f"{news['heard']}|{news['unheard']}{'.' if news['over'] else ''}"
        case "caller":
            return f"caller: {news['text']}"
        case "decision":
            return news["says"]
        case _:
            return f"{news['type']}: {news['state']} {news['heard']}"


async def test_an_interruption_reads_as_it_happened() -> None:
    news = await told(
        *speaks("The clinic is white.", heard_chars=10),
        UserSpeechStarted(at_ms=1000),
        UserWordsHeard(at_ms=1300, text="no wait", is_final=False),
        UserSpeechStopped(at_ms=1600),
    )
    assert [brief(one) for one in news] == [
        "agent",
        "|",
        "|The clinic is white.",
        "The clinic| is white.",
        "The agent lowers its voice: overlap began.",
        "contested ducked",
        "The agent stops for the caller (correction): a floor opening.",
        "caller: no wait",
        "user can_go_on",
        "The clinic| is white..",
        "open can_go_on",
    ]
    assert [one["at_ms"] for one in news] == sorted(one["at_ms"] for one in news)
    (shift,) = [one for one in news if one.get("decision") == "YieldFloor"]
    assert shift == {
        "type": "decision",
        "at_ms": 1300,
        "decision": "YieldFloor",
        "says": "The agent stops for the caller (correction): a floor opening.",
        "reason": "a floor opening",
        "kind": "correction",
        "text": "no wait",
    }


async def test_an_answer_that_was_not_cut_ends_heard_in_full() -> None:
    # The last word's time may be missing; nothing was cut, so nothing is unheard.
    news = await told(*speaks(heard_chars=40), PlayoutStopped(at_ms=2000))
    answers = [one for one in news if one["type"] == "answer"]
    assert (answers[-1]["heard"], answers[-1]["unheard"], answers[-1]["over"]) == (LONG, "", True)


async def test_one_answer_behind_another_ends_the_first() -> None:
    news = await told(*speaks(heard_chars=4), PlayoutStarted(at_ms=950, message_id="next"))
    answers = [(one["message_id"], one["over"]) for one in news if one["type"] == "answer"]
    assert answers[-2:] == [("m", True), ("next", False)]


async def test_a_message_that_must_be_heard_is_locked_until_its_receipt() -> None:
    news = await told(
        MessageLocked(at_ms=0, message_id="code", text="Your code is four two."),
        *speaks("Your code is four two.", heard_chars=9, message_id="code"),
        UserSpeechStarted(at_ms=950),
        UserWordsHeard(at_ms=1100, text="what was that", is_final=True),
        UserSpeechStopped(at_ms=1200),
        PlayoutStopped(at_ms=2000),
    )
    floors = [brief(one) for one in news if one["type"] == "floor"]
    assert floors[0] == "open locked"
    assert floors[1] == "agent locked"
    assert "locked" not in floors[-1]
    (receipt,) = [one for one in news if one["type"] == "receipt"]
    assert (receipt["state"], receipt["message_id"]) == ("delivered", "code")
    assert receipt["heard"] == "Your code is four two."


async def test_without_words_nobody_learns_what_was_said() -> None:
    news = await told(
        *speaks("Secret one.", heard_chars=6),
        UserSpeechStarted(at_ms=1000),
        UserWordsHeard(at_ms=1300, text="no wait secret", is_final=True),
        words=False,
    )
    assert {one["type"] for one in news} == {"floor", "answer", "decision", "caller"}
    assert "ecret" not in json.dumps(news)


async def test_what_comes_back_is_only_ever_one_of_two_wishes() -> None:
    manners = Bare()
    feed = Feed(manners, [].append)
    for wish in (
        None,
        5,
        "stop",
        [],
        {},
        {"type": None},
        {"type": ["stop"]},
        {"type": "signalling"},
    ):
        assert not feed.obey(wish)
    decisions: list[Decision] = []
    manners.on("decision")(decisions.append)
    await manners.happen(*speaks(heard_chars=10))
    assert feed.obey({"type": "stop"})
    await asyncio.sleep(0)
    assert [type(one).__name__ for one in decisions] == ["YieldFloor"]


async def test_a_feed_that_nobody_takes_hurts_nobody() -> None:
    def broken(_: News) -> None:
        raise ConnectionError("gone")

    manners = Bare()
    Feed(manners, broken)
    await manners.happen(*speaks(heard_chars=10))
    assert manners.floor == "agent"
    assert len(manners.log) == 1


@pytest.mark.parametrize("decision", Decision.__args__, ids=lambda one: one.__name__)
def test_every_decision_has_plain_words(decision: type[Decision]) -> None:
    assert PLAIN[decision]
