"""What does one ``/v1/listen`` of Deepgram say? Words so far, finals, and where speech ended."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from .said import Cue, Due, Failed, Heard, Said, Word, timeline
from .wire import Message, Socket

ENDPOINTING_MS = 10
"""What Deepgram takes when a client names no ``endpointing``."""

FILLERS = frozenset({"uh", "um"})
"""What Deepgram leaves out unless a client asks for ``filler_words``; "uh-huh" stays in."""

CONFIDENCE = 0.98
_OPEN_END_MS = 1 << 40
_UTTERANCE_END = Heard(cue=Cue.END, at_ms=-1)


class Nova:
    """The state of one ``/v1/listen``: the words since the last final."""

    def __init__(self, wire: Socket, began_ms: int) -> None:
        self._wire = wire
        self._began_ms = began_ms
        self._words: list[Word] = []
        self._last_end_ms = 0
        self._segment_at_ms = began_ms
        option = wire.record.option
        self._interims = option("interim_results") == "true"
        self._punctuate = "true" in (option("punctuate"), option("smart_format"))
        self._fillers = option("filler_words") == "true"
        self._voice_events = option("vad_events") == "true"
        self._utterance_end_ms = int(option("utterance_end_ms", "0"))
        asked = option("endpointing", str(ENDPOINTING_MS))
        self._endpointing_ms = None if asked == "false" else int(asked)
        self._request_id = str(uuid.uuid4())

    def dues(self, script: Sequence[Said | Failed]) -> list[Due]:
        """When this connection knows of each thing that is still to come."""
        found: list[Due] = []
        for heard in timeline(script, self._began_ms):
            wait_ms = 0
            if isinstance(heard, Heard) and heard.cue in (Cue.PAUSE, Cue.END):
                longest_ms = _OPEN_END_MS if heard.silent_ms is None else heard.silent_ms
                if self._utterance_end_ms and self._utterance_end_ms <= longest_ms:
                    found.append((heard.at_ms + self._utterance_end_ms, _UTTERANCE_END))
                if self._endpointing_ms is None or self._endpointing_ms > longest_ms:
                    continue
                wait_ms = self._endpointing_ms
            found.append((heard.at_ms + wait_ms, heard))
        return sorted(found, key=lambda due: due[0])

    async def notice(self, heard: Heard | Failed, now_ms: int) -> None:
        """Tell the client what is known now."""
        if isinstance(heard, Failed):
            await self._wire.send(
                {
                    "type": "Error",
                    "variant": heard.code,
                    "description": heard.description,
                    "message": heard.description,
                }
            )
            await self._wire.close(1011, heard.code)
        elif heard is _UTTERANCE_END:
            await self._wire.send(
                {
                    "type": "UtteranceEnd",
                    "channel": [0, 1],
                    "last_word_end": self._s(self._last_end_ms),
                }
            )
        elif heard.cue is Cue.VOICE:
            if self._voice_events:
                await self._wire.send(
                    {"type": "SpeechStarted", "channel": [0, 1], "timestamp": self._s(heard.at_ms)}
                )
        elif heard.word is not None:
            if self._fillers or heard.word.bare not in FILLERS:
                self._words.append(heard.word)
                self._last_end_ms = heard.word.ends_at_ms
                if self._interims:
                    await self._results(now_ms)
        else:
            await self._results(now_ms, final=True, endpoint=heard.cue is not Cue.COMMIT)

    async def told(self, message: Message, clock_ms: int) -> None:
        """Do what the client asks, ``clock_ms`` into its audio."""
        now_ms = self._began_ms + clock_ms
        match message.get("type"):
            case "Finalize":
                await self._results(now_ms, final=True, finalize=True)
            case "CloseStream":
                if self._words:
                    await self._results(now_ms, final=True)
                await self._wire.send(
                    {
                        "type": "Metadata",
                        "transaction_key": "deprecated",
                        "request_id": self._request_id,
                        "sha256": "",
                        "created": "2026-01-01T00:00:00.000Z",
                        "duration": clock_ms / 1000,
                        "channels": 1,
                    }
                )
                await self._wire.close()
            case "KeepAlive":
                pass
            case other:
                await self.notice(
                    Failed(at_ms=now_ms, code="DATA-0000", description=f"no such message: {other}"),
                    now_ms,
                )

    async def _results(
        self, now_ms: int, *, final: bool = False, endpoint: bool = False, finalize: bool = False
    ) -> None:
        text = " ".join(word.text if self._punctuate else word.bare for word in self._words)
        words = [
            {
                "word": word.bare,
                "start": self._s(word.begins_at_ms),
                "end": self._s(word.ends_at_ms),
                "confidence": CONFIDENCE,
            }
            | ({"punctuated_word": word.text} if self._punctuate else {})
            for word in self._words
        ]
        alternative = {
            "transcript": text,
            "confidence": CONFIDENCE if text else 0.0,
            "words": words,
        }
        started_ms = self._segment_at_ms
        if final:
            self._words = []
            self._segment_at_ms = now_ms
        await self._wire.send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": self._s(started_ms),
                "duration": (now_ms - started_ms) / 1000,
                "is_final": final,
                "speech_final": endpoint,
                "from_finalize": finalize,
                "channel": {"alternatives": [alternative]},
                "metadata": {
                    "request_id": self._request_id,
                    "model_uuid": str(uuid.UUID(int=0)),
                    "model_info": {"name": "loopback", "version": "0", "arch": "nova-3"},
                },
            }
        )

    def _s(self, at_ms: int) -> float:
        return max(0, at_ms - self._began_ms) / 1000
