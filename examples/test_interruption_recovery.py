"""LangWatch Scenario's recipe ``interruption_recovery``, in both forms, line for line. It passes.

Where that asks a model whether the agent recovered, this measures; `bargein.testing.calls.judge`
asks one as well.
"""

from test_pipecat_bargein import bot_that_answers

from bargein.testing import agent, interrupt, user
from bargein.testing.calls.pipecat import PipecatAgent

REPLIES = {
    "billing": "Your billing page shows all of your invoices, and you can download each of them.",
    "support": "For account support, please tell me the number of your account.",
    "feature": "We offer invoices, reminders, reports for every month, and an export.",
    "hours": "Our business hours are nine to five.",
}


async def test_interruption_recovery(talk):
    call = await talk(
        PipecatAgent(bot_that_answers(REPLIES)),
        # unrolled
        user("Tell me about my billing"),
        agent(wait=False),
        user("Wait, I meant account support"),
        agent(),
        # sugar
        user("Tell me about every product feature you offer"),
        interrupt("Sorry, what are your business hours?", after_words=4),
        agent(),
    )
    call.stopped_within(ms=1500)
    call.heard("For account support")
    call.recovered(about=["hours"])
    call.context_equals_heard()
