"""After a thousand calls, and with fifty at once: is anything left, and did anybody complain?"""

import asyncio
import gc
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from either_host import CODE, HOSTS, SAYS, EitherHost
from left import Left, slope
from nightly import many
from stock_host import STOCK

CALLS, STOCK_CALLS, AT_ONCE = many(9, 1_000), many(6, 500), many(6, 50)
EVERY = many(3, 50)
"""After so many calls there is a look at what is left."""
MORE_KIB = many(24, 1)
"""What a call of ours may leave beyond one of the host's own. By day most is what Python keeps of a
host's first calls, such as the classes that LiveKit makes in each: gone after a hundred."""
SAID_WITHOUT_US = {
    "pipecat": {
        "VAD stop_secs (0.0s) differs": "this caller's voice is told of by frames, and no VAD is"
        " behind them that would have waited 0.2 s",
    },
    "livekit": {},
}
"""What a host says above INFO in these calls whether we are there or not, and why."""


class Said(logging.Handler):
    """Everything above INFO, from everybody in this process; a host's lines once each."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.by_us: list[str] = []
        self.by_host: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.take(record.name, record.getMessage())

    def take(self, who: str, what: str) -> None:
        if who.startswith("bargein"):
            self.by_us.append(what)
        else:
            self.by_host.add(re.sub(r"#\d+", "#", f"{who}: {what}"))


@pytest.fixture
def said() -> Iterator[Said]:
    gc.collect()  # a client that an earlier test left complains when it goes, and not in our loop
    said, root = Said(), logging.getLogger()
    others, root.handlers = root.handlers, [said]  # pytest's would keep every record
    try:
        from loguru import logger
    except ImportError:
        yield said
    else:
        sink = logger.add(
            lambda one: said.take(one.record["name"] or "", one.record["message"]),
            level="INFO",
            filter=lambda one: one["level"].no > logging.INFO,
        )
        yield said
        logger.remove(sink)
    finally:
        root.handlers = others


def is_injected(number: int) -> bool:
    """Does a handler of the application's fail in this call?"""
    return number % 7 == 2


async def one_call(make: Callable[..., EitherHost], number: int, store: Path) -> EitherHost:
    """A backchannel, an interruption, a code, "go on"; every third caller hangs up in the code."""

    async def script(call: EitherHost) -> None:
        await call.heard()
        await call.talks_over("mm-hm", after_s=0.3)
        await asyncio.sleep(0.5)
        await call.talks_over("is there a lift", after_s=0.2)
        await call.quiet()
        await call.heard(CODE, must_hear=True)
        if call.hangs_up:
            return
        await call.quiet()
        await call.voice(True)
        await call.hears("please go on")
        await call.voice(False)
        await call.quiet()

    call = make(store=str(store), caller=f"caller {number}", replies=["Yes, beside the entrance."])
    call.hangs_up = number % 3 == 0
    if make in STOCK.values():
        return await call.run(script, within_s=120)
    if is_injected(number):

        @call.manners.on("yield")
        def fails(_: object) -> None:
            raise RuntimeError("injected")

    await call.run(script, within_s=120)
    call.told_the_truth()
    if not call.hangs_up:
        call.kept_every_word()
        assert call.said("assistant")[-1].endswith(SAYS[-20:])
    return call


async def rest() -> Left:
    await asyncio.sleep(10)  # our own last timers, and whatever the host puts away
    return Left()


async def series(make: Callable[..., EitherHost], calls: int, store: Path) -> list[Left]:
    """One call after the other; what was left now and then in the second half of them."""
    rests = []
    for number in range(calls):
        await one_call(make, number, store)
        if (number + 1) % EVERY == 0:
            rests.append(await rest())
            print(number + 1, vars(rests[-1]), flush=True)
    return rests[len(rests) // 2 - 1 :]


def per_call(who: str, rests: list[Left]) -> float:
    """KiB left of a call."""
    kib, resident_kib, objects = (
        slope(what, rests, EVERY) for what in ("kib", "resident_kib", "objects")
    )
    print(
        f"{who}, {len(rests) - 1} times {EVERY} calls: {kib:.2f} KiB, {objects:.1f} objects left of"
        f" a call; {resident_kib:.2f} KiB more resident; {rests[-1].files} handles"
    )
    return kib


@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_nothing_adds_up_over_many_calls(name: str, tmp_path: Path, said: Said) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])
    ours = await series(HOSTS[name], CALLS, tmp_path / "calls.db")
    by_us, by_host = said.by_us, said.by_host
    said.by_us, said.by_host = [], set()
    stock = await series(STOCK[name], STOCK_CALLS, tmp_path / "calls.db")
    assert ours[-1].grown(ours[0]) == {}
    left_kib = per_call(f"{name} with us", ours) - per_call(f"{name} alone", stock)
    assert left_kib < MORE_KIB
    assert len(by_us) == sum(map(is_injected, range(CALLS)))
    assert all("fails failed with RuntimeError" in line for line in by_us)
    assert by_host <= said.by_host
    assert said.by_us == []
    known = SAID_WITHOUT_US[name]
    assert [line for line in by_host if not any(part in line for part in known)] == []


@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_many_calls_at_once_know_nothing_of_each_other(
    name: str, tmp_path: Path, said: Said
) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])
    store = tmp_path / "calls.db"
    await one_call(HOSTS[name], 1, store)
    before = await rest()
    calls = [one_call(HOSTS[name], number, store) for number in range(AT_ONCE)]
    held = await asyncio.gather(*calls)
    assert (await rest()).grown(before) == {}
    told = {tuple(call.said("user")) for call in held if not call.hangs_up}
    assert len(told) == 1
    assert len(said.by_us) == sum(map(is_injected, range(AT_ONCE)))
    known = SAID_WITHOUT_US[name]
    assert [line for line in said.by_host if not any(part in line for part in known)] == []
