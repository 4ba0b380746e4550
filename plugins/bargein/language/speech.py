"""What does the agent say of its own accord: when it goes on, offers to, or has understood?"""

from __future__ import annotations

from collections.abc import Mapping

from bargein.core.decisions import Kind

PLAIN = {
    "resume": "Sure, back to {topic}.",
    "resume_plain": "Sure.",
    "offer": "I was telling you about {topic}. Shall I go on?",
    "offer_plain": "I had not finished. Shall I go on?",
    "stopped": "Understood, I will stop. What would you like instead?",
    "corrected": "Sorry, let me correct that.",
    "redirected": "Sure.",
    "clarified": "Of course.",
}
"""For a language that does not say. A name with ``_plain`` is for speech without a topic."""

ACKNOWLEDGED = {
    Kind.CANCELLATION: "stopped",
    Kind.CORRECTION: "corrected",
    Kind.REDIRECT: "redirected",
    Kind.CLARIFICATION: "clarified",
}
"""The kinds of interruptions that the agent can acknowledge."""


def bridge(speech: Mapping[str, str], topic: str, text: str) -> str:
    """The rest of a message, with a word before it."""
    return f"{_about(speech, 'resume', topic)} {text}".strip()


def offer(speech: Mapping[str, str], topic: str) -> str:
    """Whether it should go on."""
    return _about(speech, "offer", topic)


def acknowledgement(speech: Mapping[str, str], kind: Kind) -> str:
    """That it has understood why it was interrupted.

    Raises:
        KeyError: a kind that is not among `ACKNOWLEDGED`.
    """
    name = ACKNOWLEDGED[kind]
    return speech.get(name, PLAIN[name])


def _about(speech: Mapping[str, str], name: str, topic: str) -> str:
    name = name if topic else f"{name}_plain"
    return speech.get(name, PLAIN[name]).replace("{topic}", topic)
