"""Somebody is told when it is time to look, and not otherwise."""

import logging
import statistics
from datetime import UTC, datetime

import pytest

from bargein import MessageLocked, PlayoutStarted, Reason, UserSpeechStarted
from bargein.core.decisions import Delivery, DuckPlayout, FileReceipt
from bargein.journal import Alert, Alerts, CallFacts, Episode, Observer, Outcome, Trouble
from bargein.journal.baseline import Baseline, Sensitivity
from traffic import WEEK, Traffic, rise_found_after


def facts(agent: str = "desk@1", name: str = "c") -> CallFacts:
    return CallFacts(call_id=name, host="core", agent=agent, began_at=datetime.now(UTC))


def cut(number: int) -> Episode:
    """The floor is taken."""
    return Episode(number=number, onset_at_ms=0, outcome=Outcome.YIELD, by_caller=True)


USUAL = 3.0
"""Interruptions in a call of three minutes, half of which the agent speaks."""


def test_weeks_as_usual_have_one_false_alert_each_at_most() -> None:
    weeks = [len(list(Traffic(seed=seed, per_call=USUAL).alerts(WEEK))) for seed in range(4)]
    assert sum(weeks) <= len(weeks)


def test_callers_of_many_tempers_are_no_rise() -> None:
    weeks = [
        len(list(Traffic(seed=seed, per_call=USUAL, diversity=0.3).alerts(WEEK)))
        for seed in range(2)
    ]
    assert sum(weeks) <= len(weeks)


def test_twice_the_rate_is_told_within_a_quarter_of_an_hour() -> None:
    """Of an agent that has 45 interruptions in that time, as a rule."""
    found = [rise_found_after(seed, USUAL) for seed in range(20)]
    assert sum(after <= 15 for after in found) >= 18
    assert max(found) < 45


def test_an_agent_that_is_seldom_interrupted_takes_longer() -> None:
    """The limit is the traffic's: 15 usual interruptions and 30 are not far enough apart."""
    found = [rise_found_after(seed, 1.0) for seed in range(10)]
    assert 15 < statistics.median(found) < 30


def test_a_call_that_goes_on_tells_already() -> None:
    """Nobody waits for the end of long calls."""
    told: list[Alert] = []
    alerts = Alerts(told.append)
    for _ in range(200):
        alerts.call_ended(facts(), interruptions=4, minutes=2.0)
    at_ms = 0
    for number in range(1, 9):
        for name in "abcd":
            alerts.overlap(facts(name=name), cut(number), at_ms)
            alerts.spoke(facts(name=name), at_ms, at_ms + 5_000)
        at_ms += 10_000
    (one,) = told
    assert one.value == pytest.approx(12.0)  # each five seconds of the agent's speech


def test_an_alert_says_how_much_and_from_what() -> None:
    told: list[Alert] = []
    alerts = Alerts(told.append)
    for _ in range(200):
        alerts.call_ended(facts(), interruptions=4, minutes=2.0)
    assert alerts.baseline("desk@1") == pytest.approx(2.0)
    for _ in range(20):
        alerts.call_ended(facts(), interruptions=9, minutes=2.0)
    (one,) = told
    assert (one.trouble, one.agent) == (Trouble.INTERRUPTION_RATE, "desk@1")
    assert (one.value, round(one.baseline or 0, 1)) == (4.5, 2.0)
    assert "4.50 times a minute of its speech, 2.05 is usual (in 5 calls)" in one.text


def test_a_new_version_is_held_against_the_last() -> None:
    told: list[Alert] = []
    alerts = Alerts(told.append)
    for _ in range(200):
        alerts.call_ended(facts("desk@1"), interruptions=4, minutes=2.0)
        alerts.call_ended(facts("sales@7"), interruptions=40, minutes=2.0)  # is as it always is
    for _ in range(20):
        alerts.call_ended(facts("desk@2"), interruptions=9, minutes=2.0)
        alerts.call_ended(facts("desk@1"), interruptions=4, minutes=2.0)
    assert [one.agent for one in told] == ["desk@2"]


def test_a_level_that_stays_is_told_once_and_becomes_usual() -> None:
    told: list[Alert] = []
    alerts = Alerts(told.append)
    for _ in range(300):
        alerts.call_ended(facts(), interruptions=4, minutes=2.0)
    for _ in range(600):
        alerts.call_ended(facts(), interruptions=9, minutes=2.0)
    assert len(told) == 1
    assert alerts.baseline("desk@1") == pytest.approx(4.5, rel=0.2)


def test_from_nothing_to_a_little_is_no_spike() -> None:
    told: list[Alert] = []
    alerts = Alerts(told.append)
    for number in range(2000):
        alerts.call_ended(facts(), interruptions=number % 40 == 0, minutes=2.0)
    assert told == []


def test_one_furious_caller_is_no_trend() -> None:
    told: list[Alert] = []
    alerts = Alerts(told.append)
    for number in range(400):
        alerts.call_ended(facts(), interruptions=200 if number == 300 else 2, minutes=2.0)
    assert told == []


def test_a_few_calls_are_no_baseline() -> None:
    baseline = Baseline(Sensitivity(min_calls=50))
    for number in range(50):
        assert baseline.take(str(number), 1 if number < 20 else 30, 1.0) is None
        baseline.ended(str(number))


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"factor": 1}, "factor must be more than 1, not 1"),
        ({"certainty": 0}, "certainty must be more than 0, not 0"),
        ({"min_calls": -1}, "min_calls must be >= 0, not -1"),
    ],
)
def test_numbers_that_cannot_work_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sensitivity(**knobs)  # type: ignore[arg-type]


# --- the others ---


def receipt(state: Delivery, *, message_id: str = "code", pending: bool = False) -> FileReceipt:
    return FileReceipt(
        at_ms=9000,
        reason=Reason.CALL_ENDED,
        message_id=message_id,
        state=state,
        heard="Your code is 4",
        unheard="271",
        pending=pending,
    )


def observed(alerts: Alerts, stuck_ms: int = 10_000) -> Observer:
    return Observer(
        facts(),
        journal=None,
        watchers=[alerts],
        listens=lambda *_: False,
        now_ms=lambda: 12_000,
        report=lambda where, error: pytest.fail(f"{where}: {error!r}"),
        stuck_ms=stuck_ms,
    )


def test_a_message_that_was_cut_is_told_each_and_without_its_words() -> None:
    told: list[Alert] = []
    observer = observed(Alerts(told.append))
    observer.happened(MessageLocked(at_ms=0, message_id="code", text="Your code is 4271"))
    for one in (
        receipt(Delivery.CUT, pending=True),
        receipt(Delivery.CUT, pending=True),  # told already
        receipt(Delivery.UNDELIVERED, message_id="notice"),
        receipt(Delivery.DELIVERED, message_id="other"),
    ):
        observer.decided(one)
    assert [one.trouble for one in told] == [Trouble.LOCK_CUT] * 2
    assert ["it is still to be said" in one.text for one in told] == [True, False]
    assert "4" not in told[0].text


def test_a_store_that_is_down_is_told_again_only_after_a_while() -> None:
    told: list[Alert] = []
    now_s = 0.0
    observer = observed(Alerts(told.append, quiet_s=900, clock=lambda: now_s))
    for now_s in (0.0, 1.0, 899.0, 901.0):  # noqa: B007
        observer.trouble("store")
    observer.trouble("handler of yours")
    assert [one.trouble for one in told] == [Trouble.STORE_DOWN] * 2


async def test_an_overlap_that_nobody_decides_is_told() -> None:
    import asyncio

    told: list[Alert] = []
    observer = observed(Alerts(told.append), stuck_ms=20)
    observer.happened(PlayoutStarted(at_ms=0, message_id="m"))
    observer.happened(UserSpeechStarted(at_ms=1000))
    observer.decided(DuckPlayout(at_ms=1000, reason=Reason.OVERLAP_BEGAN))
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    assert (told[0].trouble, told[0].value) == (Trouble.STUCK_HOLD, 11_000)
    observer.close()


def test_a_log_line_and_a_function_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    from bargein.journal.alerts import to_log

    def fails(alert: Alert) -> None:
        raise OSError(alert.text)

    reported: list[str] = []
    observer = Observer(
        facts(),
        journal=None,
        watchers=[Alerts([fails, to_log])],
        listens=lambda *_: False,
        now_ms=lambda: 0,
        report=lambda where, _: reported.append(where),
    )
    with caplog.at_level(logging.WARNING, "bargein.alerts"):
        observer.trouble("store")
    assert [one.getMessage() for one in caplog.records] == [
        "bargein: the store fails, so receipts may be lost; noticed in the call c"
    ]
    assert reported == ["watcher Alerts"]
