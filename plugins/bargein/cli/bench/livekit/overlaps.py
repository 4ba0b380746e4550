"""What do a listener's noises do to the agent, beside a LiveKit session without us?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bargein.testing.livekit_parts import VOICE_RATE
from bargein.testing.tones import WORD_S

from ..row import Row, middle, quartiles
from ..script import REPLY, silent_ms, until
from .host import STOCK, OnCall, Who, between, on_call

HOSTS: tuple[Who, ...] = ("ours", "stock", "min_words_2", "min_words_3")
COUGH = ""
BACKCHANNELS = ((1.5, "right okay"), (4.0, COUGH), (6.5, "uh-huh"))
"""When, from the agent's first sound, and what."""
NEXT = "what else should I bring"
"""What the caller says once the agent has finished."""


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


async def rows(*, quick: bool) -> list[Row]:
    """Four figures, each beside the default and beside both counts of words."""
    times = 1 if quick else 3
    made = await asyncio.gather(*(listened(who) for _ in range(times) for who in HOSTS))
    rows: list[Row] = []
    for name, unit, field in (
        ("agent inaudible", "ms", "silent_ms"),
        ("words in the context", "words", "words"),
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
