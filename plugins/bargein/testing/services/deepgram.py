"""What does Deepgram say when somebody talks to it? ``/v1/listen``, and Flux on ``/v2/listen``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from .faults import Fault
from .flux import Flux
from .nova import Nova
from .said import AudioClock, Due, Failed, Said, in_order
from .server import Server
from .wire import Connection, Socket

IDLE_S = 10.0
"""How long Deepgram waits for audio or a `KeepAlive` before it hangs up."""


class Deepgram(Server):
    """Deepgram's two streaming recognisers.

    ``DeepgramSTTService(base_url=dg.ws_url)``, ``DeepgramFluxSTTService(url=dg.flux_url)``,
    ``deepgram.STT(base_url=dg.nova_url)``, ``deepgram.STTv2(base_url=dg.flux_url)``.
    """

    def __init__(
        self,
        script: Sequence[Said | Failed] = (),
        *,
        idle_s: float = IDLE_S,
        faults: Iterable[Fault | None] = (),
    ) -> None:
        """Script what is said in all the audio that comes, over all connections.

        A word whose end came over a connection that is gone is lost, as it would be.

        Args:
            script: turns of the caller, on the clock of the audio received.
            idle_s: how long a ``/v1/listen`` may hear nothing from its client.
            faults: the n-th connection suffers the n-th.
        """
        super().__init__(faults=faults)
        in_order(script)
        self._script = [*script]
        self._idle_s = idle_s
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

    def says(self, text: str, *, word_ms: int = 250, pause_ms: int = 600) -> None:
        """Let the caller say this in the audio that comes from now on.

        Args:
            text: as in a `Said`.
            word_ms: how long each word takes.
            pause_ms: how long each pause takes.

        Raises:
            ValueError: they are still saying something else.
        """
        said = Said(text, at_ms=self._before_ms + 1, word_ms=word_ms, pause_ms=pause_ms)
        in_order([*self._script, said])
        self._script.append(said)

    async def _nova(self, wire: Socket) -> None:
        wire.idle_s = self._idle_s
        nova = Nova(wire, self._before_ms)
        try:
            await self._listen(wire, nova)
        except TimeoutError:
            reason = "Deepgram did not receive audio data or a text message (NET-0001)"
            await wire.close(1011, reason)

    async def _flux(self, wire: Socket) -> None:
        flux = Flux(wire, self._before_ms)
        await flux.send({"type": "Connected"})
        await self._listen(wire, flux)

    async def _listen(self, wire: Socket, ear: Nova | Flux) -> None:
        began_ms, clock = self._before_ms, _clock(wire.record)
        known, dues = 0, deque[Due]()
        async for message in wire:
            if isinstance(message, bytes):
                if known != len(self._script):  # somebody has begun to speak since
                    known, heard_ms = len(self._script), began_ms + clock.now_ms
                    new = not clock.now_ms
                    dues = deque(d for d in ear.dues(self._script) if new or d[0] > heard_ms)
                now_ms = began_ms + clock.take(message)
                self._before_ms = max(self._before_ms, now_ms)
                while dues and dues[0][0] <= now_ms:
                    due = dues.popleft()
                    await ear.notice(due[1], due[0])
            else:
                await ear.told(message, clock.now_ms)


def _clock(record: Connection) -> AudioClock:
    rate = int(record.option("sample_rate", "16000"))
    channels = int(record.option("channels", "1"))
    return AudioClock(record.option("encoding", "linear16"), rate, channels)
