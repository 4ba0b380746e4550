"""What does a caller notice of a voice that stalls, until Pipecat takes it for one that is over?"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

pytest.importorskip("pipecat")

from pipecat.frames.frames import Frame, TTSAudioRawFrame

from bargein.testing import virtual_time
from bargein.testing.pipecat_parts import ScriptedTTS
from bargein.testing.virtual_time import VirtualTimeLoop
from either_host import SAYS, OnPipecat


class Stalling(ScriptedTTS):
    """Stalls once, after three words, for so long; it passes for finished after 0.4 s."""

    def __init__(self, for_s: float) -> None:
        super().__init__()
        self._for_s = for_s

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        made_s = 0.0
        async for frame in super().run_tts(text, context_id):
            yield frame
            if isinstance(frame, TTSAudioRawFrame):
                made_s += 0.1
                if abs(made_s - 0.9) < 0.01:
                    for_s, self._for_s = self._for_s, 0.0
                    await asyncio.sleep(for_s)


class Stalls(OnPipecat):
    """A call with such a voice."""

    def __init__(self, for_s: float) -> None:
        super().__init__(tts=Stalling(for_s), replies=["Of course."])


@pytest.mark.parametrize("for_s", [0.5, 1.2, 4.0])
async def test_all_that_is_heard_of_it_is_known(for_s: float) -> None:
    async def script(call: Any) -> None:
        await call.says()
        await call.quiet(for_s + 2)

    call = await Stalls(for_s).run(script)
    assert " ".join(call.said("assistant")) == SAYS
    assert call.words_heard == pytest.approx(len(SAYS.split()), abs=0.5)
    assert call.complaints == []


@pytest.mark.parametrize("for_s", [0.5, 1.2, 4.0])
async def test_it_can_be_talked_over_when_it_goes_on(for_s: float) -> None:
    async def script(call: Any) -> None:
        await call.says()
        await call.until(lambda: call.words_heard > 4)
        await call.talks_over(after_s=0.3)
        await call.quiet(2)

    call = await Stalls(for_s).run(script)
    assert any("Yield" in one for one in call.decided)
    assert call.words_heard < 10
    call.knew_what_was_heard(give=1.2)
    call.kept_every_word()


@pytest.mark.parametrize("for_s", [1.2, 4.0])
async def test_a_code_that_stalls_is_said_again_in_one_piece(for_s: float) -> None:
    async def script(call: Any) -> None:
        await call.says("Your code is four two seven one.", must_hear=True)
        await call.quiet(for_s + 2)

    call = await Stalls(for_s).run(script)
    call.told_the_truth()
    assert [one.state.value for one in call.receipts] == ["cut", "delivered"]


def test_a_busy_machine_makes_no_word_heard_before_it_sounds() -> None:
    """The text-to-speech is taken for finished because the whole process stood still."""

    async def script(call: Any) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        await call.says()
        await call.until(lambda: call.words_heard > 0.2)
        loop.stands_still(0.58)
        await asyncio.sleep(0.2)
        await call.talks_over(after_s=0.5)
        await call.quiet(2)

    call = virtual_time.run(OnPipecat(replies=["Of course."]).run(script))
    call.knew_what_was_heard(give=0.9)
