"""Which calls could happen? Plausible overlaps, drawn by Hypothesis.

@given(scenes())
def test_the_agent_is_never_mute(scene): ...
"""

from __future__ import annotations

from typing import Any

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError('scenes() needs Hypothesis: pip install "bargein[testing]"') from error

from .core_player import WORD_MS
from .scene import Line, Scene

AGENT = (
    "Your appointment is on Tuesday at nine, with Doctor Hale in the main building.",
    "Items can be returned within thirty days, as long as you have the receipt.",
    "I have a free slot on Tuesday at nine in the morning. Shall I book it?",
    "Take the tram as far as Market Square, then walk towards the river.",
)
LISTENING = ("uh-huh", "mm-hm", "yeah", "right okay", "I see", "got it")
TURNS = (
    "yeah but not on Tuesday", "no wait I meant Thursday", "sorry what was that", "stop",
    "what about shoes", "hang on a second", "yes please", "no", "how much is it", "go on",
)  # fmt: skip


@st.composite
def scenes(
    draw: st.DrawFn,
    *,
    overlaps: int = 3,
    must_hear: bool = True,
    coughs: bool = True,
) -> Scene:
    """A scene without expectations: an agent talks, and a caller over it.

    Args:
        draw: Hypothesis's.
        overlaps: how many sounds the caller makes at most.
        must_hear: whether the agent may say what must be heard.
        coughs: whether the caller may make a sound without words.
    """
    says: Any = draw(st.sampled_from(AGENT))
    who = draw(st.sampled_from(["agent", "agent!"])) if must_hear else "agent"
    lines = [(0, who, says)]
    at_ms = draw(st.integers(100, len(says.split()) * WORD_MS))
    for _ in range(draw(st.integers(1, overlaps))):
        at_ms = _overlap(draw, lines, at_ms, coughs) + draw(st.integers(150, 2500))
    placed = tuple(
        Line(number=number, at_ms=when, who=name, what=what)
        for number, (when, name, what) in enumerate(sorted(lines, key=_when), start=1)
    )
    return Scene(name="drawn", title="", lines=placed, expected=())


def _when(line: tuple[int, str, str]) -> int:
    return line[0]


def _overlap(draw: st.DrawFn, lines: list[tuple[int, str, str]], at_ms: int, coughs: bool) -> int:
    """Somebody makes a sound; when the last that is known of it came."""
    kinds = [LISTENING, TURNS, ("",)] if coughs else [LISTENING, TURNS]
    words = draw(st.sampled_from(draw(st.sampled_from(kinds)))).split()
    lines.append((at_ms, "user", ""))
    word_ms = draw(st.integers(150, 350))
    late_ms = draw(st.integers(100, 500))
    ended_ms = at_ms + max(1, len(words)) * word_ms
    for count in range(1, len(words)):
        said = " ".join(words[:count])
        lines.append((at_ms + count * word_ms + late_ms, "asr~", said))
    final_ms = ended_ms + late_ms + draw(st.integers(0, 300))
    silent_ms = ended_ms + draw(st.integers(50, 400))
    if words:
        lines.append((final_ms, "asr", " ".join(words)))
    lines.append((silent_ms, "user.", ""))
    return max(final_ms, silent_ms)
