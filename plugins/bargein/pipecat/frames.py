"""Which frames mean something to the floor? Theirs to ours, and the one frame of our own."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    SystemFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from bargein.core.decisions import Decision, PassFloor, YieldFloor
from bargein.core.events import (
    Event,
    ToolFinished,
    ToolStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)


@dataclass
class FloorMovedFrame(SystemFrame):
    """The floor is the user's: the turn strategy opens their turn when this reaches it.

    It travels from the `BackchannelFilter` through the user aggregator, so that the turn is opened
    in the aggregator's own task, and ends at the `InterruptionGate`.
    """

    interrupt: bool = True
    """Whether there is anything to interrupt."""


def read(frame: Frame, at_ms: int) -> Event | None:
    """What a frame tells about the caller's side; None for a frame that is none of our business."""
    match frame:
        case VADUserStartedSpeakingFrame():
            return UserSpeechStarted(
                at_ms=at_ms, onset_at_ms=max(0, at_ms - round(frame.start_secs * 1000))
            )
        case VADUserStoppedSpeakingFrame() | ProposedUserStoppedSpeakingFrame():
            return UserSpeechStopped(at_ms=at_ms)
        case ProposedUserStartedSpeakingFrame():
            return UserSpeechStarted(at_ms=at_ms)
        case TranscriptionFrame():
            return UserWordsHeard(
                at_ms=at_ms, text=frame.text, is_final=True, language=_tag(frame.language)
            )
        case InterimTranscriptionFrame():
            return UserWordsHeard(
                at_ms=at_ms, text=frame.text, is_final=False, language=_tag(frame.language)
            )
        case FunctionCallInProgressFrame():
            return ToolStarted(at_ms=at_ms, name=frame.function_name, call_id=frame.tool_call_id)
        case FunctionCallResultFrame() if _is_last(frame):
            return ToolFinished(
                at_ms=at_ms,
                name=frame.function_name,
                call_id=frame.tool_call_id,
                result=_written(frame.result),
            )
        case FunctionCallCancelFrame():
            return ToolFinished(at_ms=at_ms, name=frame.function_name, call_id=frame.tool_call_id)
        case _:
            return None


def _is_last(frame: FunctionCallResultFrame) -> bool:
    """A function may tell how it is getting on before it is done."""
    return bool(getattr(frame.properties, "is_final", True))


def _written(result: object) -> str:
    """As the host writes it into the context."""
    if not result:
        return ""
    return (
        result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    )


def _tag(language: object) -> str:
    """Services give the host's `Language`, a plain tag, or nothing."""
    tag = getattr(language, "value", language)
    return tag if isinstance(tag, str) else ""


def write(decision: Decision) -> FloorMovedFrame | None:
    """The frame a decision sends to the turn strategy, if it moves the floor."""
    match decision:
        case YieldFloor():
            return FloorMovedFrame(interrupt=True)
        case PassFloor():
            return FloorMovedFrame(interrupt=False)
        case _:
            return None
