"""One inference serves the host and hears the onset early."""

import asyncio

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADParams, VADState

from bargein import PlayoutStarted, standard_rules
from bargein.pipecat.call import PipecatCall
from bargein.pipecat.vad import BargeinVADAnalyzer, EarlyEar, SileroWindow

speech = pytest.importorskip("bargein.testing.speech")


def hum(seconds: float, rate: int) -> bytes:
    """Line noise at -70 dBFS."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * rate)) * 10**-3.5 * 3000
    return noise.astype("<i2").tobytes()


@pytest.fixture(params=[8000, 16000])
def rate(request: pytest.FixtureRequest) -> int:
    rate: int = request.param
    return rate


async def states(analyzer: BargeinVADAnalyzer, pcm: bytes, rate: int) -> list[VADState]:
    """The state after every 20 ms of audio."""
    step = rate // 50 * 2
    return [await analyzer.analyze_audio(pcm[at : at + step]) for at in range(0, len(pcm), step)]


def analyzer_for(rate: int) -> tuple[BargeinVADAnalyzer, PipecatCall]:
    call = PipecatCall(standard_rules())
    analyzer = BargeinVADAnalyzer(EarlyEar(call), params=VADParams())
    analyzer.set_sample_rate(rate)
    return analyzer, call


async def test_speech_is_confirmed_and_ended_as_by_the_host(rate: int) -> None:
    analyzer, _ = analyzer_for(rate)
    pcm, _ = speech.speak("Could you tell me what it costs?", rate)
    seen = await states(analyzer, hum(0.5, rate) + pcm.tobytes() + hum(1.0, rate), rate)
    assert VADState.SPEAKING in seen
    assert seen[-1] is VADState.QUIET
    assert seen[0] is VADState.QUIET


async def test_the_onset_is_heard_before_the_host_confirms_it(rate: int) -> None:
    analyzer, call = analyzer_for(rate)
    call.feed(PlayoutStarted(at_ms=call.now_ms))
    pcm, _ = speech.speak("Could you tell me what it costs?", rate)
    audio = hum(0.5, rate) + pcm.tobytes()
    step = rate // 50 * 2
    heard_at = confirmed_at = None
    for at in range(0, len(audio), step):
        state = await analyzer.analyze_audio(audio[at : at + step])
        if heard_at is None and call.floor.value == "contested":
            heard_at = at
        if confirmed_at is None and state is VADState.SPEAKING:
            confirmed_at = at
    assert heard_at is not None
    assert confirmed_at is not None
    assert heard_at < confirmed_at


async def test_silence_moves_nothing(rate: int) -> None:
    analyzer, call = analyzer_for(rate)
    call.feed(PlayoutStarted(at_ms=call.now_ms))
    assert set(await states(analyzer, hum(5.0, rate), rate)) == {VADState.QUIET}
    assert call.floor.value == "agent"


async def test_ours_scores_windows_as_the_hosts_own_model_does(rate: int) -> None:
    from pipecat.audio.vad.silero import SileroVADAnalyzer

    theirs = SileroVADAnalyzer()
    theirs.set_sample_rate(rate)
    ours = SileroWindow(rate)
    pcm, _ = speech.speak("Right, okay.", rate)
    size = ours.samples * 2
    audio = pcm.tobytes()
    pieces = [audio[at : at + size] for at in range(0, len(audio) - size, size)]
    expected = [float(np.asarray(theirs.voice_confidence(piece)).item()) for piece in pieces]
    assert [ours(piece) for piece in pieces] == pytest.approx(expected, abs=1e-4)
    await theirs.cleanup()


def test_a_rate_that_silero_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="8000 or 16000 Hz, not 44100"):
        SileroWindow(44100)


def test_an_ear_without_a_usable_rate_stays_out_of_the_way() -> None:
    call = PipecatCall(standard_rules())
    asyncio.run(_hear(EarlyEar(call)))
    assert call.floor.value == "open"


async def _hear(ear: EarlyEar) -> None:
    ear.hear(bytes(4410), 44100)
    ear.hear(bytes(4410), 44100)
