"""Whatever fails in the middle of a call, the call goes on, and nothing of it is lost or untrue."""

from functools import partial
from typing import Any

import pytest

from held import Held

pytest.register_assert_rewrite("promises", "trouble")
trouble = pytest.importorskip("trouble")
for needed in ("deepgram", "elevenlabs", "openai", "espeakng_loader"):
    pytest.importorskip(needed)

HOSTS = ["pipecat", "livekit"]
CALLS = [(host, one) for host in HOSTS for one in trouble.TROUBLES]


async def held(host: str, one: Any) -> Any:
    call = pytest.importorskip(f"{host}_call").PhoneCall(trouble.ANSWERS, faults=one.planned)

    async def script(call: Any) -> None:
        await trouble.MOMENTS[one.moment](call, one)

    return await call.run(script)


@pytest.fixture(scope="module")
def calls() -> Held[Any]:
    return Held({call: partial(held, *call) for call in CALLS})


@pytest.mark.parametrize(("host", "one"), CALLS, ids=str)
def test_a_call_lives_through_it(calls: Held[Any], host: str, one: Any) -> None:
    call = calls[host, one]
    trouble.told_the_truth(call)
    trouble.kept_every_word(call)
    if one.service != "openai":
        trouble.answered_the_caller(call)
    trouble.knew_what_was_heard(call)
    trouble.complained_once(call)
