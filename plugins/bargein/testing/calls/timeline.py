"""What does a call look like to somebody who was not there? Text, sound and a trace."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bargein.core import trace
from bargein.core.events import (
    Event,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
)

from ..steps import Means
from .measured import Overlap

if TYPE_CHECKING:
    from .call import Call
    from .found import Reply

FILES = ("call.wav", "call.jsonl", "call.txt")


def timeline(call: Call) -> str:
    """The call, a line for each thing that happened."""
    lines = sorted(_lines(call), key=lambda one: one[0])
    told = [f"{at_s - call.began_s:6.2f} s  {who:<7} {what}" for at_s, who, what in lines]
    if call.stalls:
        worst = max(lasts_s for _, lasts_s in call.stalls)
        told.append(f"the machine stood still {len(call.stalls)} time(s), {worst:.2f} s at most")
    return "\n".join([str(call.capabilities), *told])


def _lines(call: Call) -> Iterator[tuple[float, str, str]]:
    over = {id(one.sound): one for one in call.overlaps}
    for sound in call.sounds:
        said = f'"{sound.text}"' if sound.means is not Means.SOUND else f"({sound.text})"
        yield sound.onset_s, "caller", said + ("  over the agent" if id(sound) in over else "")
    for one in call.overlaps:
        yield from _effect(one)
    for reply in call.replies:
        yield from _told(reply)
    if not call.replies:
        yield from ((began_s, "agent", "speaks") for began_s, _ in call.audible)
    for ran in call.runs:
        yield ran.at_s, "LLM", f'asked: "{_short(ran.asked)}"'
    for at_s, what in call.missed:
        yield at_s, "nothing", what
    yield call.ended_s, "end", ""


def _effect(one: Overlap) -> Iterator[tuple[float, str, str]]:
    if one.silent_s is None:
        return
    after = f"{one.stopped_after_ms} ms after the caller began"
    if not one.is_known:
        yield one.silent_s, "agent", f"SILENT, {after}"
    elif one.cut:
        yield one.silent_s, "agent", f'STOPS, {after}; unheard: "{_short(one.unheard)}"'
    else:
        yield one.silent_s, "agent", f"SILENT for {one.paused_s:.2f} s, {after}"


def _told(reply: Reply) -> Iterator[tuple[float, str, str]]:
    heard = sum(word.heard for word in reply.words)
    if reply.began_s is None:
        return
    part = "" if heard == len(reply.words) else f"  ({heard} of {len(reply.words)} words heard)"
    yield reply.began_s, "agent", f'"{reply.heard}"{part}'


def _short(text: str, most: int = 70) -> str:
    return text if len(text) <= most else text[: most - 4].rstrip() + " ..."


def kept(call: Call, folder: Path) -> list[Path]:
    """Write the files into a folder of the call's own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in FILES]
    size = max(len(call.agent_track), len(call.caller_track))
    stereo = np.zeros((size, 2), "<i2")
    stereo[: len(call.agent_track), 0] = call.agent_track
    stereo[: len(call.caller_track), 1] = call.caller_track
    with wave.open(str(paths[0]), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(call.rate)
        file.writeframes(stereo.tobytes())
    paths[1].write_text("".join(f"{trace.write(one)}\n" for one in events(call)), "utf-8")
    paths[2].write_text(timeline(call) + "\n", "utf-8")
    return paths


def events(call: Call) -> list[Event]:
    """The call as the core would have been told of it, had it been there."""

    def ms(at_s: float) -> int:
        return max(0, round((at_s - call.began_s) * 1000))

    found: list[Event] = []
    for sound in call.sounds:
        found.append(UserSpeechStarted(at_ms=ms(sound.onset_s)))
        if sound.means is not Means.SOUND:
            words = UserWordsHeard(at_ms=ms(sound.ended_s), text=sound.text, is_final=True)
            found.append(words)
        found.append(UserSpeechStopped(at_ms=ms(sound.ended_s)))
    for reply in call.replies:
        if reply.began_s is None or reply.ended_s is None:
            continue
        began_ms = ms(reply.began_s)
        found.append(PlayoutStarted(at_ms=began_ms))
        found.append(PlayoutWorded(at_ms=began_ms, text=reply.text))
        chars = 0
        for word in reply.words:
            at = reply.text.find(word.text, chars)
            chars = at + len(word.text) if at >= 0 else chars
            if word.at_s is not None:
                found.append(PlayoutProgressed(at_ms=ms(word.at_s), heard_chars=chars))
        whole = not reply.unheard
        found.append(PlayoutStopped(at_ms=ms(reply.ended_s), completed=whole))
    return sorted(found, key=lambda event: event.at_ms)
