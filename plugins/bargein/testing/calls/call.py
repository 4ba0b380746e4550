"""What happened in a call, and was it what should have? Facts, and assertions about them.

An assertion that does not hold says what was measured, and shows the call as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..steps import Means, Step
from ..tones import PCM
from .found import Reply
from .measured import PAUSE_S, Overlap, Run, Sounded
from .recovery import Recovery, recovery
from .subject import Capabilities, Message, Ran, Unsupported, WordTimes, text_of
from .timeline import kept, timeline
from .words import difference, place_of, words_of


class CallFailed(AssertionError):  # noqa: N818
    """What a test claims of a call is not so."""


class Stalled(Exception):  # noqa: N818
    """The machine stood still at the moment that matters: nothing can be said about the agent.

    Only of an agent in another process, whose time is real.
    """


STALLED_MS = 250
"""A loop that stood still for longer may have changed anything."""


@dataclass(kw_only=True)
class Call:
    """A call that is over. Its instants are those of ``time.monotonic``."""

    capabilities: Capabilities
    steps: tuple[Step, ...]
    began_s: float
    ended_s: float
    sounds: list[Sounded]
    """What the caller made to be heard."""
    replies: list[Reply]
    """What the agent's voice was given, and what was heard of it."""
    overlaps: list[Overlap]
    runs: list[Ran]
    """Every run of the agent's LLM."""
    audible: list[Run]
    """When the agent was heard."""
    messages: list[Message]
    """What its context says in the end, without what was in it at the beginning."""
    missed: list[tuple[float, str]] = field(default_factory=list)
    """What a step waited for in vain."""
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """When the machine stood still, and for how long; never in virtual time."""
    agent_track: PCM
    caller_track: PCM
    rate: int
    folder: Path | None = None
    """Where a failure keeps the call's sound and trace."""

    # --- facts ---

    @property
    def llm_runs(self) -> int:
        """How often the agent's LLM ran."""
        if not self.capabilities.runs:
            host = self.capabilities.host
            raise Unsupported(f"llm_runs needs the agent's LLM, and {host} does not show its runs")
        return len(self.runs)

    @property
    def heard_text(self) -> str:
        """All of the agent's words that were heard, in order."""
        self._needs_words("heard_text")
        heard = [word for one in self.replies for word in one.words if word.at_s is not None]
        return " ".join(word.text for word in sorted(heard, key=lambda one: one.at_s or 0.0))

    @property
    def words_lost(self) -> list[str]:
        """The agent's words that nobody heard although no turn of the caller's cut them off."""
        self._needs_words("words_lost")
        taken = {
            id(reply) for one in self.overlaps if one.sound.means is Means.TURN for reply in one.cut
        }
        return [
            word.text
            for one in self.replies
            if id(one) not in taken
            for word in one.words
            if not word.heard
        ]

    @property
    def recoveries(self) -> list[Recovery]:
        """How the agent came out of each of the caller's interruptions."""
        self._needs_words("recoveries")
        return [
            recovery(one, self.overlaps, self.replies)
            for one in self.overlaps
            if one.sound.means is Means.TURN
        ]

    # --- assertions ---

    def stopped_within(self, ms: int, says: str | None = None) -> None:
        """The agent fell silent so soon after the caller began to talk over it.

        Args:
            ms: from the caller's first sound to the agent's last.
            says: which sound of the caller's; unless given, every turn that began over the agent.
        """
        for one in self._overlaps(says, (Means.TURN,)):
            after_ms = one.stopped_after_ms
            if after_ms is None:
                raise self._failed(f'the agent did not stop for "{one.sound.text}"')
            if after_ms > ms:
                self._stalled(one.sound.onset_s, one.silent_s or 0.0, after_ms - ms)
                self._fail(
                    f'the agent fell silent {after_ms} ms after "{one.sound.text}" began,'
                    f" not within {ms} ms",
                    excused=False,
                )

    def never_stopped(self, says: str | None = None) -> None:
        """The agent talked on, and nothing of what it said was lost.

        Args:
            says: for which sound of the caller's; unless given, for none that is not a turn, or
                for none at all where there were only turns.
        """
        listening = [one for one in self.overlaps if one.sound.means is not Means.TURN]
        means = (Means.LISTENING, Means.SOUND) if listening else tuple(Means)
        for one in self._overlaps(says, means):
            if one.gave_way:
                self._fail(
                    f'the agent fell silent {one.stopped_after_ms} ms after "{one.sound.text}"'
                    " began; whether it had more to say is not known"
                )
            if one.cut:
                lost = one.unheard.split()
                self._fail(
                    f'the agent stopped {one.stopped_after_ms} ms after "{one.sound.text}" began;'
                    f' {len(lost)} words went unheard: "{_shortened(lost)}"'
                )
            if one.paused_s >= PAUSE_S:
                until_s = one.paused_at_s + one.paused_s
                self._stalled(one.paused_at_s - 0.2, until_s, (one.paused_s - PAUSE_S) * 1000)
                self._fail(
                    f"the agent was silent for {round(one.paused_s * 1000)} ms after"
                    f' "{one.sound.text}", and then went on'
                )

    def heard(self, text: str) -> None:
        """The caller heard these words of the agent, one after the other."""
        if place_of(words_of(text), words_of(self.heard_text)) is None:
            self._fail(f'nobody heard "{text}"; heard was: "{self.heard_text}"')

    def spoken_in_full(self, text: str) -> None:
        """The agent said these words from the first to the last, without a pause."""
        self._needs_words("spoken_in_full")
        wanted = words_of(text)
        best: list[str] = []
        for reply in self.replies:
            at = place_of(wanted, [_bare(word.text) for word in reply.words])
            if at is None:
                continue
            said = reply.words[at : at + len(wanted)]
            held = [word for word in said[1:] if word.held_s >= PAUSE_S]
            heard = [word.text for word in said if word.heard]
            if len(heard) == len(wanted) and not held:
                return
            if len(heard) == len(wanted):
                word = held[0]
                at_s = word.at_s or 0.0
                excess_ms = (word.held_s - PAUSE_S) * 1000
                self._stalled(at_s - word.held_s - 0.2, at_s, excess_ms)
                self._fail(f'before "{word.text}" the agent paused {round(word.held_s * 1000)} ms')
            best = max(best, heard, key=len)
        if best or any(place_of(wanted, words_of(one.text)) is not None for one in self.replies):
            self._fail(f'of "{text}" only "{" ".join(best)}" was heard')
        self._fail(f'the agent never meant to say "{text}"')

    def resumed_from(self, text: str) -> None:
        """After it had been stopped, the agent went on from here."""
        self._needs_words("resumed_from")
        wanted = words_of(text)
        for one in (one for one in self.overlaps if one.silent_s is not None):
            silent_s = one.silent_s or 0.0
            before = [word for reply in one.cut or self.replies for word in reply.words]
            meant = [_bare(word.text) for word in before]
            origin = place_of(wanted, meant)
            after = sorted(
                (word.at_s, _bare(word.text))
                for reply in self.replies
                for word in reply.words
                if word.at_s is not None and word.at_s > silent_s
            )
            said = [word for _, word in after]
            place = place_of(wanted, said)
            if origin is None or place is None:
                continue
            # The words that stood before these, said again, would be an earlier beginning.
            back = 0
            while back < min(origin, place) and meant[origin - back - 1] == said[place - back - 1]:
                back += 1
            if back:
                began = " ".join(said[place - back : place + len(wanted)])
                self._fail(f'the agent went on from "{began}", not from "{text}"')
            return
        self._fail(f'the agent did not go on from "{text}"')

    def context_equals_heard(self, within_words: int = 1) -> None:
        """The LLM's context says that the agent said what was heard, and nothing else.

        Args:
            within_words: by how many words they may differ, at each place where it was cut.
        """
        self._needs_context("context_equals_heard")
        said = " ".join(
            text_of(one) for one in self.messages if one.get("role") in ("assistant", "model")
        )
        unheard, missing = difference(words_of(said), words_of(self.heard_text))
        cuts = sum(1 for one in self.replies if one.unheard)
        if len(unheard) + len(missing) > within_words * cuts:
            parts = [
                f'{len(unheard)} words nobody heard: "{_shortened(unheard)}"' if unheard else "",
                f'not {len(missing)} that were heard: "{_shortened(missing)}"' if missing else "",
            ]
            self._fail("the context has " + ", and ".join(part for part in parts if part))

    def not_in_context(self, text: str) -> None:
        """No message of the caller's in the LLM's context has these words."""
        self._needs_context("not_in_context")
        for one in self.messages:
            if (
                one.get("role") == "user"
                and place_of(words_of(text), words_of(text_of(one))) is not None
            ):
                self._fail(f'"{text}" is in the context, in the message "{text_of(one)}"')

    def in_context(self, text: str) -> None:
        """A message of the caller's in the LLM's context has these words."""
        self._needs_context("in_context")
        said = [text_of(one) for one in self.messages if one.get("role") == "user"]
        if all(place_of(words_of(text), words_of(one)) is None for one in said):
            self._fail(f'"{text}" is not in the context; the caller is said to have said: {said}')

    def recovered(self, says: str | None = None, *, about: Sequence[str] = ()) -> None:
        """After an interruption of the caller's the agent answered that, and nothing else.

        By the words alone: the reply has one that the interruption has, or one of ``about``; the
        answer that was interrupted does not go on; nothing that was heard is said again.

        Args:
            says: which interruption; unless given, each of them.
            about: words that tell that the answer is about what was asked, where the question's
                own words do not.
        """
        found = [
            one for one in self.recoveries if says is None or words_of(one.asked) == words_of(says)
        ]
        if not found:
            what = f' with "{says}"' if says is not None else ""
            self._fail(f"the caller never interrupted the agent{what}")
        for one in found:
            for problem in one.problems(about):
                self._fail(problem)

    # --- in a test's report ---

    def timeline(self) -> str:
        """The call as text."""
        return timeline(self)

    def keep(self, folder: Path) -> list[Path]:
        """Write the call's sound (the agent left, the caller right), trace and timeline."""
        return kept(self, folder)

    def stalled_ms(self, from_s: float, until_s: float) -> float:
        """For how long of this the machine stood still."""
        within = (min(at_s + lasts_s, until_s) - max(at_s, from_s) for at_s, lasts_s in self.stalls)
        return sum(max(0.0, one) for one in within) * 1000

    def _stalled(self, from_s: float, until_s: float, excess_ms: float) -> None:
        """What a machine that stood still may have caused is nobody's fault."""
        lasted_ms = self.stalled_ms(from_s, until_s)
        if lasted_ms and lasted_ms >= excess_ms:
            raise Stalled(
                f"the machine stood still for {round(lasted_ms)} ms at this moment of the call:"
                " nothing can be said about the agent\n\n" + self.timeline()
            )

    def _overlaps(self, says: str | None, means: tuple[Means, ...]) -> Sequence[Overlap]:
        chosen: Callable[[Sounded], bool] = (
            (lambda one: one.means in means)
            if says is None
            else (lambda one: words_of(one.text) == words_of(says))
        )
        found = [one for one in self.overlaps if chosen(one.sound)]
        if not found:
            what = f'"{says}"' if says is not None else " or ".join(one.value for one in means)
            self._fail(f"{what} was never to be heard over the agent's voice")
        return found

    def _needs_words(self, claim: str) -> None:
        if self.capabilities.word_times is WordTimes.NONE:
            raise Unsupported(
                f"{claim} needs the agent's words, and {self.capabilities.host} does not tell them:"
                " give the kit its voice log (voice=...)"
            )

    def _needs_context(self, claim: str) -> None:
        if not self.capabilities.context:
            raise Unsupported(
                f"{claim} needs the agent's LLM, and {self.capabilities.host} does not show it"
            )

    def _fail(self, sentence: str, *, excused: bool = True) -> None:
        """Fail, unless the machine stood still for so long that it may have caused anything."""
        worst_s = max((lasts_s for _, lasts_s in self.stalls), default=0.0)
        if excused and worst_s * 1000 >= STALLED_MS:
            self._stalled(self.began_s, self.ended_s, STALLED_MS)
        raise self._failed(sentence)

    def _failed(self, sentence: str) -> CallFailed:
        where = ""
        if self.folder is not None:
            self.keep(self.folder)
            where = f"\n\nto hear and to replay: {self.folder}"
        return CallFailed(f"{sentence}\n\n{self.timeline()}{where}")


def _bare(word: str) -> str:
    return " ".join(words_of(word))


def _shortened(words: Sequence[str], most: int = 12) -> str:
    return " ".join(words[:most]) + (" ..." if len(words) > most else "")
