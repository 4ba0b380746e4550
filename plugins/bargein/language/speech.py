"""What does the agent say when it goes on with something?"""

from __future__ import annotations

from collections.abc import Mapping

PLAIN = {
    "resume": "Sure, back to {topic}.",
    "resume_plain": "Sure.",
    "offer": "I was telling you about {topic}. Shall I go on?",
    "offer_plain": "I had not finished. Shall I go on?",
}
"""For a language that does not say."""


def bridge(speech: Mapping[str, str], topic: str, text: str) -> str:
    """The rest of a message, with a word before it."""
    return f"{_said(speech, 'resume', topic)} {text}".strip()


def offer(speech: Mapping[str, str], topic: str) -> str:
    """Whether it should go on."""
    return _said(speech, "offer", topic)


def _said(speech: Mapping[str, str], name: str, topic: str) -> str:
    name = name if topic else f"{name}_plain"
    return speech.get(name, PLAIN[name]).replace("{topic}", topic)
