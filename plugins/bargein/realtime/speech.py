"""What does the agent say, who asked for it, and what does the model know of it afterwards?"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from bargein.core.decisions import Decision, SpeakAgain, YieldFloor
from bargein.core.events import MessageLocked
from bargein.core.marked import Marked, Pattern

from . import wire
from .answers import Answers, Ask
from .call import RealtimeCall
from .timing import Pace, Timing
from .voice import Source, Voice

_OWN = 8
"""So many messages with sound of the application's are kept to be said again with it; of an older
one the model says the words."""


class Speech:
    """Every message of the agent's on its way: from the model, from the application, or again."""

    def __init__(
        self,
        call: RealtimeCall,
        voice: Voice,
        answers: Answers,
        *,
        tag: str,
        patterns: Iterable[Pattern],
    ) -> None:
        """Speak in a call.

        Args:
            call: the call.
            voice: says it.
            answers: asks the model for it.
            tag: the name of the tag around what must be heard; it is never spoken here.
            patterns: an answer in which one is found must be heard from there on.
        """
        self._call = call
        self._voice = voice
        self._answers = answers
        self._patterns = tuple(patterns)
        self._marked = Marked(tag=tag, patterns=self._patterns)
        self._sources: dict[str, Source] = {}
        """What the model says, by its item, until all of its response is there. Sound of one that
        was cut still trickles in until then."""
        self._asks: dict[str, Ask] = {}
        """Who asked for a response, by its id."""
        self._own: dict[str, Source] = {}
        """Messages with sound of the application's, by their ids."""
        self._after: dict[str, str] = {}
        """The item behind which a replay belongs, by its stream."""
        self._pace = Pace()
        voice.ended = self._ended
        call.decided.append(self._obey)

    # --- what the server tells ---

    def began(self, fact: wire.ResponseBegan) -> None:
        """A response begins."""
        ask = self._answers.began(fact)
        if ask is not None:
            self._asks[fact.response_id] = ask

    def made(self, fact: wire.AudioMade | wire.WordsMade) -> None:
        """More of a message."""
        self._answers.lives()
        source = self._source_of(fact)
        if isinstance(fact, wire.AudioMade):
            self._voice.put(source, fact.pcm)
            return
        self._voice.worded(source, fact.text)
        if self._patterns and not source.must_hear:
            self._marked.reset()
            pieces = (*self._marked.feed(source.text), *self._marked.end())
            source.must_hear = any(piece.must_hear for piece in pieces)

    def audio_ended(self, fact: wire.AudioEnded) -> None:
        """All of a message's sound is there."""
        if fact.item_id in self._sources:
            self._voice.end(self._sources[fact.item_id])

    def ended(self, fact: wire.ResponseEnded) -> None:
        """A response is over."""
        for source in tuple(self._sources.values()):
            if source.response_id == fact.response_id:
                self._voice.end(source)
                del self._sources[source.item_id]
        self._asks.pop(fact.response_id, None)
        self._answers.ended(fact)

    def reconnected(self) -> None:
        """No more comes of what the old connection was saying."""
        for source in tuple(self._sources.values()):
            self._voice.end(source)
        self._sources.clear()
        self._answers.reset()

    def sounds(self, item_id: str) -> bool:
        """Is more of this item still to be heard?"""
        source = self._sources.get(item_id)
        return source is not None and not source.over

    # --- what is to be said ---

    def ask(self, text: str, message_id: str = "", *, must_hear: bool = False) -> None:
        """Let the model say a text."""
        tag = message_id or str(uuid4())
        event = wire.respond(wire.exactly(text), tag)
        self._answers.want(Ask(event=event, tag=tag, text=text, must_hear=must_hear))

    def say(self, message: MessageLocked, audio: bytes, *, must_hear: bool) -> None:
        """Say a message with sound of the application's own."""
        own = self._source(message.message_id, must_hear=must_hear)
        self._voice.worded(own, message.text)
        self._voice.put(own, audio[: len(audio) // 2 * 2])
        self._voice.end(own)
        self._own.pop(message.message_id, None)
        self._own[message.message_id] = own
        while len(self._own) > _OWN:
            self._own.pop(next(iter(self._own)))

    def again(
        self, message_id: str, text: str, *, must_hear: bool = False, after: str = ""
    ) -> None:
        """Say the rest of a message, or all of it: by its own samples where they are all there,
        else the model says it. ``after`` names the item that asked for it."""
        of = self._own.get(message_id) or self._voice.kept.get(message_id)
        if of is not None and text:
            name = message_id if must_hear else f"{message_id}+"
            new = self._source(name, must_hear=must_hear)
            if self._voice.replay(of, new, text):
                self._after[new.stream] = after
                return
        self.ask(text, message_id if must_hear else "", must_hear=must_hear)

    def _source_of(self, fact: wire.AudioMade | wire.WordsMade) -> Source:
        source = self._sources.get(fact.item_id)
        if source is None:
            ask = self._asks.get(fact.response_id)
            source = self._source(
                ask.tag if ask and ask.tag else fact.item_id, must_hear=bool(ask and ask.must_hear)
            )
            source.item_id, source.response_id = fact.item_id, fact.response_id
            source.asked = ask.text if ask else ""
            self._sources[fact.item_id] = source
        return source

    def _source(self, message_id: str, *, must_hear: bool) -> Source:
        return Source(
            stream=f"{message_id}/{uuid4().hex[:8]}",
            message_id=message_id,
            timing=Timing(self._pace),
            must_hear=must_hear,
        )

    # --- what was said ---

    def _ended(self, source: Source, whole: bool, heard_ms: int) -> None:
        """The model is to know of a message as much as the caller."""
        send = self._call.send
        if source.item_id:
            if not whole and heard_ms > 0:
                send(wire.truncate(source.item_id, heard_ms))
            elif not whole:
                send(wire.delete(source.item_id))
        elif heard := self._voice.heard(source).strip():
            send(wire.said(heard, self._after.pop(source.stream, "")))

    def _obey(self, decision: Decision) -> None:
        match decision:
            case YieldFloor(breaks_lock=True):
                self._answers.called_off(decision.message_id)
            case SpeakAgain():
                self.again(decision.message_id, decision.text, must_hear=True)
            case _:
                pass
