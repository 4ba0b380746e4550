"""What does Deepgram say when somebody talks to it? ``/v1/listen``, and Flux on ``/v2/listen``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from .faults import Fault
from .said import AudioClock, Cue, Failed, Heard, Said, Word, in_order, timeline
from .server import Connection, Message, Server, Socket

ENDPOINTING_MS = 10
"""What Deepgram takes when a client names no ``endpointing``."""

EAGER_MS = 200
"""How long Flux waits in silence before it says `EagerEndOfTurn`."""

END_OF_TURN_MS = 500
"""How long Flux waits in silence before it says `EndOfTurn`."""

FILLERS = frozenset({"uh", "um"})
"""What Deepgram leaves out unless a client asks for ``filler_words``; "uh-huh" stays in."""

CONFIDENCE = 0.98
_OPEN_END_MS = 1 << 40

Due: TypeAlias = tuple[int, Heard | Failed]
"""What happens, and the instant of the audio when the service knows it."""


class Deepgram(Server):
    """Deepgram's two streaming recognisers.

    ``DeepgramSTTService(base_url=dg.ws_url)``, ``DeepgramFluxSTTService(url=dg.flux_url)``,
    ``deepgram.STT(base_url=dg.nova_url)``, ``deepgram.STTv2(base_url=dg.flux_url)``.
    """

    def __init__(
        self, script: Sequence[Said | Failed] = (), *, faults: Iterable[Fault | None] = ()
    ) -> None:
        """Script what is said in all the audio that comes, over all connections.

        A word whose end came over a connection that is gone is lost, as it would be.
        """
        super().__init__(faults=faults)
        in_order(script)
        self._script = script
        self._before_ms = 0
        self.serve_socket("/v1/listen", self._nova)
        self.serve_socket("/v2/listen", self._flux)

    @property
    def nova_url(self) -> str:
        """The whole address of the first recogniser."""
        return f"{self.ws_url}/v1/listen"

    @property
    def flux_url(self) -> str:
        """The whole address of Flux."""
        return f"{self.ws_url}/v2/listen"

    async def _nova(self, wire: Socket) -> None:
        nova = _Nova(wire, self._before_ms)
        clock = _clock(wire.record)
        dues = iter(nova.dues(self._script))
        await self._listen(wire, clock, dues, nova)

    async def _flux(self, wire: Socket) -> None:
        flux = _Flux(wire, self._before_ms)
        await flux.send({"type": "Connected"})
        clock = _clock(wire.record)
        dues = iter(flux.dues(self._script))
        await self._listen(wire, clock, dues, flux)

    async def _listen(
        self, wire: Socket, clock: AudioClock, dues: Iterator[Due], ear: _Nova | _Flux
    ) -> None:
        began_ms = self._before_ms
        due = next(dues, None)
        async for message in wire:
            if isinstance(message, bytes):
                now_ms = began_ms + clock.take(message)
                self._before_ms = max(self._before_ms, now_ms)
                while due is not None and due[0] <= now_ms:
                    await ear.notice(due[1], due[0])
                    due = next(dues, None)
            else:
                await ear.told(message, clock.now_ms)


def _clock(record: Connection) -> AudioClock:
    rate = int(record.option("sample_rate", "16000"))
    channels = int(record.option("channels", "1"))
    return AudioClock(record.option("encoding", "linear16"), rate, channels)


class _Nova:
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


_UTTERANCE_END = Heard(cue=Cue.END, at_ms=-1)


class _Flux:
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

    async def send(self, message: dict[str, Any]) -> None:
        self._sequence += 1
        numbered = {"request_id": self._request_id, "sequence_id": self._sequence - 1}
        await self._wire.send(message | numbered)
