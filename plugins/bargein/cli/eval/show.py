"""How are the figures read by people?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ROWS = (
    ("false_interruption", "false interruptions (FI)", "%", "stopped for a backchannel"),
    ("missed_interruption", "missed interruptions (MI)", "%", "never stopped for the floor"),
    ("answer_lost", "answers lost (AL)", "%", "an answer not taken as a turn"),
    ("answer_lost_qmark", '  after "?"', "%", "where the agent's text ends in one"),
    ("lat_words_med", "words to a yield, median", "", "counted from the first"),
    ("lat_words_p90", "  90 % of them", "", ""),
    ("lat_s_med", "seconds to a yield, median", "s", "from the onset of speech"),
    ("lat_s_p90", "  90 % of them", "s", ""),
    ("ft_stopped_within_1s", "yielded within 1 s", "%", ""),
    ("early_prefix", "yielded before it was due", "%", "on the acknowledgement before it"),
    ("ans_lat_s_med", "seconds to an answer, median", "s", ""),
)


def table(
    found: dict[str, Any], wrong: list[dict[str, Any]], beside: dict[str, dict[str, Any]]
) -> str:
    """Plain text: the figures, beside others, by kind and by language, then what went wrong."""
    return "\n".join([*_main(found), *_beside(beside), *_groups(found), *_listing(wrong)])


def _main(found: dict[str, Any]) -> Iterator[str]:
    counts = found["n"]
    yield ", ".join(f"{count} {label.replace('_', '-')}" for label, count in counts.items())
    for key, name, unit, about in _ROWS:
        if found[key] is not None:
            yield f"{name:<30}{found[key]:>7} {unit:<2} {about}".rstrip()


def _beside(beside: dict[str, dict[str, Any]]) -> Iterator[str]:
    if beside:
        yield ""
        yield f"{'beside':<36}{'FI %':>7}{'MI %':>7}{'AL %':>7}{'words':>7}{'seconds':>9}"
    for name, own in beside.items():
        keys = ("false_interruption", "missed_interruption", "answer_lost")
        cells = "".join(f"{'' if own[key] is None else own[key]:>7}" for key in keys)
        words, seconds = own["lat_words_med"], own["lat_s_med"]
        yield f"{name:<36}{cells}{'' if words is None else words:>7}{seconds or '':>9}".rstrip()


def _groups(found: dict[str, Any]) -> Iterator[str]:
    for key, title in (("by_kind", "by kind"), ("by_language", "by language")):
        if len(found[key]) < 2:
            continue
        yield ""
        yield f"{title:<34}{'n':>6}{'FI %':>8}{'MI %':>8}{'AL %':>8}{'words':>7}"
        for name, own in found[key].items():
            columns = ("false_interruption", "missed_interruption", "answer_lost")
            cells = "".join(f"{own.get(column, ''):>8}" for column in columns)
            yield f"{name:<34}{own['n']:>6}{cells}{own.get('lat_words_med', ''):>7}".rstrip()


def _listing(wrong: list[dict[str, Any]]) -> Iterator[str]:
    for one in wrong:
        after = one["stopped_after_words"]
        did = "went on" if after is None else f"stopped after {after} words"
        yield ""
        yield f"{one['id']} ({one['label']}): {did}, {one['reason']}"
        yield f"  agent:  ... {one['agent']}"
        yield f"  caller: {one['words']}"
