"""Does every promise hold in a full call on each host with the real clients of the services?"""

from functools import partial
from typing import Any

import pytest

from held import Held

pytest.register_assert_rewrite("promises")
promises = pytest.importorskip("promises")
CLIENTS = {
    "pipecat": ("deepgram", "elevenlabs", "openai"),
    "livekit": ("livekit.plugins.deepgram", "livekit.plugins.elevenlabs"),
}
EARS = ("nova", "flux")
"""Flux proposes turns itself."""
CALLS = [(host, ear, name) for host in CLIENTS for ear in EARS for name in promises.SCRIPTS]
pytest.importorskip("espeakng_loader")


async def held(host: str, ear: str, name: str) -> Any:
    for client in CLIENTS[host]:
        pytest.importorskip(client)
    call = pytest.importorskip(f"{host}_call").PhoneCall(promises.ANSWERS, flux=ear == "flux")
    return await call.run(promises.SCRIPTS[name])


@pytest.fixture(scope="module")
def calls() -> Held[Any]:
    return Held({call: partial(held, *call) for call in CALLS})


hosts = pytest.mark.parametrize("host", CLIENTS)
both = pytest.mark.parametrize("ear", EARS)


@pytest.mark.parametrize(("host", "ear", "name"), CALLS)
def test_nobody_fails(calls: Held[Any], host: str, ear: str, name: str) -> None:
    promises.failed_nobody(calls[host, ear, name])


@hosts
@both
@pytest.mark.parametrize("name", ["uh-huh", "right okay"])
def test_an_acknowledgement_costs_nothing(calls: Held[Any], host: str, ear: str, name: str) -> None:
    promises.kept_talking(calls[host, ear, name], name)


@hosts
def test_a_guess_that_the_turn_is_over_interrupts_nobody(calls: Held[Any], host: str) -> None:
    promises.guessed_and_resumed(calls[host, "flux", "right okay"])


@hosts
@both
def test_an_interruption_leaves_what_was_heard(calls: Held[Any], host: str, ear: str) -> None:
    promises.left_what_was_heard(calls[host, ear, "interrupts"])


@hosts
@both
def test_an_early_yes_is_answered(calls: Held[Any], host: str, ear: str) -> None:
    promises.answered_an_early_yes(calls[host, ear, "early yes"])


@hosts
@both
def test_a_code_is_heard_in_full_and_the_caller_answered(
    calls: Held[Any], host: str, ear: str
) -> None:
    promises.gave_the_code_in_full(calls[host, ear, "code"])


@hosts
@both
def test_go_on_goes_on_without_a_chat_request(calls: Held[Any], host: str, ear: str) -> None:
    promises.went_on(calls[host, ear, "go on"])
