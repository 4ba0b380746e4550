"""What callers of Pipecat bots reported, by what they noticed: does it happen with us?

Each call is held twice, and the second time without us: either Pipecat still shows the defect, or
it is known to have mended it. So nobody is defended against what nobody does any more.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    LLMMessagesAppendFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TTSSpeakFrame,
)
from pipecat.turns.user_start import MinWordsUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import (
    UserTurnStrategies,
    default_user_turn_start_strategies,
    default_user_turn_stop_strategies,
)

from bargein.pipecat import Bargein
from host_bugs import Defect, gone, words_in
from rig import SAYS, Rig

LONG = " ".join(f"Point {n} of the contract is explained in the appendix." for n in range(4))


def mended(number: str, defect: Defect) -> Awaitable[None]:
    return gone("pipecat-ai", number, defect)


def without_us(start: Any = None, stop: Any = None) -> dict[str, Any]:
    """A call with Pipecat's own strategies, and nothing of ours in it."""
    stop = stop or [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.2)]
    strategies = UserTurnStrategies(start=start or default_user_turn_start_strategies(), stop=stop)
    return {"strategies": strategies, "wrap": lambda _, parts: parts}


def bot(ours: bool, start: Any = None, **options: Any) -> Rig:
    return Rig(**options, **({} if ours else without_us(start)))


def words_heard(rig: Rig) -> float:
    """How many words of the bot's were audible."""
    return words_in(np.frombuffer(one.pcm, "<i2") for one in rig.output.written)


async def hears(rig: Rig, words: float) -> None:
    """Wait until so many more words were heard."""
    before = words_heard(rig)
    await rig.until(lambda: words_heard(rig) >= before + words)


async def quiet(rig: Rig) -> None:
    """Wait until the bot has been silent for a second."""
    before = -1.0
    async with asyncio.timeout(60):
        while words_heard(rig) != before:
            before = words_heard(rig)
            await asyncio.sleep(1)


async def says(rig: Rig, *texts: str) -> None:
    """The caller says this, in pieces; the recogniser is not slow."""
    await rig.voice(True)
    await asyncio.sleep(0.2)
    for text in texts:
        await rig.hears(text)
    await asyncio.sleep(0.1)
    await rig.voice(False)


async def asks(rig: Rig, text: str = "Tell me about the contract.") -> None:
    """The caller has asked something, and the bot begins to answer."""
    said: Any = [{"role": "user", "content": text}]
    await rig.worker.queue_frame(LLMMessagesAppendFrame(said, run_llm=True))
    await hears(rig, 0.1)


@pytest.mark.parametrize("after_s", [0.0, 0.4, 1.3, 3.1])
async def test_the_bot_says_a_sentence_of_the_turn_before(after_s: float) -> None:
    """pipecat-ai/pipecat#754: what was left of an interrupted answer is heard in the next one."""

    async def defect(ours: bool) -> bool:
        later = list[float]()

        async def script(rig: Rig) -> None:
            await asks(rig)
            await asyncio.sleep(after_s)
            await says(rig, "no wait I meant Thursday")
            await rig.until(lambda: len(rig.llm.runs) == 2)
            before = words_heard(rig)
            await quiet(rig)
            later.append(words_heard(rig) - before)

        rig = await bot(ours, replies=[LONG, "Of course."]).run(script)
        return later[0] > 2.2 or rig.said("assistant")[-1] != "Of course."

    await mended("754", defect)


async def test_one_word_stops_the_bot_where_the_recogniser_ends_the_turns() -> None:
    """pipecat-ai/pipecat#2988: Flux interrupted the bot, whatever strategy was asked for."""

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(TTSSpeakFrame(SAYS))
        await hears(rig, 2)
        await rig.worker.queue_frame(ProposedUserStartedSpeakingFrame())
        await rig.hears("mm-hm", final=False)
        await rig.worker.queue_frame(ProposedUserStoppedSpeakingFrame())
        await rig.hears("mm-hm")
        await quiet(rig)
        await rig.worker.queue_frame(ProposedUserStartedSpeakingFrame())
        await rig.hears("what time is it")
        await rig.worker.queue_frame(ProposedUserStoppedSpeakingFrame())
        await rig.until(lambda: len(rig.llm.runs) == 1)

    async def defect(ours: bool) -> bool:
        start = [MinWordsUserTurnStartStrategy(min_words=3)]
        rig = Rig(strategies=None) if ours else bot(False, start)
        await rig.run(script)
        if ours:
            assert rig.said("user") == ["what time is it"]
        return rig.said("assistant") != [SAYS]

    await mended("2988", defect)


async def test_the_bot_talks_on_over_the_telephone_when_it_is_interrupted() -> None:
    """pipecat-ai/pipecat#3191: with MinWords and Twilio it stopped late, or never."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    from phone_rig import on_the_phone, sounding_ms

    async def defect(ours: bool) -> bool:
        heard_ms = list[int]()

        async def script(rig: Rig, phone: Any) -> None:
            await rig.worker.queue_frame(TTSSpeakFrame(LONG))
            await rig.until(lambda: sounding_ms(phone) >= 1200)
            before_ms = sounding_ms(phone)
            await rig.voice(True)
            for text in ("no", "no wait", "no wait I", "no wait I meant"):
                await asyncio.sleep(0.3)
                await rig.hears(text, final=False)
            await asyncio.sleep(0.6)
            await rig.hears("no wait I meant Thursday")
            await rig.voice(False)
            await asyncio.sleep(3)
            heard_ms.append(sounding_ms(phone) - before_ms)

        stock = without_us([MinWordsUserTurnStartStrategy(min_words=2)])
        await on_the_phone("twilio", script, without_us=None if ours else stock)
        return heard_ms[0] > 1200

    await mended("3191", defect)


async def test_what_is_said_behind_the_first_words_of_an_interruption_is_lost() -> None:
    """pipecat-ai/pipecat#5683: their own interruption drops what is queued behind them."""

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(TTSSpeakFrame(LONG))
        await hears(rig, 2)
        for text in ("no wait", "I meant Thursday", "in the morning"):
            await rig.hears(text)
        await rig.until(lambda: bool(rig.llm.runs))
        await quiet(rig)

    async def defect(ours: bool) -> bool:
        rig = await bot(ours, [MinWordsUserTurnStartStrategy(min_words=2)]).run(script)
        return " ".join(rig.said("user")) != "no wait I meant Thursday in the morning"

    await mended("5683", defect)


async def test_a_bot_that_was_interrupted_never_goes_on() -> None:
    """pipecat-ai/pipecat#1661: what follows is whatever the model makes of it."""

    async def script(rig: Rig) -> None:
        await rig.worker.queue_frame(TTSSpeakFrame(SAYS))
        await hears(rig, 3)
        await says(rig, "is there a lift")
        await rig.until(lambda: len(rig.llm.runs) == 1)
        await quiet(rig)
        await says(rig, "please go on")
        await asyncio.sleep(1)
        await quiet(rig)

    async def defect(ours: bool) -> bool:
        rig = await bot(ours, replies=["Yes, beside the entrance.", "With what?"]).run(script)
        return not rig.said("assistant")[-1].endswith("in the main building.")

    await mended("1661", defect)


@pytest.mark.parametrize("word_times", [True, False])
async def test_the_bot_says_again_what_was_heard_already(word_times: bool) -> None:
    """pipecat-ai/pipecat#4996: words that were heard are not in the context after a cut."""

    async def defect(ours: bool) -> bool:
        lost = 0.0
        for after_ms in range(900, 1200, 60):

            async def script(rig: Rig, after_s: float = after_ms / 1000) -> None:
                await asks(rig)
                await asyncio.sleep(after_s)
                await says(rig, "no wait I meant Thursday")
                await rig.until(lambda: len(rig.llm.runs) == 2)
                await quiet(rig)

            rig = await bot(ours, replies=[SAYS, ""], word_times=word_times).run(script)
            known = len(" ".join(rig.said("assistant")).split())
            lost = max(lost, words_heard(rig) - known)
        return lost > (1.2 if word_times else 2.2)

    await mended("4996" if not word_times else "", defect)


async def test_a_yes_that_the_voice_detection_missed_is_answered_after_five_seconds() -> None:
    """pipecat-ai/pipecat#3643: a turn without a voice had no end but a time limit."""

    async def defect(ours: bool) -> bool:
        waited = list[float]()
        stop = default_user_turn_stop_strategies()

        async def script(rig: Rig) -> None:
            await rig.worker.queue_frame(TTSSpeakFrame("Shall I book it?"))
            await hears(rig, 3.5)
            await asyncio.sleep(1)
            began_s = asyncio.get_running_loop().time()
            await rig.hears("Yes.")
            await rig.until(lambda: bool(rig.llm.runs))
            waited.append(asyncio.get_running_loop().time() - began_s)

        manners = Bargein()
        strategies = {"strategies": manners.turn_strategies(stop=stop)}
        rig = Rig(manners, **(strategies if ours else without_us(stop=stop)))
        await rig.run(script)
        assert rig.said("user") == ["Yes."]
        return waited[0] > 2

    await mended("3643", defect)
