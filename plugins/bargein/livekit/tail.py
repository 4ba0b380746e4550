"""Who plays the voice once an avatar has joined?"""

from __future__ import annotations

from livekit.agents.voice import io

from .voice import VoiceOutput


def swapped_behind_the_voice(output: io.AgentOutput) -> None:
    """Let ``session.output.replace_audio_tail`` put an avatar behind our voice, not in its place.

    So what is being said goes on there from the sample where it was. In our place, it would lose
    all of it that had been made.
    """
    replace = output.replace_audio_tail

    def replaced(sink: io.AudioOutput) -> None:
        above = output.audio
        while above is not None and not isinstance(above, VoiceOutput):
            above = above.next_in_chain
        if isinstance(sink, VoiceOutput) or above is None or not above.plays_on(sink):
            replace(sink)

    setattr(output, "replace_audio_tail", replaced)  # noqa: B010 - a method, for mypy
