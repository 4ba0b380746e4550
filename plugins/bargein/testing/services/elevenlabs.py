"""What does ElevenLabs answer to text over a WebSocket? Audio, and when each character sounds."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from .faults import Fault
from .server import Server
from .voice import PCM, Voice, mu_law, tones
from .wire import Message, Socket

CHUNK_WORDS = 2
"""How many words one message carries."""

SCHEDULE_CHARS = 120
"""How much text is gathered before it is spoken unasked, without ``auto_mode``."""

_Chars: TypeAlias = list[tuple[str, int, int]]
"""Each character with its onset and length, in ms."""

Encoding: TypeAlias = Callable[[PCM], bytes]


@dataclass(slots=True, kw_only=True, eq=False)
class Context:
    """One context of a multi-context connection, or the whole of a single one."""

    name: str
    text: str = ""
    """All the text that came."""
    waiting: str = ""
    """The text that is not being spoken yet."""
    audio_ms: int = 0
    """How much audio was sent."""
    was_closed: bool = False
    """The client asked to close it, whether because it was done or because of an interruption."""
    is_final: bool = False
    """The service said that nothing more comes."""
    sentences: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)


class ElevenLabs(Server):
    """ElevenLabs' two WebSockets of text to speech.

    ``ElevenLabsTTSService(url=el.ws_url)``, ``elevenlabs.TTS(base_url=el.url + "/v1")``.
    """

    def __init__(
        self,
        voice: Voice = tones,
        *,
        speed: float = 10.0,
        times_from_chunk: bool = True,
        faults: Iterable[Fault | None] = (),
    ) -> None:
        """Choose a voice.

        Args:
            voice: what speaks, such as `bargein.testing.speech.agent_voice`.
            speed: how much faster than the ear the audio is made.
            times_from_chunk: alignment counts from the message's own audio, which is what
                Pipecat takes; otherwise from the context's first.
            faults: the n-th connection suffers the n-th.
        """
        super().__init__(faults=faults)
        self.contexts: dict[str, Context] = {}
        """All contexts of all connections, by name; a single one is named ``""``."""
        self._voice = voice
        self._speed = speed
        self._from_chunk = times_from_chunk
        self.serve_socket("/v1/text-to-speech/{voice}/multi-stream-input", self._multi)
        self.serve_socket("/v1/text-to-speech/{voice}/stream-input", self._single)

    async def _multi(self, wire: Socket) -> None:
        if not await self._agreed(wire):
            return
        ours: dict[str, Context] = {}
        speaking: list[asyncio.Task[None]] = []
        auto = wire.record.option("auto_mode") == "true"
        async for message in wire:
            if not isinstance(message, dict):
                await self._complain(wire, "the message is no JSON")
                break
            if message.get("close_socket"):
                for context in ours.values():
                    _finish(context)
                break
            name = message.get("context_id") or "default"
            if name not in ours:
                if message.get("close_context") or not message.get("text"):
                    continue  # nothing to close; or a keep-alive, which opens nothing
                context = ours[name] = self.contexts[name] = Context(name=name)
                speaking.append(asyncio.create_task(self._speak(wire, context, multi=True)))
            context = ours[name]
            _take(context, message, auto)
            if message.get("close_context"):
                _finish(context)
                ours.pop(name)
        if wire.record.is_open:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*speaking), 2)
        await _cancelled(speaking)

    async def _single(self, wire: Socket) -> None:
        if not await self._agreed(wire):
            return
        context = self.contexts[""] = Context(name="")
        speaking = asyncio.create_task(self._speak(wire, context, multi=False))
        async for message in wire:
            if not isinstance(message, dict):
                await self._complain(wire, "the message is no JSON")
                break
            if message.get("text") == "":
                _say(context)
                _finish(context)
                await speaking
                break
            _take(context, message, wire.record.option("auto_mode") == "true")
        await _cancelled([speaking])

    async def _agreed(self, wire: Socket) -> bool:
        try:
            _format(wire.record.option("output_format"))
        except ValueError as error:
            await self._complain(wire, str(error))
            return False
        return True

    async def _complain(self, wire: Socket, error: str) -> None:
        await wire.send({"message": error, "error": "invalid_message", "code": 1008})
        await wire.close(1008, error)

    async def _speak(self, wire: Socket, context: Context, *, multi: bool) -> None:
        tag = {"contextId": context.name} if multi else {}
        async for text in _sentences(context):
            later = context.audio_ms > 0
            form = wire.record.option("output_format")
            for pcm, chars, audio_ms in self._chunks(text, form, later=later):
                await wire.send(
                    {"audio": base64.b64encode(pcm).decode(), "isFinal": None}
                    | self._alignment(chars, context.audio_ms)
                    | tag
                )
                context.audio_ms += audio_ms
                await asyncio.sleep(audio_ms / 1000 / self._speed)
        context.is_final = True
        last = {"audio": None, "isFinal": True, "alignment": None, "normalizedAlignment": None}
        await wire.send({"isFinal": True} | tag if multi else last)

    def _alignment(self, chars: _Chars, before_ms: int) -> Message:
        offset_ms = 0 if self._from_chunk else before_ms
        alignment = {
            "chars": [char for char, _, _ in chars],
            "charStartTimesMs": [at_ms + offset_ms for _, at_ms, _ in chars],
            "charDurationsMs": [lasts_ms for _, _, lasts_ms in chars],
        }
        return {"alignment": alignment, "normalizedAlignment": alignment}

    def _chunks(self, text: str, form: str, *, later: bool) -> Iterable[tuple[bytes, _Chars, int]]:
        """A sentence as messages of a few words: audio, its own characters, its length in ms."""
        encoding, rate = _format(form)
        pcm, words = self._voice(text, rate)
        chars = _aligned(text, words, len(pcm) * 1000 // rate, later=later)
        place, count, from_ms = 0, 0, 0
        for end, (char, at_ms, lasts_ms) in enumerate(chars, start=1):
            count += char == " " and end > 1
            is_last = end == len(chars)
            if is_last or (count == CHUNK_WORDS and char == " "):
                until_ms = at_ms + lasts_ms
                samples = pcm[from_ms * rate // 1000 : None if is_last else until_ms * rate // 1000]
                piece = [(one, at - from_ms, lasts) for one, at, lasts in chars[place:end]]
                yield encoding(samples), piece, until_ms - from_ms
                place, count, from_ms = end, 0, until_ms


def _format(form: str) -> tuple[Encoding, int]:
    name, _, rate = (form or "pcm_24000").partition("_")
    if name == "pcm":
        return (lambda pcm: pcm.tobytes()), int(rate)
    if name == "ulaw":
        return mu_law, int(rate)
    raise ValueError(f"output_format must be pcm_RATE or ulaw_8000 here, not {form!r}")


def _aligned(text: str, words: list[tuple[str, float]], lasts_ms: int, *, later: bool) -> _Chars:
    """Spread each word's time over its characters; the space behind a word is the word's.

    A sentence that is not the first begins with a space, which parts it from the one before and
    lasts until its first word.
    """
    written = text.split()
    onsets_ms = [round(at_s * 1000) for _, at_s in words[: len(written)]]
    edges_ms = [*onsets_ms, lasts_ms]
    chars: _Chars = [(" ", 0, edges_ms[0])] if later else []
    for number, word in enumerate(written):
        spelled = word if number == len(written) - 1 else f"{word} "
        from_ms, until_ms = edges_ms[number], edges_ms[number + 1]
        marks = [
            from_ms + (until_ms - from_ms) * place // len(spelled)
            for place in range(len(spelled) + 1)
        ]
        for place, char in enumerate(spelled):
            chars.append((char, marks[place], marks[place + 1] - marks[place]))
    return chars


def _take(context: Context, message: Message, auto: bool) -> None:
    """Take text in, and decide whether it is spoken now."""
    text = message.get("text") or ""
    if text.strip():
        context.text += text
        context.waiting += text
    asked = message.get("flush") or message.get("try_trigger_generation")
    if asked or auto or len(context.waiting) >= SCHEDULE_CHARS:
        _say(context)


def _say(context: Context) -> None:
    if context.waiting.strip():
        context.sentences.put_nowait(context.waiting.strip())
    context.waiting = ""


def _finish(context: Context) -> None:
    """Close it: what is being spoken is spoken to its end, what waits for more text never is."""
    context.was_closed = True
    context.sentences.put_nowait(None)


async def _sentences(context: Context) -> AsyncIterator[str]:
    while (text := await context.sentences.get()) is not None:
        yield text


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
