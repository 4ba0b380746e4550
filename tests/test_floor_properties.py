"""The invariants of the floor, over random calls."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from bargein import (
    CallEnded,
    ControlRaised,
    Decision,
    DeferTurn,
    DeliverTurn,
    Delivery,
    DuckPlayout,
    Event,
    FileReceipt,
    Floor,
    HoldFloor,
    Kind,
    MessageLocked,
    OnCut,
    OverlapScored,
    PausePlayout,
    PlayoutLocked,
    PlayoutProgressed,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    ReportBackchannel,
    ResumePlayout,
    Rules,
    SpeakAgain,
    State,
    TimePassed,
    ToolFinished,
    ToolStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserWordsHeard,
    YieldFloor,
    standard_rules,
    step,
)
from bargein.core.deadlines import MAX_HOLD_MS, MAX_OVERLAP_MS, MAX_PAUSE_MS

Timed = Callable[[int], Event]

WORDS = (
    "mm-hm",
    "yeah",
    "yeah but",
    "no",
    "hang on",
    "one second",
    "stop",
    "okay",
    "what",
    "I",
    "uh",
    "go on",
    "",
    "  ",
    "yes",
)
SAID = ("Your appointment is on Tuesday. ", "Shall I book it? ", "It is open. ")
HAPPENING: st.SearchStrategy[Timed] = st.one_of(
    st.just(lambda at: UserSpeechStarted(at_ms=at)),
    st.just(lambda at: UserSpeechStopped(at_ms=at)),
    st.builds(
        lambda text, final: lambda at: UserWordsHeard(at_ms=at, text=text, is_final=final),
        st.sampled_from(WORDS),
        st.booleans(),
    ),
    st.builds(
        lambda name, must: lambda at: PlayoutStarted(at_ms=at, message_id=name, must_hear=must),
        st.sampled_from("abm"),
        st.booleans(),
    ),
    st.builds(
        lambda name, on_cut: (
            lambda at: MessageLocked(
                at_ms=at, message_id=name, text=f"Code {name} is one two.", on_cut=on_cut
            )
        ),
        st.sampled_from("ab"),
        st.sampled_from(OnCut),
    ),
    st.builds(lambda must: lambda at: PlayoutLocked(at_ms=at, must_hear=must), st.booleans()),
    st.builds(lambda text: lambda at: PlayoutWorded(at_ms=at, text=text), st.sampled_from(SAID)),
    st.builds(
        lambda chars, left: lambda at: PlayoutProgressed(at_ms=at, heard_chars=chars, left_ms=left),
        st.integers(-5, 80),
        st.none() | st.integers(0, 3000),
    ),
    st.builds(lambda done: lambda at: PlayoutStopped(at_ms=at, completed=done), st.booleans()),
    st.just(lambda at: ToolStarted(at_ms=at, name="t")),
    st.just(lambda at: ToolFinished(at_ms=at, name="t")),
    st.builds(
        lambda name: lambda at: ControlRaised(at_ms=at, name=name),
        st.sampled_from(["emergency_stop", "handoff"]),
    ),
    st.builds(
        lambda p: lambda at: OverlapScored(at_ms=at, source="ear", backchannel_probability=p),
        st.floats(0, 1),
    ),
)
TALKED_OVER: list[tuple[int, Timed]] = [
    (0, lambda at: PlayoutStarted(at_ms=at, message_id="m")),
    (
        0,
        lambda at: PlayoutWorded(at_ms=at, text="Your appointment is on Tuesday. Shall I book it?"),
    ),
    (900, lambda at: UserSpeechStarted(at_ms=at)),
]
LOCKED: list[tuple[int, Timed]] = [
    (0, lambda at: MessageLocked(at_ms=at, message_id="a", text="Code a is one two.")),
    (90, lambda at: PlayoutStarted(at_ms=at, message_id="a", must_hear=True)),
    (0, lambda at: PlayoutWorded(at_ms=at, text="Code a is one two.")),
]
CALLS = st.builds(
    list.__add__,
    st.sampled_from([[], TALKED_OVER, LOCKED]),
    st.lists(st.tuples(st.integers(0, 900), HAPPENING), max_size=60),
)
"""Random calls, most of which begin with somebody to talk over."""
RULES = st.sampled_from(
    [
        (),
        standard_rules(),
        standard_rules(preset="eager"),
        standard_rules(preset="patient", min_speak_ms=1500),
        standard_rules()[5:],
    ]
)


def log_of(call: list[tuple[int, Timed]]) -> list[Event]:
    at_ms, events = 0, list[Event]()
    for gap_ms, happening in call:
        at_ms += gap_ms
        events.append(happening(at_ms))
    return events


def run(rules: Rules, events: list[Event]) -> tuple[State, list[tuple[State, Event, Decision]]]:
    state, said = State(), list[tuple[State, Event, Decision]]()
    for event in events:
        before = state
        state, decisions = step(rules, state, event)
        said += [(before, event, decision) for decision in decisions]
    return state, said


def ended(events: list[Event]) -> list[Event]:
    """The call, hung up: everything that waits has had its time."""
    last_ms = events[-1].at_ms if events else 0
    return [
        *events,
        UserSpeechStopped(at_ms=last_ms),
        PlayoutStopped(at_ms=last_ms + 60_000),
        TimePassed(at_ms=last_ms + 120_000),
        CallEnded(at_ms=last_ms + 120_000),
    ]


@given(CALLS, RULES)
@settings(max_examples=300, deadline=None)
def test_every_final_transcript_ends_in_exactly_one_place(
    call: list[tuple[int, Timed]], rules: Rules
) -> None:
    events = ended(log_of(call))
    state, placed, waiting = State(), list[str](), list[str]()
    finals = list[str]()
    for event in events:
        is_final = isinstance(event, UserWordsHeard) and event.is_final and event.text.strip()
        state, overdue = step(rules, state, TimePassed(at_ms=event.at_ms))
        decisions = list(overdue)
        contested = state.floor in (Floor.AGENT, Floor.CONTESTED)
        contested = contested or state.moment is not None or state.locks.active
        if is_final:
            assert isinstance(event, UserWordsHeard)
            finals.append(event.text)
            (waiting if contested else placed).append(event.text)  # an open floor is the host's
        state, decided = step(rules, state, event)
        for decision in (*decisions, *decided):
            match decision:
                case ReportBackchannel(text=text) | DeliverTurn(text=text):
                    if isinstance(decision, DeliverTurn) and not waiting:
                        continue  # a yield has taken them along already
                    for word in in_order(text, waiting):
                        waiting.remove(word)
                        placed.append(word)
                case YieldFloor(kind=Kind.HOLD):
                    pass  # they begin the turn that the user has yet to take
                case YieldFloor():
                    placed += waiting
                    waiting.clear()
                case _:
                    pass
    # The host gets what a moment was asked for with, at the latest when the call ends.
    assert [words.strip() for words in waiting] == [kept.text for kept in state.moment or ()]
    placed += waiting
    assert sorted(placed) == sorted(finals)
    assert (state.finals, state.kept) == ((), ())


def in_order(text: str, waiting: list[str]) -> list[str]:
    """Which of the waiting finals, in their order, a decision's text is made of."""
    if not text:
        return []
    for place, words in enumerate(waiting):
        bare = words.strip()
        if text == bare:
            return [words]
        if text.startswith(f"{bare} "):
            try:
                return [words, *in_order(text[len(bare) + 1 :], waiting[place + 1 :])]
            except AssertionError:
                continue
    raise AssertionError(f"{text!r} holds words that nobody said: {waiting}")


@given(CALLS, RULES)
@settings(max_examples=300, deadline=None)
def test_every_hold_ends_and_no_silence_is_unexplained(
    call: list[tuple[int, Timed]], rules: Rules
) -> None:
    events = ended(log_of(call))
    ducked = paused = False
    state = State()
    for event in events:
        state, decisions = step(rules, state, event)
        for decision in decisions:
            match decision:
                case DuckPlayout():
                    assert not ducked
                    ducked = True
                case PausePlayout():
                    assert ducked
                    assert not paused
                    paused = True
                case ResumePlayout():
                    assert ducked or paused
                    ducked = paused = False
                case YieldFloor():
                    ducked = paused = False
                case _:
                    pass
        assert (state.ducked, state.paused_at_ms is not None) == (ducked, paused)
    assert not ducked
    assert not paused


@given(CALLS, RULES)
@settings(max_examples=200, deadline=None)
def test_no_state_is_left_without_an_end_in_sight(
    call: list[tuple[int, Timed]], rules: Rules
) -> None:
    longest_ms = max(MAX_HOLD_MS, MAX_PAUSE_MS, MAX_OVERLAP_MS)
    state, _ = run(rules, log_of(call))
    if state.ducked:
        assert state.due_at_ms is not None
        assert state.due_at_ms <= state.at_ms + longest_ms
    state, _ = step(rules, state, TimePassed(at_ms=state.at_ms + longest_ms + 1))
    assert not state.ducked
    assert state.paused_at_ms is None
    assert state.floor is not Floor.CONTESTED


@given(CALLS, RULES, st.integers(1, 700))
@settings(max_examples=200, deadline=None)
def test_coarser_or_finer_timers_change_no_decision(
    call: list[tuple[int, Timed]], rules: Rules, every_ms: int
) -> None:
    events = ended(log_of(call))
    ticked = list[Event]()
    at_ms = 0
    for event in events:
        while at_ms <= event.at_ms and at_ms < 40_000:
            ticked.append(TimePassed(at_ms=at_ms))
            at_ms += every_ms
        ticked.append(event)
    plain = [decision for _, _, decision in run(rules, events)[1]]
    finer = [decision for _, _, decision in run(rules, ticked)[1]]
    assert finer == plain


@given(CALLS, RULES)
@settings(max_examples=200, deadline=None)
def test_heard_and_unheard_are_what_the_playout_said(
    call: list[tuple[int, Timed]], rules: Rules
) -> None:
    said = ""
    state = State()
    for event in log_of(call):
        state, overdue = step(rules, state, TimePassed(at_ms=event.at_ms))
        before = state.playout
        if isinstance(event, PlayoutStarted):
            said = ""
        elif isinstance(event, PlayoutWorded) and before is not None:
            said += event.text
        state, decisions = step(rules, state, event)
        for decision in (*overdue, *decisions):
            if isinstance(decision, YieldFloor) and before is not None:
                assert decision.heard + decision.unheard == said
        if state.playout is not None:
            assert state.playout.heard + state.playout.unheard == state.playout.text == said


@given(CALLS, RULES)
@settings(max_examples=300, deadline=None)
def test_every_message_that_must_be_heard_has_its_receipts(
    call: list[tuple[int, Timed]], rules: Rules
) -> None:
    events = ended(log_of(call))
    tries: dict[str, int] = {}
    filed: dict[str, list[FileReceipt]] = {"a": [], "b": []}
    state = State()
    for event in events:
        state, decisions = step(rules, state, event)
        if isinstance(event, MessageLocked):
            tries[event.message_id] = tries.get(event.message_id, 0) + 1
        for decision in decisions:
            if isinstance(decision, SpeakAgain):
                tries[decision.message_id] += 1
                assert not state.user_speaking
                assert isinstance(event, PlayoutStopped)
            if isinstance(decision, FileReceipt):
                filed[decision.message_id].append(decision)
                assert (
                    decision.heard + decision.unheard == f"Code {decision.message_id} is one two."
                )
                whole = isinstance(event, PlayoutStarted) or (
                    isinstance(event, PlayoutStopped) and event.completed
                )
                assert whole or decision.state is not Delivery.DELIVERED
                assert (decision.state is Delivery.DELIVERED) == (decision.unheard == "")
    for name, receipts in filed.items():
        assert len(receipts) == tries.get(name, 0)
    assert not state.locks.active
    assert state.locks.pending == ()


@given(CALLS)
@settings(max_examples=200, deadline=None)
def test_a_critical_message_yields_to_emergencies_only(call: list[tuple[int, Timed]]) -> None:
    _, said = run(standard_rules(), log_of(call))
    for before, event, decision in said:
        if isinstance(decision, YieldFloor) and before.playout is not None:
            if isinstance(event, PlayoutStarted):
                continue
            if before.playout.must_hear:
                assert isinstance(event, ControlRaised)


def test_the_strategies_reach_every_kind_of_decision() -> None:
    """The properties above are worth little if random calls never come to the point."""
    seen: set[str] = set()

    @given(CALLS, RULES)
    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    def explore(call: list[tuple[int, Timed]], rules: Rules) -> None:
        seen.update(type(d).__name__ for _, _, d in run(rules, ended(log_of(call)))[1])

    explore()
    wanted = (DuckPlayout, PausePlayout, ResumePlayout, HoldFloor, YieldFloor)
    placed = (ReportBackchannel, DeferTurn, DeliverTurn)
    assert {kind.__name__ for kind in (*wanted, *placed)} <= seen
