"""Does an agent on a loudspeaker hear itself, and does it still hear the caller?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from bargein.echo import EchoDetector, Played
from bargein.pipecat.vad import SileroWindow
from bargein.testing.speakerphone import RATE, Speakerphone, Wave, as_loud, as_pcm, as_wave
from bargein.testing.speech import agent_voice, speak

from .row import Row, middle, percentile, quartiles

LEVELS_DB = (-6.0, -12.0, -20.0, -30.0)
_VOICE_DB = -23.0
_BEFORE_S, _AFTER_S = 0.3, 1.0
_STEP = RATE // 50
_AHEAD_MS = 80
_ONSET = 0.5
_CONFIRMED, _WINDOWS = 0.7, 6
"""Pipecat's own numbers: so sure for so many windows (192 ms)."""
_STOCK_CALLS = 20
_AGENT = (
    "Your appointment is on Tuesday at nine, with Doctor Hale. Please bring your card, and come ten"
    " minutes early, so that we can register you.",
    "Sure, I can help you with that. Our opening hours are eight to six on weekdays, and ten to two"
    " on Saturday.",
    "Okay. Let me look that up for you, one moment please. I see two flights on Monday morning.",
)
_CALLER = (
    "No wait, stop, I meant Thursday",
    "Hang on, that is wrong",
    "Can you say that again please",
    "Actually I want to cancel it",
)
_VOICES = ("en-us+f3", "en-us+m3", "en-gb+f2", "en-us+m7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One call: what was played, and what the microphone took up."""

    played: Wave
    microphone: Wave
    from_s: float
    """When the caller speaks."""
    to_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a voice detector made of it."""

    onset_s: float | None
    """When one window first held speech: what lowers the agent's voice."""
    confirmed: bool
    """Whether the host would have confirmed it: what could stop the agent."""
    cpu_ms: float
    """What the detection of echoes cost, for 20 ms of the call."""


def trial(seed: int, echo_db: float | None, *, caller: bool) -> Trial:
    """The seed chooses the words, the voices, the room, the delay (20 to 400 ms) and the noise."""
    dice = np.random.default_rng(seed)
    voice = as_loud(as_wave(agent_voice(_AGENT[seed % 3], RATE)[0]), _VOICE_DB)
    played = np.concatenate((np.zeros(round(_BEFORE_S * RATE)), voice, np.zeros(RATE)))
    phone = Speakerphone(
        echo_db=echo_db or 0.0,
        delay_ms=dice.uniform(20, 400),
        reverb_s=dice.uniform(0.1, 0.5),
        direct_db=dice.uniform(0, 8),
        low_hz=dice.uniform(150, 400),
        high_hz=dice.uniform(3_300, 6_000),
        drive=dice.uniform(1, 6),
        seed=seed,
    )
    begins = round(dice.uniform(1.0, 3.0) * RATE)
    noise_db = dice.uniform(-70, -55)
    microphone = dice.standard_normal(len(played)) * 10 ** (noise_db / 20)
    if echo_db is not None:
        microphone += phone.comes_back(played)[: len(played)]
    ends = begins
    if caller:
        words, who = _CALLER[seed % 4], _VOICES[seed // 4 % 4]
        said = as_loud(as_wave(speak(words, RATE, voice=who)[0]), _VOICE_DB)
        ends = begins + len(said)
        microphone[begins:ends] += said
    return Trial(played=played, microphone=microphone, from_s=begins / RATE, to_s=ends / RATE)


def punctual(_place: int) -> float:
    """A line on which every frame comes as soon as it is full."""
    return 0.0


def heard(
    one: Trial, detector: EchoDetector | None, *, late_ms: Callable[[int], float] = punctual
) -> Outcome:
    """Real Silero, fed as a call feeds it; ``late_ms`` says how late a frame comes."""
    window = SileroWindow(RATE)
    took_s = 0.0
    if detector is None:
        line = as_pcm(one.microphone).tobytes()
    else:
        line, took_s = gated(one, detector, late_ms=late_ms)
    size = 2 * window.samples
    sure = [window(line[at : at + size]) for at in range(0, len(line) - size + 1, size)]
    cpu_ms = took_s * 1e3 / (len(line) / 2 / _STEP)
    return _outcome(one, np.array(sure), window.ms / 1000, cpu_ms)


def gated(
    one: Trial, detector: EchoDetector, *, late_ms: Callable[[int], float] = punctual
) -> tuple[bytes, float]:
    """What the detector lets through, and the seconds of processor time that it took."""
    played = Played()
    gate = detector.gate(played)
    voice, line = as_pcm(one.played), as_pcm(one.microphone)
    ahead = round(_AHEAD_MS * RATE / 1000)
    through: list[bytes] = []
    now_ms, out = 0.0, 0
    began_s = time.process_time()
    for place in range(len(line) // _STEP):
        now_ms = max(now_ms, 1020 + 20 * place + late_ms(place))
        while 1020 + 20 * out <= now_ms:
            let_out = voice[out * _STEP + ahead :][:_STEP]
            if let_out.any():
                played.add(let_out.tobytes(), RATE, 1, 1000 + 20 * out + _AHEAD_MS)
            out += 1
        piece = line[place * _STEP : (place + 1) * _STEP].tobytes()
        through.append(gate.hear(piece, RATE, now_ms))
    return b"".join(through), time.process_time() - began_s


def _outcome(one: Trial, sure: Wave, window_s: float, cpu_ms: float) -> Outcome:
    if one.to_s > one.from_s:
        first = int(one.from_s / window_s)
        sure = sure[first : int(one.to_s / window_s) + 3]
    else:
        first = 0
    onsets = np.flatnonzero(sure >= _ONSET)
    steady = np.convolve(sure >= _CONFIRMED, np.ones(_WINDOWS), "valid")
    return Outcome(
        onset_s=(first + int(onsets[0]) + 1) * window_s if len(onsets) else None,
        confirmed=bool((steady >= _WINDOWS).any()),
        cpu_ms=cpu_ms,
    )


def alone(echo_db: float, calls: int) -> list[Row]:
    """Nobody speaks: with the detector, and beside it without."""
    trials = [trial(seed, echo_db, caller=False) for seed in range(calls)]
    ours = [heard(one, EchoDetector()) for one in trials]
    stock = [heard(one, None) for one in trials[:_STOCK_CALLS]]

    def share(found: list[Outcome], counts: Callable[[Outcome], bool]) -> float:
        return 100 * sum(map(counts, found)) / len(found)

    how = "eSpeak agents in made rooms, nobody speaks: 20 to 400 ms delay, mild clipping, noise"
    return [
        Row(
            name=f"echo at {echo_db:g} dB, nobody speaks: {name}",
            unit="%",
            ours=share(ours, counts),
            stock=share(stock, counts),
            stock_is=f"no echo detector, {len(stock)} calls",
            budget=2,
            n=calls,
            how=how,
        )
        for name, counts in (
            ("calls with an onset", lambda one: one.onset_s is not None),
            ("calls with confirmed speech", lambda one: one.confirmed),
        )
    ]


@cache
def _clean(calls: int) -> list[Outcome]:
    return [heard(trial(seed, None, caller=True), None) for seed in range(calls)]


def over(echo_db: float | None, calls: int) -> list[Row]:
    """A caller interrupts, over an echo or none."""
    trials = [trial(seed, echo_db, caller=True) for seed in range(calls)]
    ours = [heard(one, EchoDetector()) for one in trials]
    # Without the detector an echo is an onset long before the caller's: beside it stands the same
    # caller without an echo.
    clean = _clean(calls)

    def late(found: list[Outcome]) -> list[float]:
        pairs = zip(found, trials, strict=True)
        return [(one.onset_s - it.from_s) * 1e3 for one, it in pairs if one.onset_s is not None]

    about = "no echo" if echo_db is None else f"echo at {echo_db:g} dB"
    at = {None: 1.0, -12.0: 5.0, -20.0: 5.0, -30.0: 5.0}
    ours_ms = late(ours)
    return [
        Row(
            name=f"{about}, a caller interrupts: not heard",
            unit="%",
            ours=100 * (1 - len(ours_ms) / calls),
            stock=100 * (1 - len(late(clean)) / calls),
            stock_is="no echo, no echo detector",
            budget=at.get(echo_db),
            n=calls,
        ),
        Row(
            name=f"{about}, a caller interrupts: to the onset",
            unit="ms",
            ours=middle(ours_ms),
            stock=middle(late(clean)),
            stock_is="no echo, no echo detector",
            spread=quartiles(ours_ms),
            n=len(ours_ms),
        ),
        Row(
            name=f"{about}, a caller interrupts: to the onset, 90 %",
            unit="ms",
            ours=percentile(ours_ms, 90),
            stock=percentile(late(clean), 90),
            stock_is="no echo, no echo detector",
            n=len(ours_ms),
        ),
        Row(
            name=f"{about}: CPU of 20 ms",
            unit="ms",
            ours=middle([one.cpu_ms for one in ours]),
            budget=0.3,
            n=calls,
        ),
    ]
