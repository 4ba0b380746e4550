"""How does a Realtime answer come? Item by item, faster than the ear, until somebody stops it."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from .openai_chat import Answer, Call, pieces_of
from .voice import mu_law
from .wire import Message

if TYPE_CHECKING:
    from .openai_realtime import Session


class Response:
    """One response of the model."""

    def __init__(self, session: Session, answer: Answer, asked: Message, number: int) -> None:
        self.id = f"resp_{number}"
        self.status = "in_progress"
        """``in_progress``, then ``completed``, ``cancelled`` or ``failed``."""
        self.reason: str | None = None
        """Why it was cancelled: ``turn_detected`` or ``client_cancelled``."""
        self.output: list[Message] = []
        self.asked = asked
        self.task: asyncio.Task[None] | None = None
        self._session = session
        self._answer = answer
        self._number = number
        self._stopped = asyncio.Event()
        modalities = asked.get("output_modalities") or session.settings["output_modalities"]
        self._modalities: list[str] = list(modalities)

    @property
    def is_active(self) -> bool:
        """Whether more of it comes."""
        return self.status == "in_progress"

    async def stop(self, reason: str) -> None:
        """Cancel it, and wait until that was told."""
        if self.is_active:
            self.reason = reason
            self._stopped.set()
        if self.task is not None:
            await self.task

    async def run(self) -> None:
        """Send all of it."""
        await self._session.send("response.created", response=self._resource())
        await self._waited(self._session.server.think_ms)
        if self._answer.text and not self._stopped.is_set():
            await self._message()
        for place, call in enumerate(self._answer.calls):
            if not self._stopped.is_set():
                await self._call(place, call)
        if self._stopped.is_set():
            self.status = "cancelled"
        elif self._answer.fails:
            self.status = "failed"
        else:
            self.status = "completed"
        await self._session.send("response.done", response=self._resource())

    def _resource(self) -> Message:
        details: Message | None = None
        if self.status == "cancelled":
            details = {"type": "cancelled", "reason": self.reason}
        elif self.status == "failed":
            error = {
                "type": "server_error",
                "code": self._answer.fails,
                "message": "the answer failed",
            }
            details = {"type": "failed", "error": error}
        tokens = len(self._answer.text.split())
        usage = {"total_tokens": tokens, "input_tokens": 0, "output_tokens": tokens}
        no_text = {"text_tokens": 0, "audio_tokens": 0, "cached_tokens": 0}
        details_of_usage = {
            "input_token_details": no_text,
            "output_token_details": {"text_tokens": 0, "audio_tokens": tokens},
        }
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": self.output,
            "conversation_id": "conv_loopback",
            "output_modalities": self._modalities,
            "max_output_tokens": "inf",
            "metadata": self.asked.get("metadata"),
            "usage": None if self.is_active else usage | details_of_usage,
        }

    async def _begin(self, item: Message) -> Message:
        index = len(self.output)
        self.output.append(item)
        before = self._session.items.add(item)
        about = {"response_id": self.id, "output_index": index}
        await self._session.send("response.output_item.added", item=item, **about)
        await self._session.send("conversation.item.added", previous_item_id=before, item=item)
        return about

    async def _end(self, item: Message, about: Message) -> None:
        item["status"] = "incomplete" if self._stopped.is_set() else "completed"
        order = self._session.items.order
        place = order.index(item["id"]) if item["id"] in order else 0
        before = order[place - 1] if place else None
        await self._session.send("conversation.item.done", previous_item_id=before, item=item)
        await self._session.send("response.output_item.done", item=item, **about)

    async def _message(self) -> None:
        item: Message = {
            "id": f"item_{self.id}_message",
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        about = await self._begin(item)
        about = about | {"item_id": item["id"], "content_index": 0}
        if "audio" in self._modalities:
            await self._speak(item, about)
        else:
            await self._write(item, about)
        await self._end(item, {name: about[name] for name in ("response_id", "output_index")})

    async def _speak(self, item: Message, about: Message) -> None:
        send, items = self._session.send, self._session.items
        items.audio_ms[item["id"]] = 0
        said = ""
        await send("response.content_part.added", part={"type": "audio", "transcript": ""}, **about)
        for piece, audio, lasts_ms in self._sound():
            said += piece
            items.audio_ms[item["id"]] += lasts_ms
            coded = base64.b64encode(audio).decode()
            await send("response.output_audio_transcript.delta", delta=piece, **about)
            await send("response.output_audio.delta", delta=coded, **about)
            if await self._waited(lasts_ms / self._session.server.speed):
                break
        item["content"] = [{"type": "output_audio", "transcript": said}]
        await send("response.output_audio.done", **about)
        await send("response.output_audio_transcript.done", transcript=said, **about)
        await send(
            "response.content_part.done", part={"type": "audio", "transcript": said}, **about
        )

    async def _write(self, item: Message, about: Message) -> None:
        send = self._session.send
        said = ""
        await send("response.content_part.added", part={"type": "text", "text": ""}, **about)
        for piece in pieces_of(self._answer.text):
            said += piece
            await send("response.output_text.delta", delta=piece, **about)
            if await self._waited(5):
                break
        item["content"] = [{"type": "output_text", "text": said}]
        await send("response.output_text.done", text=said, **about)
        await send("response.content_part.done", part={"type": "text", "text": said}, **about)

    async def _call(self, place: int, call: Call) -> None:
        item: Message = {
            "id": f"item_{self.id}_call_{place}",
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "name": call.name,
            "call_id": f"call_{self._number}_{place}",
            "arguments": "",
        }
        about = await self._begin(item)
        ids = about | {"item_id": item["id"], "call_id": item["call_id"]}
        for piece in call.pieces():
            item["arguments"] += piece
            kind = "response.function_call_arguments.delta"
            await self._session.send(kind, delta=piece, **ids)
        kind = "response.function_call_arguments.done"
        await self._session.send(kind, name=call.name, arguments=item["arguments"], **ids)
        await self._end(item, about)

    def _sound(self) -> list[tuple[str, bytes, int]]:
        """The text word by word, each with its audio and how long that lasts, in ms."""
        form: Message = self._session.settings["audio"]["output"]["format"]
        rate = int(form.get("rate", 8000))
        pcm, words = self._session.server.voice(self._answer.text, rate)
        starts = [0, *(round(at_s * rate) for _, at_s in words[1:]), len(pcm)]
        found = []
        for piece, begins, ends in zip(
            pieces_of(self._answer.text), starts, starts[1:], strict=False
        ):
            samples: np.ndarray[Any, np.dtype[np.int16]] = pcm[begins:ends]
            coded = samples.tobytes() if form["type"] == "audio/pcm" else mu_law(samples)
            found.append((piece, coded, (ends - begins) * 1000 // rate))
        return found

    async def _waited(self, ms: float) -> bool:
        """Wait; whether it was stopped meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), ms / 1000)
        return self._stopped.is_set()
