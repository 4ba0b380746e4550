"""What does a chat model stream? Text and tool calls in pieces, scripted, as OpenAI sends them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import web

from .faults import Fault
from .server import Server
from .wire import Message, Stream

PIECE_CHARS = 12
"""How long a piece of a tool call's arguments is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool that the model calls."""

    name: str
    arguments: Mapping[str, Any]

    def pieces(self) -> list[str]:
        """The arguments as JSON, as a model streams them."""
        text = json.dumps(self.arguments)
        return [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model answers: a text, tool calls, or both."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    fails: str = ""
    """An error code, such as ``"server_error"``, in which the answer ends after its text."""


Script: TypeAlias = (
    Sequence[Answer | str] | Mapping[str, Answer | str] | Callable[[list[Message]], Answer | str]
)
"""Answers in order; or by the last user message; or made from all the messages.

A mapping's ``""`` answers whatever else is asked. A model without an answer says nothing.
"""


class OpenAIChat(Server):
    """An OpenAI-compatible ``/v1/chat/completions``: ``base_url=chat.base_url``."""

    def __init__(
        self, script: Script = (), *, piece_ms: int = 5, faults: Iterable[Fault | None] = ()
    ) -> None:
        """Script the answers; ``piece_ms`` lie between two pieces of one."""
        super().__init__(faults=faults)
        self.requests: list[Message] = []
        """What each request asked, the failed ones left out."""
        self._script = script
        self._piece_ms = piece_ms
        self.serve_request("/v1/chat/completions", self._complete)

    @property
    def base_url(self) -> str:
        """What a client takes as its base."""
        return f"{self.url}/v1"

    async def _complete(self, wire: Stream, body: Message) -> web.StreamResponse:
        messages = body.get("messages")
        if not isinstance(messages, list) or not body.get("model"):
            error = {"message": "model and messages are needed", "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=400)
        self.requests.append(body)
        answer = answer_to(messages, self._script, len(self.requests) - 1)
        whole = _Whole(answer, body, len(self.requests))
        if not body.get("stream"):
            return await wire.whole(whole.completion())
        await wire.response.prepare(wire.request)
        for piece in whole.pieces():
            await wire.send(piece)
            if not wire.record.is_open:
                break
            await asyncio.sleep(self._piece_ms / 1000)
        await wire.done()
        return wire.response


def answer_to(messages: list[Message], script: Script, number: int) -> Answer:
    """What a script answers to these messages, asked for the ``number``-th time from 0."""
    if callable(script):
        found: Answer | str = script(messages)
    elif isinstance(script, Mapping):
        found = script.get(_last_user(messages), script.get("", ""))
    else:
        found = script[number] if number < len(script) else ""
    return Answer(found) if isinstance(found, str) else found


def text_of(content: Any) -> str:
    """The text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or part.get("transcript") or "" for part in content or [])


def pieces_of(text: str) -> list[str]:
    """A text word by word; put together again it is the same."""
    return re.findall(r"\s*\S+", text.rstrip())


def _last_user(messages: list[Message]) -> str:
    said = [text_of(one.get("content")) for one in messages if one.get("role") == "user"]
    return said[-1] if said else ""


class _Whole:
    """One answer, as a completion or as its pieces."""

    def __init__(self, answer: Answer, body: Message, number: int) -> None:
        self._answer = answer
        self._options = body.get("stream_options") or {}
        self._head = {
            "id": f"chatcmpl-loopback-{number}",
            "created": int(time.time()),
            "model": body["model"],
        }
        asked = sum(len(text_of(one.get("content")).split()) for one in body["messages"])
        said = len(answer.text.split()) + sum(len(str(call.arguments)) for call in answer.calls)
        self._usage = {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
        }
        self._ids = [f"call_{number}_{place}" for place in range(len(answer.calls))]
        self._reason = "tool_calls" if answer.calls else "stop"

    def completion(self) -> Message:
        calls = [
            {
                "id": name,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for name, call in zip(self._ids, self._answer.calls, strict=True)
        ]
        message: Message = {"role": "assistant", "content": self._answer.text or None}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self._reason}
        head = self._head | {"object": "chat.completion"}
        return head | {"choices": [choice], "usage": self._usage}

    def pieces(self) -> list[Message]:
        deltas: list[Message] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in pieces_of(self._answer.text)]
        if self._answer.fails:
            error = {
                "message": "the answer failed",
                "type": "server_error",
                "code": self._answer.fails,
            }
            return [*(self._chunk(delta, None) for delta in deltas), {"error": error}]
        for place, (name, call) in enumerate(zip(self._ids, self._answer.calls, strict=True)):
            begins = {"name": call.name, "arguments": ""}
            deltas.append(
                {
                    "tool_calls": [
                        {"index": place, "id": name, "type": "function", "function": begins}
                    ]
                }
            )
            for piece in call.pieces():
                function = {"arguments": piece}
                deltas.append({"tool_calls": [{"index": place, "function": function}]})
        chunks = [self._chunk(delta, None) for delta in deltas] + [self._chunk({}, self._reason)]
        if self._options.get("include_usage"):
            chunks = [chunk | {"usage": None} for chunk in chunks]
            head = self._head | {"object": "chat.completion.chunk"}
            chunks.append(head | {"choices": [], "usage": self._usage})
        return chunks

    def _chunk(self, delta: Message, reason: str | None) -> Message:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return self._head | {"object": "chat.completion.chunk", "choices": [choice]}
