"""What does a caller notice of a voice, or of a line, that fails? The same on both hosts."""

import asyncio
from typing import Any

import numpy as np
import pytest

from bargein import Delivery
from bargein.memory import MemoryStore, Records
from bargein.playback import Playback
from bargein.testing.tones import PCM, metronome
from either_host import CODE, HOSTS, SAYS, EitherHost
from test_faults import begins_over, graces

LONG = " ".join(f"Point {n} of the contract is explained in the appendix." for n in range(12))


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[request.param])
    return HOSTS[request.param]


@pytest.mark.parametrize("speed", [1e6, 0.7])
async def test_a_voice_that_comes_all_at_once_or_too_slowly_is_cut_at_what_was_heard(
    host: Any, speed: float
) -> None:
    silent_after: list[float] = []

    async def script(call: EitherHost) -> None:
        await call.heard(LONG)
        await call.talks_over(after_s=5)
        before = call.words_heard
        await call.decides("Yield")
        await call.quiet(2)
        silent_after.append(call.words_heard - before)

    call = await host(speed=speed).run(script)
    graces(call)
    assert silent_after[0] < 3
    (said,) = call.said("assistant")
    assert LONG.startswith(said)
    assert len(said.split()) >= call.words_heard - 2.2


@pytest.mark.parametrize("speed", [1e6, 0.7])
async def test_a_hold_loses_nothing_of_a_voice_that_comes_all_at_once_or_too_slowly(
    host: Any, speed: float
) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await asyncio.sleep(1.3)  # long enough to be held
        await call.hears("right, okay")
        await call.voice(False)
        await call.quiet(3)

    call = await host(speed=speed).run(script)
    graces(call)
    assert call.words_heard == pytest.approx(len(SAYS.split()), abs=2.2)  # a word may be repeated
    assert call.words_heard > len(SAYS.split()) - 0.2
    assert call.said("assistant") == [SAYS]
    assert call.said("user") == []


def timed(times: Any) -> Any:
    """A voice whose words are said to begin elsewhere."""

    def voice(text: str, rate: int) -> tuple[PCM, list[tuple[str, float]]]:
        pcm, words = metronome(text, rate)
        wrong = times([at_s for _, at_s in words])
        return pcm, [(word, at_s) for (word, _), at_s in zip(words, wrong, strict=False)]

    return voice


TIMES = {
    "none": lambda _: [],
    "half of them": lambda at: at[: len(at) // 2],
    "all at once": lambda at: [0.0 for _ in at],
    "backwards": lambda at: at[::-1],
    "shuffled": lambda at: [at[(place * 7) % len(at)] for place in range(len(at))],
    "before it began": lambda at: [one - 100 for one in at],
    "after its end": lambda at: [one + 100 for one in at],
    "too fast": lambda at: [one / 10 for one in at],
    "too slow": lambda at: [one * 10 for one in at],
}


@pytest.mark.parametrize("wrong", TIMES)
@pytest.mark.parametrize("cut", [False, True], ids=["spoken", "cut"])
async def test_a_voice_that_times_its_words_wrong_is_heard_and_obeys(
    host: Any, wrong: str, cut: bool
) -> None:
    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await asyncio.sleep(1.2)
        await call.hears("no wait I meant Thursday" if cut else "mm-hm")
        await call.voice(False)
        await call.quiet(2)
        await call.heard("Hello?")  # and there is life behind it
        await call.quiet()

    call = await host(voice=timed(TIMES[wrong])).run(script)
    assert call.complaints == []
    call.kept_every_word()
    words = len(SAYS.split())
    if cut:
        assert call.words_heard < words - 2
        assert all(SAYS.startswith(said) for said in call.said("assistant")[:-1])
    else:
        assert call.words_heard > words + 1 - 0.2
        if wrong != "too slow":  # words timed behind the end of their sound were never made
            assert " ".join(call.said("assistant")) == f"{SAYS} Hello?"


async def test_a_hold_in_full_silence_is_no_click(host: Any) -> None:
    """Nobody hears an edge where the voice stops or goes on."""

    async def script(call: EitherHost) -> None:
        await begins_over(call)
        await asyncio.sleep(1.5)
        await call.voice(False)
        await call.quiet(5)

    call = await host().run(script)
    pcm = np.concatenate(call.played(0)).astype(int)
    assert "PausePlayout" in "".join(call.decided)
    assert np.abs(np.diff(pcm)).max() < 1200  # the metronome's own steepest is 700


@pytest.mark.parametrize("how", ["refuses", "raises"])
async def test_a_code_is_said_again_that_the_line_lost_a_part_of(how: str) -> None:
    """A Pipecat transport goes on; LiveKit's output never speaks again, with or without us."""
    parts = pytest.importorskip("bargein.testing.pipecat_parts")

    class Breaking(parts.PacedOutput):  # type: ignore[misc, name-defined]
        broken = False

        async def write_audio_frame(self, frame: Any) -> bool:
            if self.broken and how == "raises":
                raise ConnectionResetError("the line is broken")
            return not self.broken and await super().write_audio_frame(frame)

    output = Breaking()

    async def script(call: EitherHost) -> None:
        await call.heard(CODE, must_hear=True)
        await asyncio.sleep(0.6)
        output.broken = True
        await asyncio.sleep(0.8)
        output.broken = False
        await call.quiet()
        await call.heard("Are you still there?")
        await call.quiet()

    call = await HOSTS["pipecat"](output=output).run(script)
    assert call.complaints == []
    assert [one.state for one in call.receipts] == [Delivery.CUT, Delivery.DELIVERED]
    assert call.words_heard > 2 + 4 + len(CODE.split())


async def test_a_voice_that_cannot_be_paced_is_heard_as_the_host_plays_it(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Playback.take

    async def script(call: EitherHost) -> None:
        await call.heard()
        monkeypatch.setattr(Playback, "take", lambda *_: 1 / 0)
        await asyncio.sleep(1)
        monkeypatch.setattr(Playback, "take", take)
        await call.quiet()
        await call.heard(LONG)
        await call.talks_over(after_s=2)
        await call.quiet(3)

    call = await host(replies=["Of course."]).run(script)
    (complaint,) = call.complaints
    assert "voice failed with ZeroDivisionError" in complaint
    whole, cut, answer = call.said("assistant")
    assert (whole, answer) == (SAYS, "Of course.")
    assert LONG.startswith(cut)
    assert call.words_heard < len(SAYS.split()) + 12 + 2
    assert call.words_heard > len(SAYS.split()) + 6 + 2
    call.kept_every_word()
    call.knew_what_was_heard()


def stalls(call: EitherHost, for_s: float) -> None:
    """From now on the text-to-speech makes a moment of sound, and then nothing for so long."""
    if call.name == "pipecat":
        call.rig.tts._stop_frame_timeout_s = 3.0  # type: ignore[attr-defined]  # Pipecat's default
        call.rig.tts._speed = 0.1 / for_s  # type: ignore[attr-defined]
    else:
        call.rig.studio.tts.speed = 0.3 / for_s  # type: ignore[attr-defined]


@pytest.mark.parametrize("over_it", ["", "mm-hm", "no wait I meant Thursday"])
async def test_a_voice_that_stalls_says_the_rest_unless_it_is_interrupted(
    host: Any, over_it: str
) -> None:
    async def script(call: EitherHost) -> None:
        await call.heard()
        await asyncio.sleep(1)
        stalls(call, 2.5)
        await asyncio.sleep(1.5)
        if over_it:
            await call.talks_over(over_it, after_s=0)
        stalls(call, 0.05)
        await call.quiet(5)
        await call.heard("Are you there?")
        await call.quiet()

    call = await host(speed=1.2, replies=["Of course."]).run(script)
    graces(call)
    if over_it.startswith("no"):
        cut, answer, last = call.said("assistant")
        assert (answer, last) == ("Of course.", "Are you there?")
        assert SAYS.startswith(cut)
        assert len(cut.split()) < 9
    else:
        assert call.said("assistant") == [SAYS, "Are you there?"]
        assert round(call.words_heard) == len(SAYS.split()) + 3


async def test_a_voice_that_stalls_for_so_long_that_the_host_takes_it_for_over_says_the_rest(
    host: Any,
) -> None:
    async def script(call: EitherHost) -> None:
        await call.heard()
        await asyncio.sleep(1)
        stalls(call, 8)
        await asyncio.sleep(1.5)
        stalls(call, 0.05)
        await asyncio.sleep(8)
        await call.heard("Are you there?")
        await call.quiet()

    call = await host(speed=1.2).run(script)
    graces(call)
    assert " ".join(call.said("assistant")) == f"{SAYS} Are you there?"
    assert round(call.words_heard) == len(SAYS.split()) + 3


async def test_a_voice_that_never_comes_back_is_no_reason_not_to_listen(host: Any) -> None:
    async def script(call: EitherHost) -> None:
        await call.heard()
        await asyncio.sleep(1)
        stalls(call, 1e6)
        await asyncio.sleep(20)
        stalls(call, 0.05)
        await call.talks_over(after_s=0)
        await call.quiet(5)

    call = await host(speed=1.2, replies=["Of course."]).run(script)
    assert call.complaints == []
    call.kept_every_word()
    call.knew_what_was_heard(give=2.6)  # half a second of words behind a sound is made
    cut, answer = call.said("assistant")
    assert answer == "Of course."
    assert SAYS.startswith(cut)


@pytest.mark.parametrize("hangs_up", [False, True], ids=["ended", "hung up"])
async def test_a_code_that_livekits_output_could_not_play_is_said_in_the_next_call(
    hangs_up: bool,
) -> None:
    pytest.importorskip("livekit.agents")
    store = MemoryStore()

    async def script(call: EitherHost) -> None:
        await call.heard(CODE, must_hear=True)
        await asyncio.sleep(0.6)

        async def broken(_: Any) -> None:
            raise ConnectionResetError("the line is broken")

        call.rig.studio.room.sink.capture_frame = broken  # type: ignore[attr-defined]
        await asyncio.sleep(6)

    call = HOSTS["livekit"](store=store, caller="+49 30 901820")
    call.hangs_up = hangs_up
    await call.run(script)
    call.told_the_truth()
    (receipt,) = call.receipts
    assert (receipt.state, receipt.pending) == (Delivery.CUT, True)
    assert len(call.complaints) <= 1
    left = await Records(store, "+49 30 901820").undelivered()
    assert [one.text for one in left] == [CODE]
