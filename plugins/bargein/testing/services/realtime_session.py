"""What does a Realtime session remember? Its settings, and the conversation as the model has it."""

from __future__ import annotations

from typing import Any

from .openai_chat import text_of
from .wire import Message

SERVER_VAD: Message = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD: Message = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


def new_session(model: str) -> Message:
    """The session before a client updates it."""
    pcm = {"type": "audio/pcm", "rate": 24000}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_loopback",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": dict(SERVER_VAD),
            },
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
    }


def merged(settings: Message, update: Message) -> Message:
    """The settings after an update, which names only what it changes."""
    result = dict(settings)
    for name, value in update.items():
        old = result.get(name)
        if name == "turn_detection":
            result[name] = _detection(value)
        elif isinstance(old, dict) and isinstance(value, dict) and name != "format":
            result[name] = merged(old, value)
        else:
            result[name] = value
    return result


def _detection(asked: Any) -> Message | None:
    if not asked:
        return None
    known = SEMANTIC_VAD if asked.get("type") == "semantic_vad" else SERVER_VAD
    return known | {name: value for name, value in asked.items() if value is not None}


class Items:
    """The conversation, in order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.by_id: dict[str, Message] = {}
        self.audio_ms: dict[str, int] = {}
        """How much audio was sent of each item of the model's."""
        self.said: dict[str, str] = {}
        """What a caller's audio says, transcribed for the client or not."""

    def add(self, item: Message, after: str | None = None) -> str | None:
        """Put an item at the end, or behind another (``"root"``: at the start); the one before."""
        place = len(self.order)
        if after == "root":
            place = 0
        elif after in self.by_id:
            place = self.order.index(after) + 1
        self.order.insert(place, item["id"])
        self.by_id[item["id"]] = item
        return self.order[place - 1] if place else None

    def remove(self, item_id: str) -> bool:
        """Forget an item; whether there was one."""
        if item_id not in self.by_id:
            return False
        self.order.remove(item_id)
        del self.by_id[item_id]
        self.audio_ms.pop(item_id, None)
        return True

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Keep only what was heard; the transcript goes whole, as at OpenAI."""
        self.audio_ms[item_id] = audio_end_ms
        for part in self.by_id[item_id].get("content") or []:
            if "transcript" in part:
                part["transcript"] = ""

    def messages(self) -> list[Message]:
        """The conversation as messages of a chat, for a script to answer."""
        found: list[Message] = []
        for item_id in self.order:
            item = self.by_id[item_id]
            if item["type"] == "message":
                text = self.said.get(item_id) or text_of(item.get("content"))
                found.append({"role": item.get("role"), "content": text})
            elif item["type"] == "function_call_output":
                found.append(
                    {
                        "role": "tool",
                        "tool_call_id": item.get("call_id"),
                        "content": item.get("output") or "",
                    }
                )
        return found
