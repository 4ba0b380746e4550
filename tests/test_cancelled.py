"""Somebody cancels a task that waits in our code: what does a caller notice of it?

Whoever shuts down a process cancels all of its tasks, and a host cancels its own where it changes
its mind. So every place at which anything of ours waits in a call is cancelled (by day: every
third), in a call of its own: a task of ours, and nobody notices; a host's, and the call can be
ended all the same.
"""

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest

from bargein.memory import MemoryStore
from bargein.testing import virtual_time
from bargein.testing.virtual_time import VirtualTimeLoop
from cancelled import Cancels, Place
from either_host import CODE, HOSTS, SAYS, EitherHost
from nightly import many

MOMENTS = many(1, 12)
STRIDE = many(3, 1)
"""By day every third of them will do: neighbours are mostly lines of one function."""
LAST = "Are you there?"


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[request.param])
    return HOSTS[request.param]


async def script(call: EitherHost) -> None:
    """A listener, an interruption, a code talked over, and the rest: all by the clock."""
    await call.says()
    await call.talks_over("mm-hm", after_s=0.5)
    await call.talks_over("is there a lift", after_s=0.5)
    await asyncio.sleep(2.5)
    await call.says(CODE, must_hear=True)
    await call.talks_over("sorry what was that", after_s=0.6)
    await asyncio.sleep(3)
    await call.talks_over("please go on", after_s=0)
    await asyncio.sleep(6)
    await call.says(LAST)
    await asyncio.sleep(2)


def held(host: Any, cancels: Cancels, *, hangs_up: bool = False) -> tuple[EitherHost, list[str]]:
    """One call, and the tasks that are left of it."""

    async def main() -> tuple[EitherHost, list[str]]:
        asyncio.get_running_loop().set_task_factory(cancels)
        call = host(
            store=MemoryStore(),
            caller="+49 30 901820",
            replies=["Yes, beside the entrance.", "It is in the mail."],
        )
        call.hangs_up = hangs_up
        await asyncio.ensure_future(call.run(script, within_s=90))
        await asyncio.sleep(2)
        gc.collect()
        return call, [repr(one) for one in asyncio.all_tasks() - {asyncio.current_task()}]

    return virtual_time.run(main())


def cases(host: Any, *, ours: bool) -> list[tuple[Place, int]]:
    """The places at which somebody waits, and moments spread over the call at each."""
    watch = Cancels()
    held(host, watch, hangs_up=not ours)
    waits = [
        (place, time)
        for place, times in sorted(watch.waited.items())
        if (place.whose == "ours") is ours
        for time in sorted({times * (2 * n + 1) // (2 * MOMENTS) for n in range(MOMENTS)})
    ]
    return waits[::STRIDE]


def test_nobody_notices_a_task_of_ours_that_was_cancelled(host: Any) -> None:
    for place, time in cases(host, ours=True):
        where = f"{place}, the {time}th time"
        cancels = Cancels(place, time)
        call, left = held(host, cancels)
        assert cancels.done, where
        assert left == [], where
        assert len(call.complaints) <= 1, where
        call.kept_every_word()
        call.knew_what_was_heard()
        call.told_the_truth()
        first, lift, code, mail, rest, last = call.said("assistant")
        assert (lift, code, mail) == ("Yes, beside the entrance.", CODE, "It is in the mail."), (
            where
        )
        assert SAYS.startswith(first), where
        assert (rest.endswith("building."), last) == (True, LAST), where


def test_a_call_ends_where_a_task_of_the_hosts_was_cancelled_in_our_code(host: Any) -> None:
    for place, time in cases(host, ours=False):
        where = f"{place}, the {time}th time"
        cancels = Cancels(place, time)
        try:
            call, left = held(host, cancels, hangs_up=True)
        except asyncio.CancelledError:
            continue  # it was the application itself
        assert cancels.done, where
        assert left == [], where
        assert len(call.complaints) <= 1, where
        call.told_the_truth()
        kept = Counter(" ".join(call.said("user")).split())
        assert kept <= Counter(" ".join(call.finals).split()), where


def test_a_process_that_is_stopped_in_a_call_stops(host: Any) -> None:
    """Every task is cancelled, and the loop waits for what they have to put away.

    Pipecat waits then for ever for the end of its pipeline, with us as without: the call's own
    time limit ends that.
    """
    for after_ms in range(200, 16_000, 15_800 // many(6, 200)):
        told = list[str]()

        async def main(after_s: float = after_ms / 1000, told: list[str] = told) -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, what: told.append(str(what)))
            call = host(store=MemoryStore(), caller="+49 30 901820", replies=["Yes.", "Yes."])
            running = asyncio.ensure_future(call.run(script, within_s=30))
            await asyncio.sleep(after_s)
            return call, running

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            call, running = runner.run(main())
        gc.collect()
        assert running.done(), after_ms
        assert told == [], after_ms
        assert len(call.complaints) <= 1, after_ms
        call.told_the_truth()
