"""What does one ``/v2/listen`` of Deepgram, Flux, say? Turns, and guesses that they are over."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from .said import Cue, Due, Failed, Heard, Said, Word, timeline
from .wire import Message, Socket

EAGER_MS = 200
"""How long Flux waits in silence before it says `EagerEndOfTurn`."""

END_OF_TURN_MS = 500
"""How long Flux waits in silence before it says `EndOfTurn`."""

CONFIDENCE = 0.98


class Flux:
    """The state of one ``/v2/listen``: a turn, and whether its end was already guessed."""

    def __init__(self, wire: Socket, began_ms: int) -> None:
        self._wire = wire
        self._began_ms = began_ms
        self._words: list[Word] = []
        self._guessed = False
        self._turn = 0
        self._turn_at_ms = began_ms
        self._sequence = 0
        self._eager = bool(wire.record.option("eager_eot_threshold"))
        self._request_id = str(uuid.uuid4())

    def dues(self, script: Sequence[Said | Failed]) -> list[Due]:
        """When this connection knows of each thing that is still to come."""
        found: list[Due] = []
        for heard in timeline(script, self._began_ms):
            if isinstance(heard, Heard) and heard.cue in (Cue.PAUSE, Cue.END):
                if heard.silent_ms is None or heard.silent_ms > EAGER_MS:
                    pause = Heard(cue=Cue.PAUSE, at_ms=heard.at_ms)
                    found.append((heard.at_ms + EAGER_MS, pause))
                if heard.cue is Cue.END:
                    found.append((heard.at_ms + END_OF_TURN_MS, heard))
            else:
                found.append((heard.at_ms, heard))
        return sorted(found, key=lambda due: due[0])

    async def notice(self, heard: Heard | Failed, now_ms: int) -> None:
        """Tell the client what is known now."""
        if isinstance(heard, Failed):
            await self.send({"type": "Error", "code": heard.code, "description": heard.description})
            await self._wire.close(1011, heard.code)
        elif heard.word is not None:
            self._words.append(heard.word)
            await self._info("StartOfTurn" if len(self._words) == 1 else "Update", now_ms)
        elif heard.cue is Cue.VOICE and self._guessed:
            self._guessed = False
            await self._info("TurnResumed", now_ms)
        elif heard.cue is Cue.PAUSE and self._eager and self._words:
            self._guessed = True
            await self._info("EagerEndOfTurn", now_ms)
        elif heard.cue is Cue.END and self._words:
            await self._info("EndOfTurn", now_ms)
            self._words, self._guessed = [], False
            self._turn += 1
            self._turn_at_ms = now_ms

    async def told(self, message: Message, clock_ms: int) -> None:
        """Do what the client asks, ``clock_ms`` into its audio."""
        match message.get("type"):
            case "Configure":
                thresholds = message.get("thresholds") or {}
                if "eager_eot_threshold" in thresholds:
                    self._eager = thresholds["eager_eot_threshold"] is not None
                echo = {name: value for name, value in message.items() if name != "type"}
                await self.send({"type": "ConfigureSuccess"} | echo)
            case "CloseStream":
                if self._words:
                    await self.notice(Heard(cue=Cue.END, at_ms=0), self._began_ms + clock_ms)
                await self._wire.close()

    async def _info(self, event: str, now_ms: int) -> None:
        sure = {"EndOfTurn": 0.9, "EagerEndOfTurn": 0.6}.get(event, 0.1)
        await self.send(
            {
                "type": "TurnInfo",
                "event": event,
                "turn_index": self._turn,
                "audio_window_start": (self._turn_at_ms - self._began_ms) / 1000,
                "audio_window_end": (now_ms - self._began_ms) / 1000,
                "transcript": " ".join(word.text for word in self._words),
                "words": [{"word": word.text, "confidence": CONFIDENCE} for word in self._words],
                "end_of_turn_confidence": sure,
            }
        )

    async def send(self, message: Message) -> None:
        """Send a message with its number."""
        self._sequence += 1
        numbered = {"request_id": self._request_id, "sequence_id": self._sequence - 1}
        await self._wire.send(message | numbered)
