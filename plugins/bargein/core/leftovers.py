"""What is kept of speech that was cut?"""

from __future__ import annotations

from dataclasses import replace

from .decisions import Kind, YieldFloor
from .events import ToolFinished, ToolStarted, UnfinishedRecalled
from .playout import Playout, has_words
from .unfinished import RESULT_CHARS, Mode, Offer, Resumption, Tool, Unfinished

NOTHING_LEFT = frozenset({Kind.CANCELLATION, Kind.EMERGENCY})
"""Kinds of yields after which nobody wants to hear the rest."""


def yielded(memory: Resumption, decision: YieldFloor, said: Playout) -> Resumption:
    """The floor was taken: what the agent was saying is kept, unless nobody wants it."""
    if decision.kind is Kind.ANSWER:
        return memory  # perhaps to the offer, before it was over
    if memory.offer is Offer.SOUNDS:
        return unasked(memory)  # of a cut offer nothing is worth keeping
    if decision.kind in NOTHING_LEFT:
        return replace(returned(memory), resumed=None)
    text = decision.heard + decision.unheard
    said = replace(said, text=text, heard_chars=len(decision.heard))
    return _cut(memory, said, decision.at_ms, decision.kind, decision.caller_words)


def _cut(
    memory: Resumption, said: Playout, at_ms: int, kind: Kind | None, caller_words: str
) -> Resumption:
    again = _again(memory, said)
    memory = replace(returned(memory), resumed=None)
    topic = memory.topic
    entry = again or Unfinished(
        message_id=said.message_id,
        text=said.text,
        heard=said.heard,
        kind=kind,
        cut_at_ms=at_ms,
        topic=topic.topic if topic else "",
        task=topic.task if topic else "",
        context_note=topic.context_note if topic else "",
    )
    if not has_words(entry.unheard):
        return memory
    share = len(entry.heard) / max(1, len(entry.text))
    named = topic.progress if topic is not None else None
    entry = replace(
        entry,
        kind=kind,
        cut_at_ms=at_ms,
        caller_words=caller_words,
        progress=share if named is None else named,
        tools=(*(tool for tool in entry.tools if tool.result is not None), *memory.tools),
        offered=False,
    )
    return replace(memory, stack=(*memory.stack, entry)[-memory.depth :])


def _again(memory: Resumption, said: Playout) -> Unfinished | None:
    """What it went on with was cut once more: the same message, and more of it was heard."""
    entry = memory.resumed
    if entry is None or not memory.sounded:
        return None
    # The bridge comes before the rest, and services change spaces and punctuation.
    bare, whole = letters(entry.rest), letters(said.text)
    if not whole.endswith(bare):
        return None
    heard = len(letters(said.heard)) - (len(whole) - len(bare))
    at = entry.resumes_at
    while heard > 0 and at < len(entry.text):
        heard -= entry.text[at].isalnum()
        at += 1
    while at < len(entry.text) and not (entry.text[at].isalnum() or entry.text[at].isspace()):
        at += 1  # what ends the word ends the clause
    return replace(entry, heard=entry.text[: max(at, len(entry.heard))])


def letters(text: str) -> str:
    """A text without what services change: spaces, punctuation."""
    return "".join(character for character in text if character.isalnum())


def broken_off(memory: Resumption, at_ms: int, said: Playout | None) -> Resumption:
    """The agent did not end by itself, and nobody took the floor."""
    if said is None or said.must_hear or memory.mode is Mode.OFF:
        return memory
    if memory.offer is Offer.SOUNDS:
        return unasked(memory)
    return _cut(memory, said, at_ms, None, "")


def returned(memory: Resumption) -> Resumption:
    """What the agent was to go on with, and never began to, is unfinished still."""
    entry = memory.pending
    if entry is None:
        return memory
    return replace(memory, stack=(*memory.stack, entry)[-memory.depth :], resumed=None)


def unasked(memory: Resumption) -> Resumption:
    """No offer is out any more."""
    return replace(memory, awaited="", offer=Offer.NONE)


def answered_by(memory: Resumption, *, caller_words: str) -> Resumption:
    """What the caller said instead of the newest."""
    newest = memory.newest
    assert newest is not None
    return replace(memory, stack=(*memory.stack[:-1], replace(newest, caller_words=caller_words)))


def fresh(memory: Resumption, at_ms: int) -> Resumption:
    """Without what has been waiting for too long."""
    if not any(entry.cut_at_ms + memory.ttl_ms <= at_ms for entry in memory.stack):
        return memory
    stack = tuple(e for e in memory.stack if e.cut_at_ms + memory.ttl_ms > at_ms)
    return replace(memory, stack=stack)


def brought_back(memory: Resumption, event: UnfinishedRecalled) -> Resumption:
    """With what an earlier call left unsaid."""
    if any(entry.message_id == event.message_id for entry in memory.kept):
        return memory
    entry = Unfinished(
        message_id=event.message_id,
        text=event.text,
        heard=event.heard,
        kind=event.kind,
        cut_at_ms=event.at_ms - event.age_ms,
        caller_words=event.caller_words,
        topic=event.topic,
        task=event.task,
        progress=event.progress,
        context_note=event.context_note,
        tools=tuple(Tool(name=name, result=result) for name, result in event.tools),
        offered=event.offered,
        recalled=True,
    )
    stack = sorted((*memory.stack, entry), key=lambda one: one.cut_at_ms)
    return fresh(replace(memory, stack=tuple(stack)[-memory.depth :]), event.at_ms)


def dropped(memory: Resumption, message_id: str) -> Resumption:
    """Without this; without the newest where it names none."""
    first = memory.pending or memory.newest
    message_id = message_id or (first.message_id if first else "")
    if memory.pending and memory.pending.message_id == message_id:
        memory = replace(memory, resumed=None)
    stack = tuple(entry for entry in memory.stack if entry.message_id != message_id)
    memory = replace(memory, stack=stack, asked=False)
    return unasked(memory) if memory.awaited == message_id else memory


def tool_news(memory: Resumption, event: ToolStarted | ToolFinished) -> Resumption:
    """A function call, and what it answers, stays with the speech that waited for it."""
    if isinstance(event, ToolStarted):
        tool = Tool(name=event.name, call_id=event.call_id)
        return replace(memory, tools=(*memory.tools, tool))
    out = Tool(name=event.name, call_id=event.call_id)
    if out not in memory.tools:
        return memory
    place = memory.tools.index(out)
    tools = memory.tools[:place] + memory.tools[place + 1 :]
    answered = (replace(out, result=event.result[:RESULT_CHARS]),) if event.result else ()
    stack = tuple(
        replace(
            entry,
            tools=tuple(
                new for tool in entry.tools for new in (answered if tool == out else (tool,))
            ),
        )
        if out in entry.tools
        else entry
        for entry in memory.stack
    )
    return replace(memory, tools=tools, stack=stack)
