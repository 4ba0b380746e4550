"""How often was it right, how often wrong, and how soon?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import mean
from typing import Any, TypeAlias

from .items import LABELS, Item
from .replay import Outcome

Pairs: TypeAlias = list[tuple[Item, Outcome]]


def figures(items: Sequence[Item], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All figures, in percent, words or seconds, and the main ones by kind and by language."""
    pairs = list(zip(items, outcomes, strict=True))
    found = _figures(pairs)
    found["by_kind"] = _by(pairs, lambda item: f"{item.label}: {item.kind or 'no kind'}")
    found["by_language"] = _by(pairs, lambda item: item.lang or "en")
    return found


def confusions(items: Sequence[Item], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Every item that was taken for something else, and why it was."""
    listed = []
    for item, outcome in zip(items, outcomes, strict=True):
        if outcome.stopped == (item.label != "backchannel"):
            continue
        judgement = outcome.judgement
        listed.append(
            {
                "id": item.id,
                "label": item.label,
                "kind": item.kind,
                "agent": item.agent[-80:],
                "words": " ".join(item.words),
                "stopped_after_words": outcome.words if outcome.stopped else None,
                "reason": judgement.reason.value if judgement else None,
            }
        )
    return listed


def _figures(pairs: Pairs) -> dict[str, Any]:
    of = {label: [pair for pair in pairs if pair[0].label == label] for label in LABELS}
    backchannels, takings, answers = (of[label] for label in LABELS)
    asked = [(i, o) for i, o in answers if i.agent.rstrip().endswith("?")]
    false_stops = _stopped(backchannels)
    false_rate = _share(false_stops, backchannels)
    missed_rate = _share(len(takings) - _stopped(takings), takings)
    lost_rate = _share(len(answers) - _stopped(answers), answers)
    precision, recall, f1 = _retrieval(_stopped(takings), false_stops, len(takings))
    stops = _stopped(takings) + _stopped(answers)
    *_, f1_stop = _retrieval(stops, false_stops, len(takings) + len(answers))
    seen = [(i, o) for i, o in takings if o.stopped]
    at_s = [o.at_s for _, o in seen if o.at_s is not None]
    behind = [o.words - i.floor_onset_word for i, o in seen]
    answered_s = [o.at_s for _, o in answers if o.at_s is not None]
    return {
        "n": {label: len(of[label]) for label in LABELS},
        "false_interruption": _percent(false_rate),
        "missed_interruption": _percent(missed_rate),
        "answer_lost": _percent(lost_rate),
        "answer_lost_qmark": _percent(_share(len(asked) - _stopped(asked), asked)),
        "n_qmark": len(asked),
        "precision": _percent(precision),
        "recall": _percent(recall),
        "f1_ft": _percent(f1),
        "f1_stop": _percent(f1_stop),
        "bal_acc": _percent(_balanced(false_rate, missed_rate)),
        "bal_acc3": _percent(_balanced(false_rate, missed_rate, lost_rate)),
        "lat_words_med": _quantile([o.words for _, o in seen], 0.5),
        "lat_words_p90": _quantile([o.words for _, o in seen], 0.9),
        "lat_s_mean": round(mean(at_s), 2) if at_s else None,
        "lat_s_med": _quantile(at_s, 0.5),
        "lat_s_p90": _quantile(at_s, 0.9),
        "lat_from_onset_words_mean": round(mean(behind), 2) if behind else None,
        "early_prefix": _percent(_share(sum(words <= 0 for words in behind), behind)),
        "ans_lat_s_med": _quantile(answered_s, 0.5),
        "ft_stopped_within_1s": _percent(_share(sum(s <= 1.0 for s in at_s), takings)),
    }


def _by(pairs: Pairs, key: Callable[[Item], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, Pairs] = {}
    for pair in pairs:
        groups.setdefault(key(pair[0]), []).append(pair)
    main = ("false_interruption", "missed_interruption", "answer_lost", "lat_words_med")
    found = {}
    for name in sorted(groups):
        own = _figures(groups[name])
        found[name] = {"n": len(groups[name])} | {
            figure: own[figure] for figure in main if own[figure] is not None
        }
    return found


def _stopped(pairs: Pairs) -> int:
    return sum(outcome.stopped for _, outcome in pairs)


def _share(count: int, of: Sequence[object]) -> float | None:
    return count / len(of) if of else None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _balanced(*errors: float | None) -> float | None:
    known = [1 - error for error in errors if error is not None]
    return sum(known) / len(known) if len(known) == len(errors) else None


def _retrieval(right: int, wrong: int, wanted: int) -> tuple[float, float, float]:
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / wanted if wanted else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def _quantile(values: Iterable[float], share: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
