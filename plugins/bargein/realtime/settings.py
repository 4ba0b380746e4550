"""What does a Realtime session have to be told, so that the floor decides and not the server?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from bargein.manners import BargeinError

from .wire import RATE, Message

Detection: TypeAlias = Literal["server_vad", "semantic_vad", "local"]
VETOED = {"create_response": False, "interrupt_response": False}
"""Who answers and who is interrupted is not the server's to decide."""
TRANSCRIBES = "gpt-4o-mini-transcribe"

_FORMAT = {"type": "audio/pcm", "rate": RATE}


def detection_of(chosen: Detection | Mapping[str, Any]) -> Message | None:
    """The server's turn detection, with our veto; None where the gate listens itself.

    Raises:
        BargeinError: no such detection.
    """
    asked = {"type": chosen} if isinstance(chosen, str) else dict(chosen)
    if asked.get("type") == "local":
        return None
    if asked.get("type") not in ("server_vad", "semantic_vad"):
        raise BargeinError(
            f"turn_detection must be 'server_vad', 'semantic_vad' or 'local', not {chosen!r}"
        )
    return asked | VETOED


def session(detection: Message | None, given: Mapping[str, Any]) -> Message:
    """The ``session.update`` that begins a call.

    Args:
        detection: the server's turn detection.
        given: what the application wants of its session.
    """
    return {"type": "session.update", "session": settled({"audio": {}} | dict(given), detection)}


def settled(session: Mapping[str, Any], detection: Message | None) -> Message:
    """Some of a session's settings, with what the floor needs of them."""
    whole = {"type": "realtime"} | dict(session)
    for older in ("input_audio_format", "output_audio_format"):
        _only_pcm(whole.get(older))
    if "audio" not in whole:
        return whole
    audio = dict(whole["audio"] or {})
    for way in ("input", "output"):
        _only_pcm((audio.get(way) or {}).get("format"))
    heard = {"transcription": {"model": TRANSCRIBES}} | dict(audio.get("input") or {})
    if not heard["transcription"]:
        raise BargeinError(
            "the session's transcription must stay on: without the caller's words nobody can tell"
            " a backchannel from an interruption"
        )
    audio["input"] = heard | {"format": _FORMAT, "turn_detection": detection}
    audio["output"] = dict(audio.get("output") or {}) | {"format": _FORMAT}
    return whole | {"audio": audio}


def _only_pcm(asked: object) -> None:
    named = {"type": asked} if isinstance(asked, str) else asked
    if named is None or (
        isinstance(named, Mapping)
        and named.get("type") in ("audio/pcm", "pcm16")
        and named.get("rate") in (None, RATE)
    ):
        return
    raise BargeinError(
        f"the session's audio must be 24 kHz PCM both ways, which is paced and heard here, not"
        f" {asked!r}: convert a telephone's before it comes here"
    )
