"""What does OpenAI Realtime do with a caller's audio? Turns, answers, and what was never heard.

The names are those of the general release, such as ``response.output_audio.delta``.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Sequence
from typing import Any

from .faults import Fault
from .openai_chat import Script, answer_to
from .realtime_ear import Ear, Turn
from .realtime_response import Response
from .realtime_session import Items, merged, new_session
from .said import Failed, Said, in_order
from .server import Server
from .voice import Voice, tones
from .wire import Message, Socket


class OpenAIRealtime(Server):
    """OpenAI Realtime over a WebSocket.

    ``OpenAIRealtimeLLMService(base_url=rt.realtime_url)``,
    ``openai.realtime.RealtimeModel(base_url=rt.url + "/v1")``.
    """

    def __init__(
        self,
        script: Sequence[Said | Failed] = (),
        answers: Script = (),
        *,
        voice: Voice = tones,
        speed: float = 10.0,
        think_ms: int = 50,
        transcribe_ms: int = 0,
        faults: Iterable[Fault | None] = (),
    ) -> None:
        """Script what is said in all the audio that comes, and what the model answers.

        Args:
            script: turns of the caller, on the clock of the audio received.
            answers: in order, or by the caller's last words.
            voice: what speaks.
            speed: how much faster than the ear the audio is made.
            think_ms: how long after it was created a response begins.
            transcribe_ms: how long after a commit its words come.
            faults: the n-th connection suffers the n-th.
        """
        super().__init__(faults=faults)
        in_order(script)
        self.script = script
        self.answers = answers
        self.voice = voice
        self.speed = speed
        self.think_ms = think_ms
        self.transcribe_ms = transcribe_ms
        self.before_ms = 0
        self.answered = 0
        self.sessions: list[Session] = []
        """One for each connection that was accepted."""
        self.serve_socket("/v1/realtime", self._run)

    def hear(self, words: str, lasts_ms: int) -> None:
        """Somebody says this from now on, in the audio that comes; ``*`` is a cough."""
        each_ms = max(1, lasts_ms // max(1, len(words.split())))
        for session in self.sessions:
            session.expect(words, each_ms)

    @property
    def realtime_url(self) -> str:
        """The whole address."""
        return f"{self.ws_url}/v1/realtime"

    def ear(self) -> Ear:
        """What hears the caller of one connection."""
        return Ear(self.script, self.before_ms)

    async def _run(self, wire: Socket) -> None:
        session = Session(self, wire)
        self.sessions.append(session)
        await session.run()


class Session:
    """One connection: its settings, its conversation, and its one response at a time."""

    def __init__(self, server: OpenAIRealtime, wire: Socket) -> None:
        self.server = server
        self.settings = new_session(wire.record.option("model", "gpt-realtime"))
        """The session object, as the client's updates left it."""
        self.items = Items()
        self.truncated: list[tuple[str, int]] = []
        """Each accepted ``conversation.item.truncate``: the item, and ``audio_end_ms``."""
        self.responses: list[Response] = []
        self._wire = wire
        self._ear = server.ear()
        self._turns = 0
        self._transcribing: asyncio.Task[None] | None = None
        self._number = 0

    async def run(self) -> None:
        """Serve until the client is gone."""
        await self.send("session.created", session=self.settings)
        async for message in self._wire:
            if isinstance(message, dict):
                await self._handle(message)
            else:
                await self.error("invalid_json", "The message is no JSON", None)
        for response in self.responses:
            await response.stop("client_gone")

    def expect(self, words: str, word_ms: int) -> None:
        """Something is said from now on."""
        self._ear.expect(Said(words, at_ms=self._ear.now_ms, word_ms=word_ms))

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self._number += 1
        await self._wire.send({"type": kind, "event_id": f"event_{self._number}"} | fields)

    async def error(self, code: str, text: str, asked: Message | None, param: str = "") -> None:
        """Send an error event, about a client's event if it is about one."""
        about = asked.get("event_id") if asked else None
        error = {"type": "invalid_request_error", "code": code, "message": text, "param": param}
        await self.send("error", error=error | {"param": param or None, "event_id": about})

    async def add(self, item: Message, after: str | None = None) -> None:
        """Put a whole item into the conversation."""
        before = self.items.add(item, after)
        await self.send("conversation.item.added", previous_item_id=before, item=item)
        await self.send("conversation.item.done", previous_item_id=before, item=item)

    async def _handle(self, asked: Message) -> None:
        match asked.get("type"):
            case "session.update":
                self.settings = merged(self.settings, asked.get("session") or {})
                await self.send("session.updated", session=self.settings)
            case "input_audio_buffer.append":
                await self._hear(base64.b64decode(asked["audio"]))
            case "input_audio_buffer.commit":
                if not self._ear.is_empty:
                    await self._commit()
                else:
                    text = "Error committing input audio buffer: buffer too small."
                    await self.error("input_audio_buffer_commit_empty", text, asked)
            case "input_audio_buffer.clear":
                self._ear.commit()
                await self.send("input_audio_buffer.cleared")
            case "conversation.item.create":
                await self._create(asked)
            case "conversation.item.truncate":
                await self._truncate(asked)
            case "conversation.item.delete":
                if self.items.remove(asked.get("item_id", "")):
                    await self.send("conversation.item.deleted", item_id=asked["item_id"])
                else:
                    text = "Error deleting item: the item does not exist."
                    await self.error("item_delete_invalid_item_id", text, asked)
            case "conversation.item.retrieve":
                item = self.items.by_id.get(asked.get("item_id", ""))
                if item is not None:
                    await self.send("conversation.item.retrieved", item=item)
                else:
                    text = "Error retrieving item: the item does not exist."
                    await self.error("item_retrieve_invalid_item_id", text, asked)
            case "response.create":
                await self._respond(asked)
            case "response.cancel":
                if self._active is not None:
                    await self._active.stop("client_cancelled")
                else:
                    text = "Cancellation failed: no active response found"
                    await self.error("response_cancel_not_active", text, asked)
            case other:
                await self.error("invalid_value", f"Invalid value: {other!r}.", asked, "type")

    @property
    def _active(self) -> Response | None:
        last = self.responses[-1] if self.responses else None
        return last if last is not None and last.is_active else None

    async def _hear(self, audio: bytes) -> None:
        for found in self._ear.take(audio, self.settings):
            self.server.before_ms = max(self.server.before_ms, self._ear.now_ms)
            detection = self.settings["audio"]["input"]["turn_detection"]
            if isinstance(found, Failed):
                error = {"type": "server_error", "code": found.code, "message": found.description}
                await self.send("error", error=error | {"param": None, "event_id": None})
                continue
            turn, at_ms = found
            kind, item_id = "input_audio_buffer", f"item_user_{self._turns}"
            if turn is Turn.BEGAN:
                await self.send(f"{kind}.speech_started", audio_start_ms=at_ms, item_id=item_id)
                if detection["interrupt_response"] and self._active is not None:
                    await self._active.stop("turn_detected")
            else:
                await self.send(f"{kind}.speech_stopped", audio_end_ms=at_ms, item_id=item_id)
                await self._commit()
                if detection["create_response"] and self._active is None:
                    await self._respond({})
        self.server.before_ms = max(self.server.before_ms, self._ear.now_ms)

    async def _commit(self) -> None:
        text, item_id = self._ear.commit(), f"item_user_{self._turns}"
        self._turns += 1
        previous = self.items.order[-1] if self.items.order else None
        await self.send("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        transcribes = bool(self.settings["audio"]["input"].get("transcription"))
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        await self.add(item)
        self.items.said[item_id] = text
        if transcribes:
            self._transcribing = asyncio.create_task(self._transcribe(item, text))
            if not self.server.transcribe_ms:
                await self._transcribing

    async def _transcribe(self, item: Message, text: str) -> None:
        await asyncio.sleep(self.server.transcribe_ms / 1000)
        item_id = item["id"]
        kind = "conversation.item.input_audio_transcription"
        item["content"] = [{"type": "input_audio", "transcript": text}]
        about = {"item_id": item_id, "content_index": 0}
        if text:
            await self.send(f"{kind}.delta", delta=text, **about)
        await self.send(
            f"{kind}.completed",
            transcript=text,
            usage={"type": "duration", "seconds": 1},
            **about,
        )

    async def _create(self, asked: Message) -> None:
        item = {"object": "realtime.item", "status": "completed"} | asked["item"]
        item.setdefault("id", f"item_client_{self._number}")
        after = asked.get("previous_item_id")
        if item["id"] in self.items.by_id:
            text = "Error adding item: an item with this ID already exists."
            await self.error("item_create_duplicate_item_id", text, asked)
        elif after not in (None, "root") and after not in self.items.by_id:
            text = "Error adding item: the previous item does not exist."
            await self.error("invalid_value", text, asked, "previous_item_id")
        else:
            await self.add(item, after)

    async def _truncate(self, asked: Message) -> None:
        item_id, end_ms = asked.get("item_id", ""), int(asked.get("audio_end_ms", 0))
        audio_ms = self.items.audio_ms.get(item_id)
        if audio_ms is None:
            text = "Only model output audio messages can be truncated"
            await self.error("invalid_value", text, asked, "item_id")
        elif end_ms > audio_ms:
            text = f"Audio content of {audio_ms}ms is already shorter than {end_ms}ms"
            await self.error("invalid_value", text, asked, "audio_end_ms")
        else:
            self.items.truncate(item_id, end_ms)
            self.truncated.append((item_id, end_ms))
            await self.send(
                "conversation.item.truncated",
                item_id=item_id,
                content_index=asked.get("content_index", 0),
                audio_end_ms=end_ms,
            )

    async def _respond(self, asked: Message) -> None:
        if self._active is not None:
            text = f"Conversation already has an active response in progress: {self._active.id}."
            await self.error("conversation_already_has_active_response", text, asked)
            return
        answer = answer_to(self.items.messages(), self.server.answers, self.server.answered)
        self.server.answered += 1
        response = Response(self, answer, asked.get("response") or {}, self.server.answered)
        self.responses.append(response)
        response.task = asyncio.create_task(response.run())
