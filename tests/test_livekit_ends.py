"""However a LiveKit call ends, what must be heard has a true receipt, and it is stored."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from bargein import Delivery
from bargein.livekit import Bargein
from bargein.memory import MemoryStore, Records
from livekit_rig import SAYS, LiveKitRig

CODE = "Your code is four five six, please write it down now."

Ends = Callable[[LiveKitRig], Awaitable[None]]


async def aclose(rig: LiveKitRig) -> None:
    await rig.session.aclose()


async def shutdown(rig: LiveKitRig) -> None:
    rig.session.shutdown(drain=False)


async def drained(rig: LiveKitRig) -> None:
    rig.session.shutdown(drain=True)


async def says_it(rig: LiveKitRig) -> None:
    await rig.manners.say(rig.session, CODE, must_hear=True, message_id="code")
    await rig.until(lambda: rig.manners.floor == "agent")
    await asyncio.sleep(0.9)


async def heard_over_it(rig: LiveKitRig) -> None:
    await says_it(rig)
    rig.voice(True)
    rig.hears("what was that")
    await asyncio.sleep(0.1)


async def waiting_behind_a_hold(rig: LiveKitRig) -> None:
    await rig.agent_says()
    await asyncio.sleep(0.6)
    rig.voice(True)
    await rig.until(lambda: any("PausePlayout" in one for one in rig.decided))
    await rig.manners.say(rig.session, CODE, must_hear=True, message_id="code")


@pytest.mark.parametrize("end", [aclose, shutdown])
@pytest.mark.parametrize("begin", [says_it, heard_over_it, waiting_behind_a_hold])
async def test_what_the_end_of_a_call_cuts_is_said_in_the_next(begin: Ends, end: Ends) -> None:
    records = Records(MemoryStore(), "+49 1")

    async def script(rig: LiveKitRig) -> None:
        await begin(rig)
        await end(rig)
        await asyncio.wait_for(rig.manners.aclose(), 10)

    rig = await LiveKitRig(Bargein(detectors=(), records=records, on_cut="repeat")).run(
        script, hang_up=True
    )
    [receipt] = rig.manners.receipts
    if begin is waiting_behind_a_hold:
        assert (receipt.state, receipt.heard) == (Delivery.UNDELIVERED, "")
        assert SAYS.startswith(rig.said("assistant")[0].rstrip(" .…"))
    else:
        assert receipt.state is Delivery.CUT
        assert CODE.startswith(receipt.heard)
        assert 0 < receipt.played_ms < len(CODE.split()) * 300
    assert receipt.pending
    assert receipt.stored
    assert rig.errors == []
    if begin is heard_over_it:
        assert rig.said("user") == ["what was that"]
    [left] = await records.undelivered(pytest.fail)
    assert left.text == CODE


@pytest.mark.parametrize("begin", [says_it, heard_over_it, waiting_behind_a_hold])
async def test_a_session_that_drains_says_it_to_the_end(begin: Ends) -> None:
    records = Records(MemoryStore(), "+49 1")

    async def script(rig: LiveKitRig) -> None:
        await begin(rig)
        await drained(rig)
        await asyncio.sleep(0.1)
        rig.voice(False)
        await asyncio.wait_for(rig.manners.aclose(), 20)

    rig = await LiveKitRig(Bargein(detectors=(), records=records)).run(script, hang_up=True)
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard, receipt.pending) == (Delivery.DELIVERED, CODE, False)
    assert receipt.stored
    assert rig.said("assistant")[-1] == CODE
    assert rig.errors == []
    assert await records.undelivered(pytest.fail) == []


async def test_what_is_asked_for_while_the_session_drains_is_said_in_the_next_call() -> None:
    records = Records(MemoryStore(), "+49 1")

    async def script(rig: LiveKitRig) -> None:
        await rig.agent_says()
        await drained(rig)
        await asyncio.sleep(0.3)
        await rig.manners.say(rig.session, CODE, must_hear=True)
        await asyncio.wait_for(rig.manners.aclose(), 20)

    rig = await LiveKitRig(Bargein(detectors=(), records=records)).run(script, hang_up=True)
    [receipt] = rig.manners.receipts
    assert (receipt.state, receipt.heard) == (Delivery.UNDELIVERED, "")
    assert receipt.stored
    assert rig.said("assistant") == [SAYS]


class Slow(MemoryStore):
    """Takes five seconds for everything."""

    async def put(self, owner: str, key: str, value: bytes, *, ttl_s: float) -> None:
        await asyncio.sleep(5)
        await super().put(owner, key, value, ttl_s=ttl_s)

    async def get(self, owner: str) -> dict[str, bytes]:
        await asyncio.sleep(5)
        return await super().get(owner)

    async def swap(
        self, owner: str, key: str, old: bytes | None, new: bytes | None, *, ttl_s: float
    ) -> bool:
        await asyncio.sleep(5)
        return await super().swap(owner, key, old, new, ttl_s=ttl_s)


async def test_a_slow_store_delays_neither_the_first_word_nor_the_end() -> None:
    """A call waits for its store for a few seconds at its very end, and then says what it lacks."""
    manners = Bargein(detectors=(), store=Slow(), caller="+49 1")
    took_s: list[float] = []

    async def script(rig: LiveKitRig) -> None:
        begun_s = time.monotonic()
        await says_it(rig)
        took_s.append(time.monotonic() - begun_s)
        await rig.until(lambda: bool(rig.manners.receipts))
        await rig.session.aclose()
        begun_s = time.monotonic()
        await rig.manners.aclose()
        took_s.append(time.monotonic() - begun_s)

    rig = await LiveKitRig(manners).run(script, hang_up=True)
    [receipt] = manners.receipts
    assert (receipt.state, receipt.stored) == (Delivery.DELIVERED, False)
    assert rig.said("assistant") == [CODE]
    assert took_s[0] < 5  # what the store takes
    assert took_s[1] < 15  # what the store would take for all that is written at the end
    assert any("store" in error for error in rig.errors)
