"""Does the phone agent to copy start, does it play its call, and whom does it let in?"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from bargein.testing.phone import Phone, served

AGENT = Path(__file__).parents[1] / "pipelines" / "pipecat_phone.py"


@pytest.fixture(scope="module")
def agent() -> Any:
    spec = importlib.util.spec_from_file_location("pipecat_phone", AGENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def started(*argv: str, **keys: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    env["PYTHONPATH"] = str(AGENT.parents[1] / "plugins")
    return subprocess.run(
        [sys.executable, str(AGENT), *argv],
        capture_output=True,
        text=True,
        timeout=150,
        env={**env, **keys},
        check=False,
    )


async def test_offline_it_plays_a_call_and_tells_what_happened() -> None:
    run = await asyncio.to_thread(started, "--offline")
    assert run.returncode == 0, run.stderr
    first, *lines, asked, last = run.stdout.splitlines()
    assert first == "+49 30 901820 calls; the rules are those for: clinic"
    assert [line.partition(" s  ")[2] for line in lines] == [
        'what had to be heard is delivered: "This call is recorded for training."',
        'the telephone has played it: "This call is recorded for training."',
        'the caller listens: "uh-huh"; the agent goes on',
        'the caller takes the floor (correction): "no wait"',
        'what had to be heard is delivered: "Your code for the door is 4 2 7 1."',
        'the telephone has played it: "Your code for the door is 4 2 7 1."',
    ]
    assert asked == (
        'the LLM was asked: "how do I get there", "no wait I meant Thursday", "what was that"'
    )
    assert last == "the telephone was told to throw audio away 1 time(s)"


async def test_without_keys_it_says_which_in_one_sentence() -> None:
    run = await asyncio.to_thread(started, DEEPGRAM_API_KEY="k", PUBLIC_HOST="agent.example.com")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "pipecat_phone: OPENAI_API_KEY, ELEVENLABS_API_KEY, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN"
        " are not set in the environment."
    )


@pytest.mark.parametrize("given", ["{}", "https://{}/", " {}/ ", "wss://{}", "{}:443"])
def test_the_public_host_may_be_given_as_an_address(agent: Any, given: str) -> None:
    host = agent.public_host(given.format("agent.example.com"))
    assert host.removesuffix(":443") == "agent.example.com"


@pytest.mark.parametrize("given", ["https://h/twiml", "http://h", "a b", "https://", "u@h", "h?a"])
def test_what_is_no_public_host_is_refused(agent: Any, given: str) -> None:
    with pytest.raises(ValueError, match="PUBLIC_HOST must be the host alone"):
        agent.public_host(given)


async def test_no_public_host_is_told_in_one_sentence(agent: Any) -> None:
    keys = dict.fromkeys(agent.KEYS, "k") | {"PUBLIC_HOST": "https://h/twiml"}
    run = await asyncio.to_thread(started, **keys)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "pipecat_phone: PUBLIC_HOST must be the host alone that Twilio reaches over https, such as"
        " agent.example.com, not 'https://h/twiml'."
    )


async def test_rules_that_do_not_exist_are_refused_with_those_that_do() -> None:
    run = await asyncio.to_thread(started, "--rules", "bakery")
    assert run.returncode == 2
    assert "clinic" in run.stderr
    assert "kiosk" in run.stderr


class Asked:
    """The agent's application on this machine, and what it would have answered."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.callers: list[str] = []
        self.line: Any = None

    def __call__(self, address: str) -> Any:
        self.line = self.agent.Line(host=address, token="secret", scheme="http")
        return self.agent.answering(self.line, self._hang_up)

    def _hang_up(self, caller: str) -> Any:
        self.callers.append(caller)
        raise RuntimeError("nobody is at home")

    async def post(self, form: dict[str, str], signature: str) -> tuple[int, str]:
        url = f"http://{self.line.host}/twiml"
        headers = {
            "X-Twilio-Signature": signature,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=urlencode(form), headers=headers) as answer,
        ):
            return answer.status, await answer.text()

    async def call(self, parameters: dict[str, Any]) -> None:
        async with Phone(f"ws://{self.line.host}/media", parameters=parameters) as phone:
            while not phone.is_over:
                await asyncio.sleep(0.01)


def test_a_signature_is_as_twilio_documents_it(agent: Any) -> None:
    # The example in Twilio's "Validating Signatures from Twilio".
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    asked = "https://mycompany.com/myapp.php?foo=1&bar=2" + "".join(
        key + form[key] for key in sorted(form)
    )
    assert agent.Line(host="", token="12345").signed(asked) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


async def test_only_twilio_gets_a_stream(agent: Any) -> None:
    asked = Asked(agent)
    form = {"CallSid": "CA1", "From": '+49<"&'}
    async with served(asked):
        signed = asked.line.signed(f"http://{asked.line.host}/twimlCallSidCA1From{form['From']}")
        status, twiml = await asked.post(form, signed)
        assert status == 200
        assert f'<Stream url="ws://{asked.line.host}/media">' in twiml
        assert "value='+49&lt;\"&amp;'" in twiml
        for wrong in ("", "x", "ü", asked.line.signed("anything else")):
            assert (await asked.post(form, wrong))[0] == 403
        assert (await asked.post({**form, "From": "+1"}, signed))[0] == 403


@pytest.mark.parametrize(
    ("caller", "known"), [("+49 30 901820", "+49 30 901820"), ("+266696687", ""), ("", "")]
)
async def test_a_stream_is_taken_with_its_ticket_and_nobody_shares_a_memory(
    agent: Any, caller: str, known: str
) -> None:
    asked = Asked(agent)
    async with served(asked):
        ticket = asked.line.signed(f"loopback-call {caller}")
        await asked.call({"from_number": caller, "ticket": ticket})
        assert asked.callers == [known]


@pytest.mark.parametrize("ticket", ["", "x", 7, None, "of another call"])
async def test_a_stream_without_its_ticket_is_refused(agent: Any, ticket: Any) -> None:
    asked = Asked(agent)
    async with served(asked):
        if ticket == "of another call":
            ticket = asked.line.signed("another-call +49 30 901820")
        await asked.call({"from_number": "+49 30 901820", "ticket": ticket})
        assert asked.callers == []


async def test_a_ticket_is_good_for_one_stream(agent: Any) -> None:
    asked = Asked(agent)
    async with served(asked):
        caller = "+49 30 901820"
        proof = {"from_number": caller, "ticket": asked.line.signed(f"loopback-call {caller}")}
        for _ in range(2):
            await asked.call(proof)
        assert asked.callers == [caller]
        # Its stream has broken off, and Twilio asks what to do with the call.
        form = {"CallSid": "loopback-call", "From": caller}
        url = f"http://{asked.line.host}/twiml"
        signed = asked.line.signed(f"{url}CallSidloopback-callFrom{caller}")
        assert (await asked.post(form, signed))[0] == 200
        await asked.call(proof)
        assert asked.callers == [caller] * 2


@pytest.mark.parametrize(
    "said",
    [[], ["x"], ["[]", "[]"], ["7", "null"], ["[" * 100_000, "{"], ['{"event": "start"}', "{}"],
     ["{}", '{"event":"start","start":{"streamSid":"s","callSid":"c","customParameters":[]}}'],
     ["{}", '{"event":"start","start":{"streamSid":"s","callSid":"c","customParameters":'
            '{"ticket":"\\ud800"}}}']],
    ids=range(8),
)  # fmt: skip
async def test_a_stream_that_never_says_whose_it_is_is_closed(
    agent: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "HANDSHAKE_S", 0.3)
    asked = Asked(agent)
    async with served(asked), aiohttp.ClientSession() as session:
        async with session.ws_connect(f"ws://{asked.line.host}/media") as socket:
            for one in said:
                await socket.send_str(one)
            async with asyncio.timeout(10):
                while not socket.closed:
                    await socket.receive()
            assert socket.close_code == 1008
        assert asked.callers == []


async def test_what_twilio_would_never_ask_is_refused_and_not_kept(agent: Any) -> None:
    asked = Asked(agent)
    async with served(asked), aiohttp.ClientSession() as session:
        url = f"http://{asked.line.host}/twiml"
        for body, status in ((b"From=\xff\xfe", 403), (b"x" * 100_000, 413), (b"", 403)):
            async with session.post(url, data=body) as answer:
                assert answer.status == status


async def test_only_this_machine_reaches_it_unless_told_otherwise(
    agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listens: list[str] = []
    for key in agent.KEYS:
        monkeypatch.setenv(key, "any")
    monkeypatch.setattr(agent.uvicorn, "run", lambda _, **on: listens.append(on["host"]))
    for argv in ([], ["--host", "0.0.0.0"]):
        monkeypatch.setattr(sys, "argv", ["pipecat_phone", *argv])
        agent.main()
    assert listens == ["127.0.0.1", "0.0.0.0"]


async def test_a_caller_without_a_number_is_not_remembered(agent: Any, tmp_path: Path) -> None:
    store = tmp_path / "calls.db"
    agent.manners_of("", store=str(store))
    assert not store.exists()
