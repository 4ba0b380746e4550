"""What number do these lines of a trace say, and nothing else? Computed anew, from them alone."""

import json
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

COUNTED = {
    "Caller spoke over the agent": {"UserSpeechStarted", "UserWordsHeard"},
    "Agent stopped": {"PlayoutStopped"},
    "… needlessly": {"PlayoutStopped"},
    "Listening noises kept out": {"ReportBackchannel"},
    "Words kept for later": {"DeliverTurn"},
    "Went on with the rest": {"ResumeSpeech"},
    "Turns taken": {"TurnTaken"},
}
ENDS = {
    "Onset to softer voice (median)": {"DuckPlayout"},
    "Onset to decision (median)": {"HoldFloor", "YieldFloor"},
    "Onset to silence (median)": {"PlayoutStopped"},
}


def said_by(name: str, trace: Sequence[str], numbers: Iterable[int]) -> str:
    """A figure of the page, from the lines that it names."""
    lines: list[dict[str, Any]] = [json.loads(trace[number - 1]) for number in numbers]
    if name in COUNTED:
        assert {line["type"] for line in lines} <= COUNTED[name]
        return str(len(lines))
    if name in ENDS:
        onsets, ends = lines[::2], lines[1::2]
        assert {line["type"] for line in ends} <= ENDS[name]
        pairs = zip(onsets, ends, strict=True)
        return f"{round(median(end['at_ms'] - _onset_ms(onset) for onset, end in pairs))} ms"
    if name == "Length":
        seconds = lines[-1]["at_ms"] // 1000
        return f"{seconds // 60}:{seconds % 60:02}"
    if name == "Must-hear delivered":
        delivered = [line for line in lines if line["state"] == "delivered"]
        return f"{len(delivered)} of {len(lines)}"
    assert name == "Words left unsaid", f"nobody here knows how {name!r} is computed"
    return str(sum(unsaid(playout) for playout in _playouts(lines)))


def unsaid(playout: Sequence[dict[str, Any]]) -> int:
    """How many words of one playout nobody heard."""
    text = "".join(line["text"] for line in playout if line["type"] == "PlayoutWorded")
    if not text:  # a journal without transcripts has only counted them
        decided = [line.get("about", {}) for line in playout if line["type"] == "YieldFloor"]
        return int(decided[0].get("unheard_words", 0)) if decided else 0
    far = max((line.get("heard_chars", 0) for line in playout), default=0)
    starts = [n for n, char in enumerate(text) if not char.isspace() and not text[:n][-1:].strip()]
    return sum(start >= far for start in starts)


def _onset_ms(line: dict[str, Any]) -> int:
    onset_ms = line.get("onset_at_ms")
    return int(line["at_ms"] if onset_ms is None else min(onset_ms, line["at_ms"]))


def _playouts(lines: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    playout: list[dict[str, Any]] = []
    for line in lines:
        playout.append(line)
        if line["type"] == "PlayoutStopped":
            yield playout
            playout = []
