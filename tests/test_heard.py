"""What was heard of a message is known to the word, with and without word times."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import TTSSpeakFrame

from bargein.core.spread import joined, spread
from bargein.pipecat.pace import Pace
from rig import Rig

SENTENCES = [
    "Your appointment with Doctor Patel is on Tuesday at three in the afternoon.",
    "The clinic is on the second floor of the main building, next to the pharmacy.",
    "You will get a message with the address, and you can cancel it until the evening before.",
]


@given(st.text(max_size=60), st.integers(0, 9000), st.integers(1, 9000))
def test_the_pieces_of_a_text_are_the_text_in_order_of_time(text: str, at: int, lasts: int) -> None:
    pieces = spread(text, at, at + lasts)
    assert "".join(piece for piece, _ in pieces) == text
    onsets = [onset for _, onset in pieces]
    assert onsets == sorted(onsets)
    assert all(at <= onset <= at + lasts for onset in onsets)


def test_scripts_without_spaces_come_a_character_at_a_time() -> None:
    assert [piece for piece, _ in spread("您的预约，周二。", 0, 100)] == [
        "您", "的", "预", "约，", "周", "二。",
    ]  # fmt: skip
    assert joined(True, "好的") == "好的"
    assert joined(True, "Fine.") == " Fine."


def test_two_words_that_a_service_gives_one_time_are_both_said() -> None:
    pace = Pace()
    pace.word("in", 300)
    assert not pace.is_rest("the", 300)


def test_a_rest_that_has_no_sound_was_not_said() -> None:
    pace = Pace()
    for place, word in enumerate(["Your", "code", "is"]):
        pace.word(word, place * 300)
    assert pace.is_rest("is four two seven one.", 600)
    assert pace.rest("four two seven one.", 800) == ""
    assert pace.rest("four two seven one.", 2_400) == "four two seven one."


def test_a_real_voice_is_met_within_two_words() -> None:
    pytest.importorskip("espeakng_loader")
    from bargein.testing.speech import agent_voice

    errors: list[int] = []
    for sentence in SENTENCES:
        pcm, words = agent_voice(sentence, 24000)
        onsets = [at_ms for _, at_ms in spread(sentence, 0, len(pcm) / 24)]
        true = [at_s * 1000 for _, at_s in words]
        for cut in np.linspace(100, len(pcm) / 24, 80):
            heard = sum(onset < cut for onset in onsets)
            errors.append(abs(heard - sum(onset < cut for onset in true)))
    assert np.mean(np.array(errors) <= 2) >= 0.95


@pytest.mark.parametrize("word_times", [True, False])
async def test_the_context_has_what_was_heard_of_a_message_that_was_cut(word_times: bool) -> None:
    rig = Rig(word_times=word_times)
    text = "Your bag is at the desk and it is open from nine until six today. Ask for Ann there."
    yielded: list[Any] = []
    rig.manners.add_event_handler("on_yield", lambda _, decision: yielded.append(decision))

    async def script(rig: Rig) -> None:
        await rig.agent(text)
        await asyncio.sleep(1.6)
        await rig.voice(True)
        await rig.hears("stop please")
        await rig.voice(False)
        await rig.until(lambda: not rig.manners.busy)
        await asyncio.sleep(0.4)

    await rig.run(script)
    [said] = rig.said("assistant")
    assert text.startswith(said)
    # A word of the scripted voice takes 300 ms; the one in the air is finished.
    sounded = sum(len(chunk.pcm) // 2 for chunk in rig.output.written if any(chunk.pcm)) / 24000
    assert abs(len(said.split()) - sounded / 0.3) <= (1 if word_times else 2)
    assert abs(len(yielded[0].heard.split()) - len(said.split())) <= 1


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_message_that_was_heard_is_in_the_context_as_it_was_said(word_times: bool) -> None:
    rig = Rig(word_times=word_times)
    text = "It is open now. Please come in, and bring the form."

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(TTSSpeakFrame(text))
        await rig.until(lambda: rig.manners.floor == "agent")
        await rig.until(lambda: not rig.manners.busy)
        await asyncio.sleep(0.3)

    await rig.run(script)
    assert rig.said("assistant") == [text]
