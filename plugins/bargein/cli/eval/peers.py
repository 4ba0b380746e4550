"""What would the gates that hosts and services ship have done? Written from their documentation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .items import Item
from .replay import Stopper, Taken

# The default lists of Vapi's stopSpeakingPlan, as its server SDK publishes them.
_VAPI_GOES_ON = {
    "i understand", "i see", "i got it", "i hear you", "im listening", "im with you", "right",
    "okay", "ok", "sure", "alright", "got it", "understood", "yeah", "yes", "uh-huh", "mm-hmm",
    "gotcha", "mhmm", "ah", "yeah okay", "yeah sure",
}  # fmt: skip
_VAPI_STOPS = {
    "stop", "shut", "up", "enough", "quiet", "silence", "but", "dont", "not", "no", "hold", "wait",
    "cut", "pause", "nope", "nah", "nevermind", "never", "bad", "actually",
}  # fmt: skip
# Recognisers spell these as they like; no gate should lose for a spelling.
_SAME = {
    "uhhuh": "uh-huh",
    "uh huh": "uh-huh",
    "mhm": "mhmm",
    "mm hmm": "mm-hmm",
    "mmhmm": "mm-hmm",
}


def words(count: int) -> Stopper:
    """Stops at so many words: Pipecat's MinWords, LiveKit's ``min_words``; 1 is any transcript."""

    def stops(_item: Item, heard: Sequence[str], _final: bool, _elapsed_ms: int) -> Taken:
        return len(heard) >= count, None

    return stops


def vapi(_item: Item, heard: Sequence[str], _final: bool, _elapsed_ms: int) -> Taken:
    """Stops at a stop word, goes on for an acknowledgement phrase, else stops at two words."""
    plain = [re.sub(r"[^\w-]", "", word.lower()) for word in heard]
    text = " ".join(plain)
    if not _VAPI_STOPS.isdisjoint(plain):
        return True, None
    return _SAME.get(text, text) not in _VAPI_GOES_ON and len(plain) >= 2, None


PEERS: dict[str, Stopper] = {
    "any transcript (Pipecat's default)": words(1),
    "MinWords(2), min_words=2": words(2),
    "MinWords(3)": words(3),
    "Vapi's default lists, numWords=2": vapi,
}
