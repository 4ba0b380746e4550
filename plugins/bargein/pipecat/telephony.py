"""What does a telephone provider say about what it has played, and when may it be told to stop?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipecat.frames.frames import Frame, InterruptionFrame, OutputTransportMessageFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer

from bargein.core.decisions import Decision, Delivery, FileReceipt, YieldFloor
from bargein.core.events import Event, PlayoutLocked, PlayoutStarted, PlayoutStopped
from bargein.manners import BargeinError

from .call import PipecatCall

Message: TypeAlias = dict[str, Any]

_OURS = "bargein-"
"""What the names of our marks begin with; an application may have marks of its own."""


@dataclass
class MarkFrame(OutputTransportMessageFrame):
    """Travels behind the last audio of a message; the provider sends it back when it is there."""

    message: Message = field(default_factory=dict)
    mark: str = ""
    """Its name; a frame has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a provider writes marks."""

    stream: str
    """The key under which its messages name the stream; empty where they need not."""
    is_played: str
    """The event by which it tells that it has come to a mark."""
    wraps: bool
    """Whether a mark's name stands in an object of its own."""

    def read(self, message: Message) -> str | None:
        """The mark of ours that has come back, if this message brings one."""
        if message.get("event") != self.is_played:
            return None
        found = message.get("mark") if self.wraps else message
        name = found.get("name") if isinstance(found, dict) else None
        return name if isinstance(name, str) and name.startswith(_OURS) else None

    def write(self, name: str, stream: str) -> Message:
        """Ask to be told when everything before this has been played."""
        to = {self.stream: stream} if self.stream else {}
        if self.wraps:
            return {"event": "mark", **to, "mark": {"name": name}}
        return {"event": "checkpoint", **to, "name": name}


DIALECTS: dict[type[FrameSerializer], Dialect] = {
    TwilioFrameSerializer: Dialect(stream="streamSid", is_played="mark", wraps=True),
    TelnyxFrameSerializer: Dialect(stream="", is_played="mark", wraps=True),
    PlivoFrameSerializer: Dialect(stream="streamId", is_played="playedStream", wraps=False),
}


class ManneredSerializer(FrameSerializer):
    """A telephone provider's serializer that keeps its manners, around the one it is made from.

    ``clear`` goes out where the caller has taken the floor from ordinary speech, and nowhere else:
    not at every turn of the caller's, as the host does it, and never into a locked message. And
    behind a locked message goes a mark, by which the provider says that it has played all of it.
    """

    def __init__(
        self,
        inner: FrameSerializer,
        call: PipecatCall,
        acknowledged: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Wrap a serializer. `Bargein.serializer` does it for you.

        Args:
            inner: the host's, for Twilio, Telnyx or Plivo.
            call: the call it carries.
            acknowledged: told of every message that the far end says it has played.

        Raises:
            BargeinError: another provider's, whose marks we cannot write.
        """
        super().__init__()
        found = [dialect for kind, dialect in DIALECTS.items() if isinstance(inner, kind)]
        if not found:
            raise BargeinError(
                f"serializer() knows Twilio's, Telnyx' and Plivo's, not {type(inner).__name__}:"
                " give that one to the transport as it is; receipts then say what was sent"
            )
        (self._dialect,) = found
        self._inner = inner
        self._bargein_call = call
        self._acknowledged = acknowledged
        self._stream = ""
        self._made = 0
        # Marks behind audio that waits in our pipeline, or is out there; and whose each is.
        self._waiting: dict[str, str] = {}
        self._out: dict[str, str] = {}
        self._may_clear = False
        call.mark = self._mark
        call.happened.append(self._happened)
        call.decided.append(self._decided)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Set up the provider's own."""
        await self._inner.setup(setup)

    def should_ignore_frame(self, frame: Frame) -> bool:
        """As the provider's own does."""
        return self._inner.should_ignore_frame(frame)

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Write a frame as the provider reads it; nothing where there is nothing to say."""
        if isinstance(frame, MarkFrame):
            return self._written(frame)
        if isinstance(frame, InterruptionFrame) and not self._clears():
            return None
        payload = await self._inner.serialize(frame)
        if self._dialect.stream and not self._stream and isinstance(payload, str):
            self._bargein_call.guarded("telephone marks", self._find_stream, payload)
        return payload

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Read what the provider says."""
        # Nearly everything is audio, which nobody should read twice.
        if (_OURS if isinstance(data, str) else _OURS.encode()) in data:  # type: ignore[operator]
            self._bargein_call.guarded("telephone marks", self._come_back, data)
        return await self._inner.deserialize(data)

    # --- marks ---

    def _mark(self, message_id: str) -> Frame:
        """What to send behind the last audio of this message."""
        self._forget(message_id)
        self._made += 1
        name = f"{_OURS}{self._made}"  # not the message's own: that is nobody else's business
        self._waiting[name] = message_id
        frame = MarkFrame(mark=name)
        frame.interruptible = False
        return frame

    def _written(self, frame: MarkFrame) -> str | None:
        message_id = self._waiting.pop(frame.mark, None)
        if message_id is None or (self._dialect.stream and not self._stream):
            return None
        self._out[frame.mark] = message_id
        return json.dumps(self._dialect.write(frame.mark, self._stream))

    def _find_stream(self, payload: str) -> None:
        """Audio names the stream, and a mark is never before audio."""
        stream = json.loads(payload).get(self._dialect.stream)
        self._stream = stream if isinstance(stream, str) else ""

    def _come_back(self, data: str | bytes) -> None:
        message = json.loads(data)
        name = self._dialect.read(message) if isinstance(message, dict) else None
        message_id = self._out.pop(name, None) if name else None
        if message_id is not None:
            self._acknowledged(message_id)

    def _forget(self, message_id: str) -> None:
        for marks in (self._waiting, self._out):
            for name in [name for name, one in marks.items() if one == message_id]:
                del marks[name]

    # --- clear ---

    def _clears(self) -> bool:
        """Is this interruption one that the far end should hear of?"""
        call = self._bargein_call
        if call.in_charge and not call.core_failed and not self._may_clear:
            return False
        self._may_clear = False
        # Marks come back at once when what was before them is thrown away: none of them counts.
        self._out.clear()
        return True

    def _happened(self, event: Event) -> None:
        match event:
            case PlayoutStarted():
                self._may_clear = not event.must_hear
            case PlayoutLocked():
                call = self._bargein_call
                self._may_clear = call.agent_has_floor and not (event.must_hear or call.locked)
            case PlayoutStopped(completed=True):
                self._may_clear = False

    def _decided(self, decision: Decision) -> None:
        match decision:
            case YieldFloor():
                self._may_clear = True
            case FileReceipt() if decision.state is not Delivery.DELIVERED:
                self._forget(decision.message_id)
