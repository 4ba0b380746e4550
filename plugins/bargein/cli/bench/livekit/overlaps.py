"""What does talking over the agent do, beside a LiveKit session without us?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bargein.testing.livekit_parts import VOICE_RATE
from bargein.testing.tones import WORD_S

from ..row import Row, middle, quartiles
from ..script import INTERRUPTIONS, REPLY, silent_ms, turned, until
from .host import STOCK, OnCall, Who, between, on_call

HOSTS: tuple[Who, ...] = ("ours", "stock", "min_words_2")
COUGH = ""
BACKCHANNELS = ((1.5, "right okay"), (4.0, COUGH), (6.5, "uh-huh"))
"""When, from the agent's first sound, and what."""
NEXT = "what else should I bring"
"""What the caller says once the agent has finished."""
RATIO_DEFAULT, RATIO_MIN_WORDS = 1.0, 1 / 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Listened:
    """What a call made of two backchannels and a cough."""

    silent_ms: float
    """How long nothing was heard between the reply's first sound and when it should have ended."""
    llm_runs: int
    """Beyond the one that made the reply, before the caller took a turn."""
    words: int
    """Of the caller's, in the history then."""
    leaked: int
    """Words of the caller's in their next turn that they said before it."""


async def listened(who: Who) -> Listened:
    """The agent speaks, the caller makes a listener's noises, and then says something."""
    lasts_s = len(REPLY.split()) * WORD_S
    async with on_call(who, replies=[REPLY] * 6) as call:
        call.session.generate_reply()
        began_s = await call.first_heard()
        for at_s, text in BACKCHANNELS:
            if text == COUGH:
                await call.cough(began_s + at_s)
            else:
                await call.say_over(text, began_s + at_s)
        await until(began_s + lasts_s + 0.6)
        heard = between(call.recording, began_s, began_s + lasts_s - 0.1)
        runs = len(call.studio.llm.runs) - 1
        words = sum(len(said.split()) for said in call.studio.said("user"))
        await _next_turn(call)
        return Listened(
            silent_ms=silent_ms(heard, VOICE_RATE),
            llm_runs=runs,
            words=words,
            leaked=_leaked(call),
        )


async def _next_turn(call: OnCall) -> None:
    call.session.interrupt(force=True)  # whoever was stopped may have begun anew
    await asyncio.sleep(0.3)
    await call.say_over(NEXT, time.monotonic())
    ends_s = time.monotonic() + 3.0
    while time.monotonic() < ends_s and not any(NEXT in one for one in call.studio.said("user")):
        await asyncio.sleep(0.05)


def _leaked(call: OnCall) -> int:
    """What the turn holds beside its own words."""
    turns = [one for one in call.studio.said("user") if NEXT in one]
    if not turns:
        raise RuntimeError(f"{NEXT!r} did not become a turn: {call.who}")
    return len(turns[-1].replace(NEXT, "").split())


async def backchannel_rows(*, quick: bool) -> list[Row]:
    """Four figures, each beside the default and beside the count of words."""
    times = 1 if quick else 3
    made = await asyncio.gather(*(listened(who) for _ in range(times) for who in HOSTS))
    rows: list[Row] = []
    for name, unit, field in (
        ("agent inaudible", "ms", "silent_ms"),
        ("words in chat_ctx", "words", "words"),
        ("words in the next turn", "words", "leaked"),
        ("extra LLM runs", "count", "llm_runs"),
    ):
        per = {
            who: [float(getattr(one, field)) for one in made[place :: len(HOSTS)]]
            for place, who in enumerate(HOSTS)
        }
        for stock in HOSTS[1:]:
            rows.append(
                Row(
                    name=f"backchannels over speech: {name}",
                    unit=unit,
                    ours=max(per["ours"]),
                    stock=middle(per[stock]),
                    stock_is=STOCK[stock],
                    budget=0,
                    spread=quartiles(per["ours"]),
                    n=times,
                    how='"uh-huh", "right okay" and a cough without words over one reply; the worst'
                    " of ours",
                )
            )
    return rows


async def cut_ms(who: Who, text: str, from_s: float) -> float:
    """The caller takes the floor ``from_s`` after the agent's first sound; onset to silence."""
    async with on_call(who, replies=[REPLY]) as call:
        call.session.generate_reply()
        onset_s = await call.first_heard() + from_s
        await call.say_over(text, onset_s)
        await asyncio.sleep(0.6)
        run = next(run for run in call.recording.heard() if run[1] > onset_s)
        if time.monotonic() - run[1] < 0.2:
            raise RuntimeError(f"{text!r} did not interrupt {who}")
        return (run[1] - onset_s) * 1_000


async def interruption_rows(*, quick: bool) -> list[Row]:
    """The same words at the same time."""
    trials, at_once = (6 if quick else 18), 3
    took: dict[Who, list[float]] = {who: [] for who in HOSTS}
    for first in range(0, trials, at_once):
        batch = range(first, min(first + at_once, trials))
        jobs = [(who, trial) for trial in batch for who in turned(HOSTS, trial)]
        # Any phase of a word must be hit.
        made = await asyncio.gather(
            *(
                cut_ms(who, INTERRUPTIONS[trial % len(INTERRUPTIONS)], 1.0 + trial * 0.083 % 0.3)
                for who, trial in jobs
            )
        )
        for (who, _), one in zip(jobs, made, strict=True):
            took[who].append(one)
    beside: tuple[tuple[Who, float], ...] = (
        ("stock", RATIO_DEFAULT),
        ("min_words_2", RATIO_MIN_WORDS),
    )
    return [
        Row(
            name="true interruption: onset -> silence",
            unit="ms",
            ours=middle(took["ours"]),
            stock=middle(took[stock]),
            stock_is=STOCK[stock],
            ratio_budget=budget,
            spread=quartiles(took["ours"]),
            n=trials,
            how="every window scored from the onset on, partials 250 ms behind each word's end",
        )
        for stock, budget in beside
    ]


async def rows(*, quick: bool) -> list[Row]:
    """Both kinds."""
    return [*await backchannel_rows(quick=quick), *await interruption_rows(quick=quick)]
