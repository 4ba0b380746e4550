"""However and whenever a call ends: nothing is lost, nothing is left running, nobody complains."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bargein import Delivery
from bargein.memory import MemoryStore, Records
from either_host import CODE, HOSTS, SAYS, EitherHost

CALLER = "+49 30 901820"


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[request.param])
    return HOSTS[request.param]


# --- in every state ---


async def nobody_speaks(_: EitherHost) -> None:
    pass


async def the_agent_speaks(call: EitherHost) -> None:
    await call.heard()


async def the_agent_is_about_to_speak(call: EitherHost) -> None:
    await call.says()


async def ducked(call: EitherHost) -> None:
    await call.heard()
    await asyncio.sleep(0.7)
    await call.voice(True)
    await call.decides("Duck")


async def paused(call: EitherHost) -> None:
    await ducked(call)
    await call.decides("Pause")
    await asyncio.sleep(0.3)


async def held_with_words(call: EitherHost) -> None:
    await ducked(call)
    await call.hears("mm-hm")
    await call.decides("Hold")


async def giving_way(call: EitherHost) -> None:
    await ducked(call)
    await call.hears("no wait I meant Thursday")
    await call.decides("Yield")


async def the_caller_speaks(call: EitherHost) -> None:
    await call.voice(True)
    await asyncio.sleep(0.3)


async def the_caller_has_spoken(call: EitherHost) -> None:
    await the_caller_speaks(call)
    await call.hears("I would like to book a table")
    await call.voice(False)
    await asyncio.sleep(0.1)


async def a_moment_was_asked_for(call: EitherHost) -> None:
    await ducked(call)
    await call.hears("hang on a second")
    await call.voice(False)
    await call.decides("Yield")


async def locked(call: EitherHost) -> None:
    await call.heard(CODE, must_hear=True)


async def locked_and_talked_over(call: EitherHost) -> None:
    await locked(call)
    await call.talks_over("sorry what was that", after_s=0.2)


async def going_on(call: EitherHost) -> None:
    await call.heard()
    await call.talks_over("is there a lift", after_s=1.2)
    await call.quiet()
    before = call.words_heard
    await call.voice(True)
    await call.hears("please go on")
    await call.voice(False)
    await call.until(lambda: call.words_heard > before + 1)


STATES: list[Callable[[EitherHost], Awaitable[None]]] = [
    nobody_speaks,
    the_agent_speaks,
    the_agent_is_about_to_speak,
    ducked,
    paused,
    held_with_words,
    giving_way,
    the_caller_speaks,
    the_caller_has_spoken,
    a_moment_was_asked_for,
    locked,
    locked_and_talked_over,
    going_on,
]


def left() -> list[str]:
    """Tasks of ours that nobody awaits any more."""
    here = asyncio.current_task()
    return [
        repr(task) for task in asyncio.all_tasks() if task is not here and "bargein" in repr(task)
    ]


@pytest.mark.parametrize("hangs_up", [False, True], ids=["ended", "cancelled"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
async def test_a_call_may_end_in_every_state(
    host: Any, state: Callable[[EitherHost], Awaitable[None]], hangs_up: bool
) -> None:
    call = host(replies=["Yes, beside the entrance.", "Of course."])
    call.hangs_up = hangs_up
    await call.run(state)
    assert call.complaints == []
    call.knew_what_was_heard()
    call.told_the_truth()
    assert not call.manners.busy
    if not hangs_up:
        call.kept_every_word()
        locks = state in (locked, locked_and_talked_over)
        assert [one.state for one in call.receipts] == [Delivery.DELIVERED] * locks
    else:
        known = Counter(" ".join(call.said("user")).split())
        assert known <= Counter(" ".join(call.finals).split())
    await asyncio.sleep(2)
    assert left() == []


# --- at every step of a message that must be heard ---


@pytest.mark.parametrize("talked_over", [False, True], ids=["alone", "talked over"])
async def test_who_hangs_up_anywhere_in_a_code_hears_it_in_the_next_call_or_has_heard_it(
    host: Any, talked_over: bool
) -> None:
    seen = set[Delivery]()
    for after_ms in range(0, 3000, 170):
        store = MemoryStore()

        async def script(call: EitherHost, after_ms: int = after_ms) -> None:
            await call.says(CODE, must_hear=True)
            talking = asyncio.ensure_future(call.talks_over("sorry what was that", after_s=0.4))
            if not talked_over:
                talking.cancel()
            await asyncio.sleep(after_ms / 1000)
            talking.cancel()

        call = host(store=store, caller=CALLER)
        call.hangs_up = True
        await call.run(script)
        assert call.complaints == []
        call.told_the_truth()
        (receipt,) = call.receipts
        seen.add(receipt.state)
        heard_it = round(call.words_heard, 1) >= len(CODE.split())
        assert (receipt.state is Delivery.DELIVERED) <= heard_it
        pending = [one.text for one in await Records(store, CALLER).undelivered()]
        assert pending == ([] if receipt.state is Delivery.DELIVERED else [CODE])
    assert seen == {Delivery.UNDELIVERED, Delivery.CUT, Delivery.DELIVERED}


@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_words_just_before_a_code_are_answered_behind_it(name: str) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])

    async def script(call: EitherHost) -> None:
        await call.voice(True)
        await asyncio.sleep(0.4)
        await call.hears("is there a lift")
        await asyncio.sleep(0.2)
        await call.says(CODE, must_hear=True)
        await asyncio.sleep(0.3)
        await call.voice(False)
        await call.quiet(2)

    call = await HOSTS[name](replies=["Yes, beside the entrance."]).run(script)
    assert call.said("user") == ["is there a lift"]
    call.kept_every_word()


@pytest.mark.parametrize("speaks_on_s", [0.1, 0.8])
@pytest.mark.parametrize("after_s", [0, 0.9])  # at once the text-to-speech still makes what is cut
@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_words_that_interrupt_what_a_code_waits_behind_are_answered_behind_it(
    name: str, after_s: float, speaks_on_s: float
) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])

    async def script(call: EitherHost) -> None:
        await call.heard()
        await call.says(CODE, must_hear=True)
        await asyncio.sleep(after_s)
        await call.voice(True)
        await asyncio.sleep(0.2)
        await call.hears("is", final=False)
        await asyncio.sleep(0.2)
        await call.hears("is there a lift")
        await asyncio.sleep(speaks_on_s)
        await call.voice(False)
        await call.quiet(2)

    call = await HOSTS[name](replies=["Yes, beside the entrance."]).run(script)
    assert [one.state for one in call.receipts] == [Delivery.DELIVERED]
    assert call.said("user") == ["is there a lift"]
    assert " ".join(call.said("assistant")).endswith(f"{CODE} Yes, beside the entrance.")


# --- whatever the store does ---


class Slow(MemoryStore):
    """Answers after five seconds."""

    async def put(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(5)
        await super().put(*args, **options)

    async def get(self, owner: str) -> dict[str, bytes]:
        await asyncio.sleep(5)
        return await super().get(owner)

    async def swap(self, *args: Any, **options: Any) -> bool:
        await asyncio.sleep(5)
        return await super().swap(*args, **options)


class Down(MemoryStore):
    """Is not there."""

    async def put(self, *_: Any, **__: Any) -> None:
        raise ConnectionError("no route to host")

    get = swap = delete = put  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [MemoryStore, Slow, Down])
async def test_a_caller_hears_nothing_of_a_store_that_is_slow_or_down(host: Any, kind: Any) -> None:
    began: list[float] = []

    async def script(call: EitherHost) -> None:
        now = asyncio.get_running_loop().time
        began.append(now())
        await call.heard(CODE, must_hear=True)
        began[0] = now() - began[0]
        await call.talks_over("sorry what was that", after_s=0.5)
        await call.quiet()
        await call.heard()
        await call.talks_over("is there a lift", after_s=1.2)
        await call.quiet()
        await call.voice(True)
        await call.hears("please go on")
        await call.voice(False)
        await call.quiet()

    call = await host(
        store=kind(), caller=CALLER, replies=["It is in the mail.", "Yes, beside the entrance."]
    ).run(script)
    assert began[0] < 0.6
    call.kept_every_word()
    call.told_the_truth()
    code, mail, cut, lift, rest = call.said("assistant")
    assert (code, mail, lift) == (CODE, "It is in the mail.", "Yes, beside the entrance.")
    assert SAYS.startswith(cut)
    assert rest.endswith("in the main building.")
    assert len(call.complaints) <= 2 * (kind is not MemoryStore)
