"""Does every promise hold in a full call on Pipecat with the real clients of the services?"""

from functools import partial
from typing import Any

import pytest

from held import Held

pytest.register_assert_rewrite("promises")
promises = pytest.importorskip("promises")
for needed in ("deepgram", "elevenlabs", "openai", "espeakng_loader"):
    pytest.importorskip(needed)
PhoneCall = pytest.importorskip("pipecat_call").PhoneCall

CALLS = [(ear, name) for ear in ("nova", "flux") for name in promises.SCRIPTS]
"""Flux proposes turns itself."""


async def held(ear: str, name: str) -> Any:
    call = PhoneCall(promises.ANSWERS, flux=ear == "flux")
    return await call.run(promises.SCRIPTS[name])


@pytest.fixture(scope="module")
def calls() -> Held[Any]:
    return Held({call: partial(held, *call) for call in CALLS})


both = pytest.mark.parametrize("ear", ["nova", "flux"])


@pytest.mark.parametrize(("ear", "name"), CALLS)
def test_nobody_fails(calls: Held[Any], ear: str, name: str) -> None:
    promises.failed_nobody(calls[ear, name])


@both
@pytest.mark.parametrize("name", ["uh-huh", "right okay"])
def test_an_acknowledgement_costs_nothing(calls: Held[Any], ear: str, name: str) -> None:
    promises.kept_talking(calls[ear, name], name)


def test_a_guess_that_the_turn_is_over_interrupts_nobody(calls: Held[Any]) -> None:
    promises.guessed_and_resumed(calls["flux", "right okay"])


@both
def test_an_interruption_leaves_what_was_heard(calls: Held[Any], ear: str) -> None:
    promises.left_what_was_heard(calls[ear, "interrupts"])


@both
def test_an_early_yes_is_answered(calls: Held[Any], ear: str) -> None:
    promises.answered_an_early_yes(calls[ear, "early yes"])


@both
def test_a_code_is_heard_in_full_and_the_caller_answered(calls: Held[Any], ear: str) -> None:
    promises.gave_the_code_in_full(calls[ear, "code"])


@both
def test_go_on_goes_on_without_a_chat_request(calls: Held[Any], ear: str) -> None:
    promises.went_on(calls[ear, "go on"])
