"""What does a test say of a call? Claims that hold, and a sentence for each that does not."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bargein.core import trace
from bargein.testing.calls import Call, CallFailed, Stalled, Unsupported
from bargein.testing.calls.found import Reply, Word
from bargein.testing.calls.judge import RECOVERED, Judge, JudgeError
from bargein.testing.calls.measured import Sounded, audible, overlaps
from bargein.testing.calls.subject import BargeIn, Capabilities, Ran, WordTimes
from bargein.testing.calls.timeline import events
from bargein.testing.services import OpenAIChat, Status
from bargein.testing.steps import Means

RATE = 8000
EXPLAINS = "Items can be returned within thirty days as long as you have the receipt"
WORD_S = 0.4


def reply(text: str, at_s: float, *, heard: int = 99, pause: tuple[int, float] = (99, 0)) -> Reply:
    """A text whose words take 0.4 s each; a pause lies before one of them."""
    words = []
    for place, word in enumerate(text.split()):
        late_s = pause[1] if place >= pause[0] else 0.0
        when = at_s + place * WORD_S + late_s if place < heard else None
        held_s = pause[1] if place == pause[0] else 0.0
        words.append(Word(text=word, at_s=when, held_s=held_s))
    last = [word.at_s for word in words if word.at_s is not None]
    ended_s = last[-1] + WORD_S if last else None
    return Reply(text=text, voiced_s=at_s - 0.1, words=tuple(words), ended_s=ended_s)


def said(text: str, at_s: float, means: Means = Means.TURN) -> Sounded:
    return Sounded(text=text, means=means, onset_s=at_s, ended_s=at_s + 0.5)


def call(
    replies: list[Reply],
    sounds: list[Sounded],
    *,
    context: list[str] | None = None,
    user: tuple[str, ...] = (),
    stalls: list[tuple[float, float]] | None = None,
    word_times: WordTimes = WordTimes.VOICE,
    knows_context: bool = True,
) -> Call:
    track = np.zeros(30 * RATE, np.int16)
    for one in replies:
        for word in one.words:
            if word.at_s is not None:
                track[round(word.at_s * RATE) : round((word.at_s + WORD_S) * RATE)] = 5000
    runs = audible(track, RATE, 0.0)
    said_by = [("assistant", text) for text in context or [one.heard for one in replies]]
    messages = [{"role": who, "content": text} for who, text in said_by]
    return Call(
        capabilities=Capabilities(
            host="a bot",
            barge_in=BargeIn.VAD,
            word_times=word_times,
            dtmf=False,
            context=knows_context,
            runs=knows_context,
        ),
        steps=(),
        began_s=0.0,
        ended_s=30.0,
        sounds=sounds,
        replies=replies,
        overlaps=overlaps(sounds, replies, runs),
        runs=[Ran(at_s=0.5, asked="hello")],
        audible=runs,
        messages=[*messages, *({"role": "user", "content": text} for text in user)],
        stalls=stalls or [],
        agent_track=track,
        caller_track=np.zeros(0, np.int16),
        rate=RATE,
    )


WAIT = said("Wait, what about shoes", 3.4)
MM_HM = said("mm-hm", 3.4, Means.LISTENING)


def stopped(**options: Any) -> Call:
    """Cut after six words, 0.4 s after the caller began, and answered."""
    return call([reply(EXPLAINS, 1.4, heard=6), reply("Shoes as well", 6.0)], [WAIT], **options)


def test_what_holds_says_nothing() -> None:
    one = stopped()
    one.stopped_within(450)
    one.heard("within thirty")
    one.heard("shoes, as well!")
    one.context_equals_heard()
    one.not_in_context("mm-hm")
    one.recovered()
    assert (one.words_lost, one.llm_runs) == ([], 1)
    on = call([reply(EXPLAINS, 1.4)], [MM_HM])
    on.never_stopped()
    on.spoken_in_full("as long as you have the receipt")
    assert on.words_lost == []


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        (lambda: stopped().stopped_within(300), r"silent 4\d\d ms after .* not within 300 ms"),
        (lambda: stopped().never_stopped(), r"stopped 4\d\d ms .* 8 words went unheard: \"days as"),
        (lambda: stopped().heard("the receipt"), 'nobody heard "the receipt"; heard was: "Items'),
        (lambda: stopped().spoken_in_full("thirty days"), 'of "thirty days" only "thirty" was'),
        (lambda: stopped().spoken_in_full("4 2 7 1"), 'the agent never meant to say "4 2 7 1"'),
        (lambda: stopped().resumed_from("within thirty"), "did not go on from"),
        (
            lambda: stopped(context=[EXPLAINS, "Shoes as well"]).context_equals_heard(),
            '8 words nobody heard: "days as long as you have the receipt"',
        ),
        (lambda: stopped(user=("mm-hm wait",)).not_in_context("mm-hm"), '"mm-hm" is in the conte'),
        (lambda: stopped().in_context("yes"), '"yes" is not in the context'),
        (
            lambda: call([reply(EXPLAINS, 1.4)], [WAIT]).stopped_within(300),
            'did not stop for "Wait, what about shoes"',
        ),
        (
            lambda: call([reply(EXPLAINS, 1.4)], []).never_stopped(),
            "a turn or .* was never to be heard over the agent's voice",
        ),
        (
            lambda: call([reply(EXPLAINS, 1.4, pause=(6, 0.7))], [MM_HM]).never_stopped(),
            'silent for 700 ms after "mm-hm", and then went on',
        ),
        (
            lambda: call([reply(EXPLAINS, 1.4, pause=(10, 0.7))], []).spoken_in_full(EXPLAINS),
            'before "you" the agent paused 700 ms',
        ),
    ],
)
def test_what_does_not_hold_is_a_sentence_and_the_call(claim: Any, sentence: str) -> None:
    with pytest.raises(CallFailed, match=sentence) as failed:
        claim()
    assert 's  agent   "Items can be returned' in str(failed.value)


def test_a_plain_bot_loses_words_to_a_listener() -> None:
    cut = call([reply(EXPLAINS, 1.4, heard=6)], [MM_HM])
    assert cut.words_lost == ["days", "as", "long", "as", "you", "have", "the", "receipt"]


def test_going_on_is_from_where_it_was_said() -> None:
    first = reply(EXPLAINS, 1.4, heard=6)
    went_on = call([first, reply("Sure, thirty days as long as you have it", 6.0)], [WAIT])
    went_on.resumed_from("thirty days")
    with pytest.raises(CallFailed, match='went on from "thirty days as", not from "days as"'):
        went_on.resumed_from("days as")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", 'no answer to "Wait, what about shoes"'),
        ("We are open until five", 'has no word of "Wait, what about shoes"'),
        ("Shoes too. Days as long as you have the receipt", "the interrupted answer goes on"),
        ("Shoes? Items can be returned within thirty days", "says again what was heard"),
    ],
)
def test_a_bad_recovery_is_told_without_a_model(answer: str, problem: str) -> None:
    replies = [reply(EXPLAINS, 1.4, heard=6), *([reply(answer, 6.0)] if answer else [])]
    with pytest.raises(CallFailed, match=problem):
        call(replies, [WAIT]).recovered()


def test_each_interruption_is_answered_for_itself() -> None:
    again = said("And hats", 10.0)
    replies = [
        reply(EXPLAINS, 1.4, heard=6),
        reply(f"Shoes as well: {EXPLAINS}", 6.0, heard=11),
        reply("Mittens are fine", 15.0),
    ]
    one = call(replies, [WAIT, again])
    with pytest.raises(CallFailed, match='"Mittens are fine" has no word of "And hats"'):
        one.recovered("And hats")
    one.recovered("And hats", about=["mittens"])
    with pytest.raises(CallFailed, match="says again what was heard"):
        one.recovered()
    with pytest.raises(CallFailed, match="never interrupted the agent with"):
        one.recovered("Stop")


def test_what_an_answer_is_about_can_be_said() -> None:
    replies = [reply(EXPLAINS, 1.4, heard=6), reply("We are open until five", 6.0)]
    call(replies, [WAIT]).recovered(about=["open"])


def test_a_machine_that_stood_still_is_told_from_an_agent_that_is_slow() -> None:
    with pytest.raises(Stalled, match=r"stood still for 300 ms at this moment"):
        stopped(stalls=[(3.45, 0.3)]).stopped_within(300)
    with pytest.raises(CallFailed):
        stopped(stalls=[(1.0, 0.3)]).stopped_within(300)
    with pytest.raises(CallFailed):
        stopped(stalls=[(3.45, 0.05)]).stopped_within(300)


def test_what_cannot_be_known_is_said_and_not_guessed() -> None:
    with pytest.raises(Unsupported, match="needs the agent's words"):
        stopped(word_times=WordTimes.NONE).heard("thirty")
    with pytest.raises(Unsupported, match="needs the agent's LLM"):
        stopped(knows_context=False).not_in_context("mm-hm")
    with pytest.raises(Unsupported, match="a bot does not show its runs"):
        assert stopped(knows_context=False).llm_runs == 1


def test_a_call_is_kept_to_be_heard_and_replayed(tmp_path: Path) -> None:
    one = stopped()
    sound, log, text = one.keep(tmp_path / "call")
    assert sound.stat().st_size == 44 + 30 * RATE * 4
    assert list(trace.read_all(log.read_text().splitlines())) == events(one)
    assert text.read_text() == one.timeline() + "\n"


def verdict(*met: bool, score: float = 0.9) -> str:
    found = [{"met": one, "reason": "so it is"} for one in met]
    return json.dumps({"criteria": found, "score": score})


async def test_a_model_judges_what_was_heard() -> None:
    answers = [verdict(True, True, True), f"```json\n{verdict(True, False, True, score=0.4)}\n```"]
    async with OpenAIChat(answers) as chat:
        judge = Judge(model="judge", base_url=chat.base_url)
        good, bad = await judge.judge(stopped()), await judge.judge(stopped())
    assert (good.passed, bad.passed) == (True, False)
    assert f"NOT MET {RECOVERED[1]} (so it is)" in str(bad)
    asked = chat.requests[0]["messages"][-1]["content"]
    assert "Items can be returned within thirty" in asked
    assert RECOVERED[0] in asked


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("The agent did well.", "this is no judgement: 'The agent did well.'"),
        (verdict(True), "this is no judgement"),
        (verdict(True, True, True, score=7), "a score is from 0 to 1, not 7"),
        ("", "no judgement|no answer"),
    ],
)
async def test_an_answer_that_is_no_judgement_is_not_one(answer: str, sentence: str) -> None:
    async with OpenAIChat([answer]) as chat:
        with pytest.raises(JudgeError, match=sentence):
            await Judge(model="judge", base_url=chat.base_url).judge(stopped())


class Endpoint(BaseHTTPRequestHandler):
    """A model outside of the loop."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"message": {"content": verdict(True, True, True)}}
        body = json.dumps({"choices": [message]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


async def test_virtual_time_waits_for_a_judge_outside() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever).start()
        base_url = f"http://127.0.0.1:{server.server_port}/v1"
        judgement = await Judge(model="judge", base_url=base_url).judge(stopped())
        server.shutdown()
    assert judgement.passed


async def test_a_judge_that_cannot_be_reached_says_nothing_about_the_agent() -> None:
    async with OpenAIChat([], faults=[Status(code=500)]) as chat:
        judge = Judge(model="judge", base_url=chat.base_url)
        with pytest.raises(JudgeError, match="answers with status 500"):
            await judge.judge(stopped())
    with pytest.raises(JudgeError, match="gives no answer: URLError"):
        await judge.judge(stopped())
