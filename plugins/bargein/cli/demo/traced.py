"""What is a demo's call as a trace? Ours tells its own; a host's is what was heard on the line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bargein.core import trace
from bargein.core.events import (
    Event,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    TurnTaken,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)
from bargein.core.trace import Entry
from bargein.testing.speech import agent_voice
from bargein.testing.utterance import FINAL_DELAY_S

from .measure import Spoken, agent_said
from .talk import Took, sentences

SAME_TURN_MS = 2_000
"""The LLM runs so soon after a turn was taken."""


class Notes:
    """Takes down what our own part of a call notices and decides."""

    def __init__(self, manners: Any) -> None:
        """Listen to a `Bargein`; none for a call that is the host's alone."""
        self.entries: list[Entry] = []
        self.began_s = 0.0
        if manners is not None:
            self.began_s = time.monotonic() - manners.now_ms / 1000
            manners.on_event(self.entries.append)
            manners.add_event_handler("on_decision", self._decided)

    def _decided(self, _manners: object, decision: Any) -> None:
        self.entries.append(decision)


def traced(took: Took, notes: Notes) -> str:
    """The lines of a call, its clock set to the beginning of its recording."""
    if notes.entries:
        offset_ms = round((took.began_s - notes.began_s) * 1000)
        entries = [_earlier(one, offset_ms) for one in notes.entries]
        told = [one for one in entries if isinstance(one, TurnTaken)]
        # Not every turn is ours to know of, but each run of the LLM shows one.
        entries += [
            turn
            for turn in _turns(took)
            if not any(
                one.text == turn.text and abs(one.at_ms - turn.at_ms) < SAME_TURN_MS for one in told
            )
        ]
    else:
        entries = list(_noticed(took))
    entries.sort(key=lambda one: one.at_ms)
    return "".join(f"{trace.write(one)}\n" for one in entries)


def _earlier(entry: Entry, by_ms: int) -> Entry:
    moved = replace(entry, at_ms=max(0, entry.at_ms - by_ms))
    if isinstance(moved, UserSpeechStarted) and moved.onset_at_ms is not None:
        return replace(moved, onset_at_ms=max(0, moved.onset_at_ms - by_ms))
    return moved


def _turns(took: Took) -> Iterator[TurnTaken]:
    """What the LLM was asked, and when."""
    for at_s, messages in took.call.runs[1:]:  # the first one is the greeting's
        last = messages[-1]
        if last.get("role") == "user":
            at_ms = max(0, round((at_s - took.began_s) * 1000))
            yield TurnTaken(at_ms=at_ms, text=str(last.get("content", "")))


def _noticed(took: Took) -> Iterator[Event]:
    def ms(at_s: float) -> int:
        return max(0, round((at_s - took.began_s) * 1000))

    for said in took.said:
        yield UserSpeechStarted(at_ms=ms(said.onset_s))
        yield UserSpeechStopped(at_ms=ms(said.ended_s))
        if said.what.text:
            final_ms = ms(said.ended_s + FINAL_DELAY_S)
            yield UserWordsHeard(at_ms=final_ms, text=said.what.text, is_final=True)
    yield from _turns(took)
    for one in agent_said(took):
        yield PlayoutStarted(at_ms=ms(one.began_s))
        yield PlayoutWorded(at_ms=ms(one.began_s), text=one.text)
        for at_s, chars in _words(one):
            yield PlayoutProgressed(at_ms=ms(at_s), heard_chars=chars)
        yield PlayoutStopped(at_ms=ms(one.ended_s), completed=not one.cut)


def _words(one: Spoken) -> Iterator[tuple[float, int]]:
    """When each word was heard, and how far it is into the text."""
    before_s = 0.0
    count, chars = 0, 0
    for sentence in sentences(one.text):
        pcm, words = agent_voice(sentence, 24000)
        for text, onset_s in words:
            count += 1
            if count > one.heard_words:
                return
            at_s = one.began_s + before_s + onset_s
            for paused_s, lasts_s in one.pauses:
                if paused_s <= at_s:
                    at_s += lasts_s
            chars = one.text.index(text, chars) + len(text)
            yield min(at_s, one.ended_s), chars
        before_s += len(pcm) / 24000
