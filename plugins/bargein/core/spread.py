"""When does each word of a text sound, where the voice does not say?"""

from __future__ import annotations

import re

_UNSPACED = "\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_PIECES = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)[^\w\s]*")
"""A word with the space before it; a single character where words are not separated."""
_PAUSES = ",;:.!?…。、！？，；：।؟،"
_WORD = 1.0
_PAUSE = 4.0
"""In characters: how long the gap between words lasts, and the one behind a clause. With these,
eSpeak's own word onsets are met within a word in 97 % of cases, and never missed by more than
two (100 places each in five sentences of 13 to 21 words)."""


def spread(text: str, from_ms: float, to_ms: float) -> list[tuple[str, float]]:
    """Each piece of a text with the instant when it begins to sound, by its share of characters.

    The pieces, joined, are the text.
    """
    pieces = _PIECES.findall(text)
    if not pieces:
        return [(text, from_ms)] if text else []
    joined = "".join(pieces)
    pieces[-1] += text[len(joined) :] if text.startswith(joined) else ""
    weights = [weight(piece) for piece in pieces]
    each_ms = (to_ms - from_ms) / sum(weights)
    onsets: list[tuple[str, float]] = []
    at_ms = from_ms
    for piece, share in zip(pieces, weights, strict=True):
        onsets.append((piece, at_ms))
        at_ms += share * each_ms
    return onsets


def joined(before: bool, text: str) -> str:
    """A sentence as it follows another: behind a space, where its script has spaces."""
    if not before or re.match(rf"\s*[{_UNSPACED}]", text):
        return text
    return f" {text.lstrip()}"


def weight(piece: str) -> float:
    """How long a word takes, in characters: its own, the gap before it and the pause behind it."""
    letters = sum(map(str.isalnum, piece))
    pause = _PAUSE if piece.rstrip()[-1:] in _PAUSES else 0.0
    return letters + _WORD + pause
