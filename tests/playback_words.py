"""Which words of a paced voice may be heard, and in which order?"""

from dataclasses import dataclass, field
from math import inf

LATE_WORD_MS = 500.0


@dataclass(slots=True)
class Said:
    """A word, and whether it can still be heard."""

    name: str
    stream: str
    onset_ms: float
    protected: bool
    text: str
    doomed: bool = False
    may_ms: float = inf
    """From here on it may be known; from its onset on it must be."""


@dataclass(slots=True)
class Words:
    """What will be said of each stream, in the order in which it was told of."""

    waiting: dict[str, list[Said]] = field(default_factory=dict)
    first_ms: dict[str, float] = field(default_factory=dict)
    last_ms: dict[str, float] = field(default_factory=dict)
    """Where the words of a stream begin that were told of first and last."""
    fading: dict[str, list[Said]] | None = None
    """Words that were dropped when they may have been on their way already."""
    fading_until_ms: float = 0.0

    def told_of(self, word: Said, over_ms: float | None) -> None:
        """A word begins there, perhaps of a stream that was over after so much sound."""
        if word.text:
            word.onset_ms = max(word.onset_ms, self.last_ms.get(word.stream, 0.0))
            self.last_ms[word.stream] = word.onset_ms
            self.first_ms.setdefault(word.stream, word.onset_ms)
        if over_ms and word.onset_ms <= over_ms + LATE_WORD_MS:
            word.onset_ms = over_ms  # it is as good as said
        word.may_ms = word.onset_ms
        self.waiting.setdefault(word.stream, []).append(word)

    def may_be_said(self, stream: str, whole_ms: float) -> None:
        """The stream was taken for finished there."""
        late_ms = whole_ms + LATE_WORD_MS
        wrong = self.first_ms.get(stream, 0.0) > late_ms  # not a word of it where there is sound
        for word in self.waiting.get(stream, []):
            if word.onset_ms <= late_ms or wrong or not word.text:
                word.may_ms = min(word.may_ms, whole_ms)

    def taken_back(self, stream: str, from_ms: float, to_ms: float) -> None:
        """What lies between will be said again; a word that had sounded once may be known."""
        for word in self.waiting.get(stream, []):
            if word.may_ms <= from_ms:
                word.may_ms = min(word.may_ms, to_ms)

    def doom(self, *, everything: bool, stream: str | None = None) -> None:
        """They will not be heard, but for the end of what is being said."""
        for name, words in self.waiting.items():
            for word in words if stream in (None, name) else []:
                word.doomed = word.doomed or everything or not word.protected

    def forget(self, now_ms: float | None = None) -> None:
        """What is doomed does not follow, unless it is on its way until then."""
        if now_ms is not None:
            faded, self.fading = self.fading or {}, {}
            for name, words in self.waiting.items():
                lost = [word for word in words if word.doomed]
                self.fading[name] = [*faded.pop(name, []), *lost]
            self.fading |= faded
            self.fading_until_ms = now_ms
        self.waiting = {
            name: [word for word in words if not word.doomed]
            for name, words in self.waiting.items()
        }

    def heard(self, stream: str, name: str) -> Said:
        """That word has been heard."""
        for waiting in (self.waiting, self.fading or {}):
            words = waiting.get(stream, [])
            found = next((word for word in words if word.name == name), None)
            if found is not None:
                if found.text:
                    assert found is next(word for word in words if word.text), "words go back"
                words.remove(found)
                return found
        raise AssertionError(f"{name} is heard twice, or was dropped")
