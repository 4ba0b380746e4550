"""What waits in a paced voice to be heard?"""

from dataclasses import dataclass

from playback_level import PCM


@dataclass(slots=True)
class Sound:
    """A stretch of audio that waits."""

    stream: str
    rate: int
    pcm: PCM
    protected: bool
    at_ms: float = 0.0
    doomed: bool = False
    """A yield drops it, but for the end of what is being said."""

    @property
    def ms(self) -> float:
        return len(self.pcm) * 1000 / self.rate

    @property
    def size(self) -> int:
        return int(self.pcm.size)


@dataclass(slots=True)
class Mark:
    """A mark that waits behind audio."""

    name: str
    protected: bool
    ends: str | None
    behind: bool = False
    """It came behind a yield that has not been heard."""
    doomed: bool = False
