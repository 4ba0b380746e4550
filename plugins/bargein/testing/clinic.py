"""What does the agent of the offline calls say? It answers the phone of a clinic."""

from __future__ import annotations

from typing import Any

GREETED = "When is my appointment?"
"""What the caller has said when the call begins."""
INSTRUCTIONS = "You answer the phone of a clinic."

EXPLAINS = (
    "Your appointment with Doctor Patel is on Tuesday at three in the afternoon. "
    "The clinic is on the second floor of the main building, next to the pharmacy. "
    "Please bring your insurance card and a photo, and come ten minutes early, "
    "because there is a short form to fill in."
)
ASKS = "I also have a free slot on Tuesday at nine in the morning. Shall I book that one for you?"
BOOKS = (
    "Good, it is booked for Tuesday at nine in the morning. You will get a message "
    "with the address, and you can cancel it until the evening before."
)
CODE = "Your code for the door is four two seven one."
CORRECTS = f"Of course, Thursday at nine it is. <must-hear>{CODE}</must-hear> See you then."
REPEATS = "The code is four two seven one."
DIRECTIONS = (
    "Take the tram as far as Market Square, walk past the old stone fountain towards the river, "
    "turn left at the bakery. Cross the small bridge, keep the water to your right, "
    "pass two more houses. Ours is white, next to a garden."
)
LIFT = "Yes, there is a lift beside the entrance."
LOST = "Sorry, I did not catch that. What were you saying?"


def reply(messages: list[Any]) -> str:
    """What the language model answers; it only looks at what was said last."""
    last = str(messages[-1].get("content", "")).lower()
    for words, answer in (
        # A model whose context has lost the rest of the way can only start over.
        ("go on", DIRECTIONS),
        ("lift", LIFT),
        ("get there", DIRECTIONS),
        ("what was that", REPEATS),
        ("thursday", CORRECTS),
        ("yes", BOOKS),
        ("earlier", ASKS),
        ("when is", EXPLAINS),
    ):
        if words in last:
            return answer
    return LOST


def plain(text: str) -> str:
    """An answer as it is spoken. Only `Bargein` knows what to do with the tags in it."""
    return text.replace("<must-hear>", "").replace("</must-hear>", "")


def topic(messages: list[Any]) -> str:
    """What the answer is about, as far as going back to it is concerned; empty for the rest."""
    return "the way to the clinic" if reply(messages) == DIRECTIONS else ""
