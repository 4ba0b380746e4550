"""Do the invariants of the floor hold after every single event of very many?"""

from collections import Counter
from collections.abc import Callable
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bargein import (
    ControlRaised,
    Decision,
    DeliverTurn,
    Delivery,
    DuckPlayout,
    Event,
    FileReceipt,
    Floor,
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
    step,
)
from bargein.core.deadlines import MAX_HOLD_MS, MAX_OVERLAP_MS, MAX_PAUSE_MS
from bargein.core.events import TurnTaken
from nightly import explore, many
from test_floor_properties import RULES, SAID, WORDS, ended

EVENTS = many(100_000, 1_000_000)
GAPS_MS = (0, 0, 1, 20, 90, 250, 400, 900, 2_100)
TICKS_MS = (61, 333, 700)
LONGEST_MS = max(MAX_HOLD_MS, MAX_PAUSE_MS, MAX_OVERLAP_MS)
MORE_WORDS = (*WORDS, "no wait I meant Thursday", "right okay", "Tuesday")
seen = 0


def words(dice: Random, at_ms: int) -> Event:
    return UserWordsHeard(at_ms=at_ms, text=dice.choice(MORE_WORDS), is_final=dice.random() < 0.5)


def started(dice: Random, at_ms: int) -> Event:
    name, must_hear = dice.choice("abm"), dice.random() < 0.2
    return PlayoutStarted(at_ms=at_ms, message_id=name, must_hear=must_hear)


def locked(dice: Random, at_ms: int) -> Event:
    name, on_cut = dice.choice("ab"), dice.choice(list(OnCut))
    return MessageLocked(
        at_ms=at_ms, message_id=name, text=f"Code {name} is one two.", on_cut=on_cut
    )


def progressed(dice: Random, at_ms: int) -> Event:
    left_ms = dice.choice([None, 0, 200, 3_000])
    return PlayoutProgressed(at_ms=at_ms, heard_chars=dice.randint(-5, 80), left_ms=left_ms)


HAPPENING: list[Callable[[Random, int], Event]] = [
    words,
    lambda _, at: UserSpeechStarted(at_ms=at),
    lambda _, at: UserSpeechStopped(at_ms=at),
    started,
    lambda dice, at: PlayoutWorded(at_ms=at, text=dice.choice(SAID)),
    progressed,
    lambda dice, at: PlayoutStopped(at_ms=at, completed=dice.random() < 0.7),
    locked,
    lambda dice, at: PlayoutLocked(at_ms=at, must_hear=dice.random() < 0.3),
    lambda _, at: ToolStarted(at_ms=at, name="t"),
    lambda _, at: ToolFinished(at_ms=at, name="t"),
    lambda dice, at: ControlRaised(at_ms=at, name=dice.choice(["emergency_stop", "handoff"])),
    lambda dice, at: OverlapScored(at_ms=at, source="e", backchannel_probability=dice.random()),
    lambda dice, at: TurnTaken(at_ms=at, text=dice.choice(MORE_WORDS)),
]
WEIGHTS = (9, 7, 6, 5, 4, 3, 3, 1, 1, 1, 1, 1, 2, 1)


class Calls(RuleBasedStateMachine):
    """One call, of any length; it ends as calls do."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: Rules = ()
        self.state = self.ticked = State()
        self.at_ms = 0
        self.ducked = self.paused = False
        self.said = ""
        self.finals, self.placed, self.waiting = Counter[str](), Counter[str](), Counter[str]()
        self.owed = {"a": 0, "b": 0}

    @initialize(rules=RULES)
    def begins(self, rules: Rules) -> None:
        self.rules = rules

    @rule(luck=st.integers(0, 2**32), events=st.integers(1, 80), every_ms=st.sampled_from(TICKS_MS))
    def goes_on(self, luck: int, events: int, every_ms: int) -> None:
        dice = Random(luck)  # a hundred times faster than to draw each of them
        for _ in range(events):
            at_ms = self.at_ms + dice.choice(GAPS_MS)
            self.happens(dice.choices(HAPPENING, WEIGHTS)[0](dice, at_ms), every_ms)

    def happens(self, event: Event, every_ms: int) -> None:
        global seen
        seen += 1
        finer: list[Decision] = []
        for at_ms in range(self.at_ms, event.at_ms, every_ms):
            self.ticked, more = step(self.rules, self.ticked, TimePassed(at_ms=at_ms))
            finer += more
        self.ticked, more = step(self.rules, self.ticked, event)
        finer += more
        self.at_ms = event.at_ms

        self.state, overdue = step(self.rules, self.state, TimePassed(at_ms=event.at_ms))
        before = self.state
        self.state, decided = step(self.rules, self.state, event)
        assert finer == [*overdue, *decided]  # a finer timer changes no decision

        self.words_have_one_place(before, event, overdue, decided)
        self.silence_is_explained([*overdue, *decided])
        self.heard_and_unheard_are_what_was_said(before, event, [*overdue, *decided])
        self.receipts_are_true(event, [*overdue, *decided])

    def words_have_one_place(
        self,
        before: State,
        event: Event,
        overdue: tuple[Decision, ...],
        decided: tuple[Decision, ...],
    ) -> None:
        self.taken = Counter[str]()  # a yield takes them along, whatever is delivered behind it
        for decision in overdue:
            self.places(decision, before)
        if isinstance(event, UserWordsHeard) and event.is_final and event.text.strip():
            said = Counter(event.text.split())
            self.finals += said
            contested = before.floor in (Floor.AGENT, Floor.CONTESTED)
            waits = contested or before.moment is not None or before.locks.active
            if waits:
                self.waiting += said
            else:
                self.placed += said  # an open floor is the host's
        for decision in decided:
            self.places(decision, self.state)

    def places(self, decision: Decision, state: State) -> None:
        match decision:
            case ReportBackchannel(text=text) | DeliverTurn(text=text):
                told = Counter(text.split())
                if isinstance(decision, DeliverTurn):
                    told -= self.taken
                assert told <= self.waiting
                self.waiting -= told
                self.placed += told
            case YieldFloor(kind=Kind.HOLD):
                pass  # they begin the turn that the user has yet to take
            case YieldFloor():
                # Who is cut by a button while they think has still asked for that moment.
                moment = Counter(" ".join(one.text for one in state.moment or ()).split())
                self.taken = self.waiting - moment
                self.placed += self.taken
                self.waiting &= moment
            case _:
                pass

    def silence_is_explained(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case DuckPlayout():
                    assert not self.ducked
                    self.ducked = True
                case PausePlayout():
                    assert self.ducked
                    assert not self.paused
                    self.paused = True
                case ResumePlayout() | YieldFloor():
                    self.ducked = self.paused = False
                case _:
                    pass
        state = self.state
        assert (state.ducked, state.paused_at_ms is not None) == (self.ducked, self.paused)
        if state.ducked:  # and it ends
            assert state.due_at_ms is not None
            assert state.due_at_ms <= state.at_ms + LONGEST_MS
        if state.paused_at_ms is not None:
            assert state.at_ms <= state.paused_at_ms + MAX_PAUSE_MS

    def heard_and_unheard_are_what_was_said(
        self, before: State, event: Event, decisions: list[Decision]
    ) -> None:
        if isinstance(event, PlayoutStarted):
            self.said = ""
        elif isinstance(event, PlayoutWorded) and before.playout is not None:
            self.said += event.text
        for decision in decisions:
            if isinstance(decision, YieldFloor) and before.playout is not None:
                assert decision.heard + decision.unheard == self.said
        if self.state.playout is not None:
            assert self.state.playout.heard + self.state.playout.unheard == self.said

    def receipts_are_true(self, event: Event, decisions: list[Decision]) -> None:
        if isinstance(event, MessageLocked):
            self.owed[event.message_id] += 1
        for decision in decisions:
            match decision:
                case SpeakAgain(message_id=name):
                    self.owed[name] += 1
                case FileReceipt(message_id=name):
                    self.owed[name] -= 1
                    text = f"Code {name} is one two."
                    assert decision.heard + decision.unheard == text
                    assert (decision.state is Delivery.DELIVERED) == (decision.unheard == "")
                    whole = isinstance(event, PlayoutStarted) or (
                        isinstance(event, PlayoutStopped) and event.completed
                    )
                    assert whole or decision.state is not Delivery.DELIVERED
        assert min(self.owed.values()) >= 0

    def teardown(self) -> None:
        """Whatever has happened, a call that is over owes nobody anything."""
        for event in ended([TimePassed(at_ms=self.at_ms)]):
            self.happens(event, 60_000)
        kept = [one.text for one in self.state.moment or ()]
        assert self.waiting == Counter(" ".join(kept).split())
        assert self.placed + self.waiting == self.finals
        assert (self.state.finals, self.state.kept, self.state.ducked) == ((), (), False)
        assert self.owed == {"a": 0, "b": 0}
        assert not self.state.locks.active


def test_a_floor_never_breaks_a_promise_whatever_happens() -> None:
    explore(Calls, lambda: seen >= EVENTS, steps=30)
