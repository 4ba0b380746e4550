"""LangWatch Scenario's recipe ``interruption_recovery``, in both forms, line for line. Both pass.

Where that asks a model whether the agent recovered, this measures; a `Judge` of
`bargein.testing.calls.judge` asks one as well.
"""

import pytest
from test_pipecat_bargein import bot_that_answers

from bargein.testing import Steps, agent, interrupt, user
from bargein.testing.calls import Talk
from bargein.testing.calls.pipecat import PipecatAgent

REPLIES = {
    "billing": "Your billing page shows all of your invoices, and you can download each of them.",
    "support": "For account support, please tell me the number of your account.",
    "feature": "We offer invoices, reminders, reports for every month, and an export.",
    "hours": "Our business hours are nine to five.",
}
BILLING, FEATURES = "Tell me about my billing", "Tell me about every product feature you offer"
SUPPORT, HOURS = "Wait, I meant account support", "Sorry, what are your business hours?"

UNROLLED: list[Steps] = [
    *(user(BILLING), agent(wait=False), user(SUPPORT), agent()),
    *(user(FEATURES), agent(wait=False, after_words=4), user(HOURS), agent()),
]
SUGAR: list[Steps] = [
    *(user(BILLING), interrupt(SUPPORT), agent()),
    *(user(FEATURES), interrupt(HOURS, after_words=4), agent()),
]


@pytest.mark.parametrize("script", [UNROLLED, SUGAR], ids=["unrolled", "sugar"])
async def test_interruption_recovery(talk: Talk, script: list[Steps]) -> None:
    call = await talk(PipecatAgent(bot_that_answers(REPLIES)), *script)
    call.stopped_within(ms=1500)
    call.recovered(SUPPORT)
    call.recovered(HOURS, about=["nine to five"])
    call.context_equals_heard()
