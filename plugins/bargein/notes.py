"""What is the LLM told about an interruption, so that it neither repeats nor assumes?"""

from __future__ import annotations

from bargein.core.decisions import ResumeSpeech, YieldFloor

_NOTE_CHARS = 400
"""How much of what went unheard the LLM is told: it said it, and needs no more than a reminder."""


def missed(cut: YieldFloor) -> str:
    """The floor was taken, and the caller's turn is about to be answered."""
    kind = f" ({cut.kind.value})" if cut.kind else ""
    heard = "nothing of it" if not cut.heard.strip() else f'"...{cut.heard.strip()[-60:]}"'
    unheard = cut.unheard.strip()
    if len(unheard) > _NOTE_CHARS:
        unheard = f"{unheard[:_NOTE_CHARS]}..."
    return (
        f'The user interrupted you{kind}. They heard {heard}, and did not hear: "{unheard}". Do not'
        " repeat what they heard, and do not take it that they know the rest."
    )


def wanted(decision: ResumeSpeech) -> str:
    """The caller wants to hear the rest, in the LLM's own words."""
    about = f" about {decision.topic}" if decision.topic else ""
    told = [
        f"The user wants you to go on with what you were saying{about} when they interrupted you."
        f' They have not heard this part: "{decision.text}". Go on from there in your own words,'
        " and do not repeat what came before it."
    ]
    if decision.context_note:
        told.append(f"You noted at the time: {decision.context_note}")
    told += [f"Meanwhile {name} has answered: {result}" for name, result in decision.tools]
    return " ".join(told)
