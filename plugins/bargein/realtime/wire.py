"""What does a server's event say, and what do ours look like? JSON to facts, facts to JSON.

The names are those of the general release; audio under its older names is read as well.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

RATE = 24_000
"""Samples a second of Realtime's own PCM, both ways; 16 bit, mono."""
TAG = "bargein"
"""Under this name a response's metadata says which message it speaks."""
OURS = "bargein_"
"""So begin the ids of our own events."""
THEIRS = "application_"
"""So those of the application's that have none: an error about one is for the application."""
BUSY = "conversation_already_has_active_response"
"""The error of a server that is asked for an answer while it makes another."""

Message: TypeAlias = dict[str, Any]


class MalformedEventError(ValueError):
    """What came is no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBegan:
    """The connection is new, and so is the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSpeech:
    """The server's voice activity detection."""

    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A stretch of the caller's audio has become an item of the conversation."""

    item_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribed:
    """What the caller said in an item, or a part of it."""

    item_id: str
    text: str | None
    """None where the server could not tell."""
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseBegan:
    """The model answers."""

    response_id: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEnded:
    """It made all of its answer, or was stopped."""

    response_id: str
    completed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioMade:
    """More of the model's voice."""

    item_id: str
    response_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsMade:
    """More of what it says; the text runs ahead of its sound."""

    item_id: str
    response_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEnded:
    """All of an item's sound is there."""

    item_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCalled:
    """The model wants a function of the application's to be called."""

    call_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The server reports an error."""

    code: str
    event_id: str
    """Of the client's event that it is about, where it is about one."""


Fact: TypeAlias = (
    SessionBegan
    | CallerSpeech
    | Committed
    | Transcribed
    | ResponseBegan
    | ResponseEnded
    | AudioMade
    | WordsMade
    | AudioEnded
    | FunctionCalled
    | Refused
)


# --- theirs to ours -------------------------------------------------------------------------


def decoded(event: object) -> Message:
    """An event as it comes from a socket or an SDK, as a dictionary.

    Raises:
        MalformedEventError: it is none.
    """
    if not isinstance(event, str | bytes | bytearray | Mapping):
        dump = getattr(event, "model_dump", None)
        event = dump() if callable(dump) else event
    if isinstance(event, str | bytes | bytearray):
        try:
            event = json.loads(event)
        except (ValueError, RecursionError):
            raise MalformedEventError("no JSON") from None
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        raise MalformedEventError("no event")
    return dict(event)


def read(event: Message) -> Fact | None:
    """What an event of the server's says; None where that does not matter here.

    Raises:
        MalformedEventError: a field that is no such thing.
    """
    try:
        return _read(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedEventError(f"{type(error).__name__} in {event['type']}") from None


def _read(event: Message) -> Fact | None:
    match event["type"]:
        case "session.created":
            return SessionBegan()
        case "input_audio_buffer.speech_started":
            return CallerSpeech(on=True)
        case "input_audio_buffer.speech_stopped":
            return CallerSpeech(on=False)
        case "input_audio_buffer.committed":
            return Committed(item_id=_id(event["item_id"]))
        case "conversation.item.input_audio_transcription.delta":
            text = _text(event.get("delta"))
            return Transcribed(item_id=_id(event["item_id"]), text=text, is_final=False)
        case "conversation.item.input_audio_transcription.completed":
            text = _text(event.get("transcript"))
            return Transcribed(item_id=_id(event["item_id"]), text=text, is_final=True)
        case "conversation.item.input_audio_transcription.failed":
            return Transcribed(item_id=_id(event["item_id"]), text=None, is_final=True)
        case "response.created":
            response = event["response"]
            tag = (response.get("metadata") or {}).get(TAG) or ""
            return ResponseBegan(response_id=_id(response["id"]), tag=_text(tag))
        case "response.done":
            response = event["response"]
            return ResponseEnded(
                response_id=_id(response["id"]), completed=response.get("status") == "completed"
            )
        case "response.output_audio.delta" | "response.audio.delta":
            return AudioMade(
                item_id=_id(event["item_id"]),
                response_id=_text(event.get("response_id")),
                pcm=_pcm(event["delta"]),
            )
        case "response.output_audio_transcript.delta" | "response.audio_transcript.delta":
            return WordsMade(
                item_id=_id(event["item_id"]),
                response_id=_text(event.get("response_id")),
                text=_text(event["delta"]),
            )
        case "response.output_audio.done" | "response.audio.done":
            return AudioEnded(item_id=_id(event["item_id"]))
        case "response.output_item.done" if event["item"].get("type") == "function_call":
            item = event["item"]
            return FunctionCalled(call_id=_id(item["call_id"]), name=_text(item.get("name")))
        case "error":
            error = event["error"]
            return Refused(code=_text(error.get("code")), event_id=_text(error.get("event_id")))
        case _:
            return None


def _id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value or ""


def _pcm(coded: object) -> bytes:
    pcm = base64.b64decode(_text(coded), validate=True)
    return pcm[: len(pcm) // 2 * 2]


# --- ours to theirs -------------------------------------------------------------------------


def append(pcm: bytes) -> Message:
    """More of the caller's audio."""
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}


def commit() -> Message:
    """The caller has said something: it is an item now."""
    return {"type": "input_audio_buffer.commit"}


def respond(instructions: str = "", tag: str = "") -> Message:
    """Let the model answer; with ``instructions``, by these alone."""
    response: Message = {}
    if instructions:
        response["instructions"] = instructions
    if tag:
        response["metadata"] = {TAG: tag}
    return {"type": "response.create"} | ({"response": response} if response else {})


def cancel(response_id: str) -> Message:
    """Let the model stop answering."""
    named = {"response_id": response_id} if response_id else {}
    return {"type": "response.cancel"} | named


def truncate(item_id: str, audio_end_ms: int) -> Message:
    """So much of an item was heard; the model is to know no more of it."""
    return {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": audio_end_ms,
    }


def delete(item_id: str) -> Message:
    """Take an item out of the conversation."""
    return {"type": "conversation.item.delete", "item_id": item_id}


def said(text: str, after: str = "") -> Message:
    """The agent has said this, though no response did; ``after`` names the item before it."""
    content = [{"type": "output_text", "text": text}]
    event = _message("assistant", content)
    return event | ({"previous_item_id": after} if after else {})


def answered(call_id: str, output: str) -> Message:
    """What a function of ours has answered."""
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}


def note(text: str) -> Message:
    """Something for the model to know."""
    return _message("system", [{"type": "input_text", "text": text}])


def _message(role: str, content: list[Message]) -> Message:
    item = {"id": f"{OURS}{uuid4().hex[:16]}", "type": "message", "role": role, "content": content}
    return {"type": "conversation.item.create", "item": item}


def exactly(text: str) -> str:
    """The instructions that make a model speak a text."""
    quoted = json.dumps(text, ensure_ascii=False)
    return f"Say exactly this, word for word, and nothing before or after it: {quoted}"
