"""Each rule, alone and in company; and what happens to those who ask for the impossible."""

from collections.abc import Callable

import pytest

from bargein import (
    Backchannel,
    BargeIn,
    CriticalMessage,
    Judge,
    LanguageError,
    MinAgentSpeech,
    NearlyDone,
    Noise,
    Overlap,
    RuleError,
    Ruling,
    StartedOver,
    Verdict,
    standard_rules,
)
from bargein.testing import matches, parse, play, written

JUDGE = Judge("en")

SCENE = """
0     agent  Your appointment is on Tuesday at nine, with Doctor Hale in the main building.
950   user
1300  asr~   uh-huh
1350  user.
1500  asr    uh-huh
"""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: BargeIn(judge=JUDGE, pause_after_ms=-1), "pause_after_ms must be .* not -1"),
        (lambda: BargeIn(judge=JUDGE, min_overlap_ms=1.5), "min_overlap_ms must be .* not 1.5"),  # type: ignore[arg-type]
        (lambda: BargeIn(judge=JUDGE, stop_at="soon"), "stop_at must be .* not 'soon'"),  # type: ignore[arg-type]
        (lambda: Backchannel(judge=JUDGE, settle_ms=-5), "settle_ms must be .* not -5"),
        (lambda: NearlyDone(max_left_ms=True), "max_left_ms must be .* not True"),
        (lambda: Noise(words_late_ms=-1), "words_late_ms must be .* not -1"),
        (lambda: MinAgentSpeech(min_speak_ms=-1), "min_speak_ms must be .* not -1"),
        (lambda: StartedOver(min_user_ms=-1), "min_user_ms must be .* not -1"),
        (lambda: standard_rules(preset="gentle"), "patient, balanced, eager, not 'gentle'"),
    ],
)
def test_impossible_numbers_are_refused_by_name(make: Callable[[], object], says: str) -> None:
    with pytest.raises(RuleError, match=says):
        make()


def test_an_unknown_language_is_refused_by_name() -> None:
    with pytest.raises(LanguageError, match="xx"):
        standard_rules("xx")


def test_leaving_out_the_backchannel_rule_lets_backchannels_interrupt() -> None:
    rules = tuple(rule for rule in standard_rules() if not isinstance(rule, Backchannel))
    decided = [written(decision) for decision in play(parse(SCENE), rules)]
    assert any("YieldFloor" in line for line in decided)


def test_a_condition_of_ones_own_keeps_the_floor() -> None:
    scene = parse(SCENE.replace("uh-huh", "stop"))
    asked: list[Overlap] = []

    def never(overlap: Overlap) -> bool:
        asked.append(overlap)
        return False

    decided = [written(d) for d in play(scene, standard_rules(interruptible=never))]
    assert asked
    assert [line for line in decided if "YieldFloor" in line] == []
    assert any(matches(line, '1500 DeferTurn "stop": not interruptible now') for line in decided)


def test_phrases_of_one_call_come_on_top_of_the_language() -> None:
    stop = parse(SCENE.replace("uh-huh", "stop"))
    ignoring = play(stop, standard_rules(ignore=["stop"]))
    assert [written(d) for d in ignoring if "YieldFloor" in written(d)] == []
    always = play(parse(SCENE), standard_rules(always_interrupt=["uh-huh"]))
    assert [written(d) for d in always if "YieldFloor" in written(d)] != []


def test_a_critical_message_is_not_for_other_rules_to_judge() -> None:
    overlap = Overlap(began_at_ms=0, seen_at_ms=2000, finals="stop", must_hear=True)
    verdict = CriticalMessage(judge=JUDGE)(overlap)
    assert isinstance(verdict, Verdict)
    assert verdict.ruling is Ruling.HOLD


def test_rules_are_values() -> None:
    assert NearlyDone() == NearlyDone()
    assert standard_rules() == standard_rules()
    assert hash(standard_rules()) == hash(standard_rules())
