"""What a call leaves in its journal, and what a journal costs a call."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from bargein import (
    CallEnded,
    ControlRaised,
    Decision,
    Event,
    HoldFloor,
    Kind,
    MessageLocked,
    PlayoutStarted,
    PlayoutStopped,
    PlayoutWorded,
    Reason,
    UserSpeechStarted,
    UserWordsHeard,
    YieldFloor,
)
from bargein.core import trace
from bargein.journal import CallFacts, CallJournal, Journal, JournalError
from bargein.journal.follow import Follower
from bargein.testing.core_player import play_logged
from bargein.testing.rules import rules_of
from bargein.testing.scene import load

SCENES = sorted((Path(__file__).parent / "scenes").glob("*.scene"))
SCHEMA = Path(__file__).parents[1] / "plugins" / "bargein" / "journal" / "SCHEMA.md"
CALL = CallFacts(
    call_id="c1", host="core", agent="desk@1.4", began_at=datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
)


def entries_of(path: Path) -> list[Any]:
    scene = load(path)
    events, decisions = play_logged(scene, rules_of(scene))
    return sorted((*events, *decisions), key=lambda entry: entry.at_ms)


def nobody(where: str, error: Exception) -> None:
    raise AssertionError(f"{where}: {error!r}")


async def written(entries: list[Any], journal: Journal, lines: list[str]) -> list[dict[str, Any]]:
    """Entries, through a journal whose function keeps the lines."""
    call, follow = journal.open(CALL, nobody), Follower()
    for entry in entries:
        about, news = follow(entry)
        call.write(entry, about)
        for episode in news:
            if episode.over:
                call.overlap(entry.at_ms, episode)
    for episode in follow.close():
        call.overlap(entries[-1].at_ms, episode)
    call.close(entries[-1].at_ms)
    assert await journal.flush()
    return [json.loads(line) for line in lines]


async def keep(entries: list[Any], **options: Any) -> list[dict[str, Any]]:
    lines: list[str] = []
    return await written(entries, Journal(lines.append, **options), lines)


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
async def test_every_scene_is_written_down_as_the_schema_says(path: Path) -> None:
    entries = entries_of(path)
    lines: list[str] = []
    journal = Journal(lines.append, transcripts=True, must_hear=True, keys=True)
    found = await written(entries, journal, lines)

    # All of it reads back, as if there were no journal around it.
    assert list(trace.read_all(lines)) == entries
    # Every key of the journal's own is in its description.
    described = SCHEMA.read_text("utf-8")
    for line in found:
        assert (line["v"], type(line["at_ms"])) == (1, int)
        own = line if line["type"] == "Journal" else line["about"]
        for key in {**own, **own.get("evidence", {})}:
            assert f"`{key}`" in described, key
    numbers = [line["about"]["n"] for line in found if line["type"] != "Journal"]
    assert numbers == list(range(1, len(entries) + 1))
    assert (found[0]["what"], found[-1]["what"]) == ("began", "ended")
    assert (found[-1]["entries"], found[-1]["dropped"]) == (len(entries), 0)


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
async def test_without_transcripts_no_word_is_written_down(path: Path) -> None:
    entries = entries_of(path)
    said = {
        word
        for entry in entries
        for name in ("text", "heard", "unheard", "caller_words")
        for word in getattr(entry, name, "").lower().split()
        if len(word) > 4
    }
    found = await keep(entries)
    for line in found:
        texts = ("text", "heard", "unheard", "caller_words", "context_note", "result", "topic")
        if line["type"] != "Journal":
            assert {line.get(name, "") for name in texts} == {""}
        for name in ("message_id", "reason"):  # the scene's message ids are its texts
            line.pop(name, None)
        line.get("about", {}).get("evidence", {}).pop("controls", None)
    assert not {word for word in said if f" {word} " in json.dumps(found).lower()}
    sizes = [line["about"]["text_words"] for line in found if line["type"] == "PlayoutWorded"]
    assert sizes == [len(one.text.split()) for one in entries if isinstance(one, PlayoutWorded)]


async def test_one_line_tells_of_an_overlap_from_onset_to_silence() -> None:
    found = await keep(entries_of(SCENES[0].with_name("yeah_but.scene")))
    by_type = {line["type"]: line for line in found}
    assert by_type["DuckPlayout"]["about"]["onset_to_duck_ms"] == 0
    decided = by_type["YieldFloor"]["about"]
    assert (decided["onset_to_decision_ms"], decided["caller_words"]) == (750, 2)
    assert decided["heard_chars"] + decided["unheard_chars"] == 78
    assert decided["evidence"] == {
        "user_speaking": True,
        "words": 2,
        "words_final": False,
        "agent_spoke_ms": 1700,
        "agent_left_ms": decided["evidence"].get("agent_left_ms"),
    }
    assert by_type["PlayoutStopped"]["about"]["onset_to_silence_ms"] == 850
    (overlap,) = [line for line in found if line.get("what") == "overlap"]
    told = ("outcome", "kind", "reason", "onset_to_decision_ms", "onset_to_silence_ms", "progress")
    assert [overlap[name] for name in told] == [
        "yield", "correction", "a floor opening", 750, 850, 0.423,
    ]  # fmt: skip


CODE = [
    MessageLocked(at_ms=0, message_id="m", text="Your code is 4271."),
    PlayoutStarted(at_ms=0, message_id="m", must_hear=True),
    PlayoutWorded(at_ms=0, text="Your code is 4271."),
    UserWordsHeard(at_ms=5, text="was it 4271", is_final=True),
    ControlRaised(at_ms=6, name="dtmf:4"),
]


@pytest.mark.parametrize(
    ("options", "shows"),
    [
        ({}, set()),
        ({"transcripts": True}, {"was it"}),
        ({"transcripts": True, "must_hear": True}, {"was it", "4271"}),
        ({"keys": True}, {"dtmf:4"}),
    ],
)
async def test_codes_and_keys_are_written_down_where_they_are_asked_for_by_name(
    options: dict[str, bool], shows: set[str]
) -> None:
    text = json.dumps(await keep(CODE, **options))
    assert {one for one in ("was it", "4271", "dtmf:4") if one in text} == shows


async def test_a_dropped_line_does_not_give_a_code_away() -> None:
    """What says that a message is locked may be what did not fit."""
    lines: list[str] = []
    gate = threading.Event()

    def slow(line: str) -> None:
        gate.wait(10)
        lines.append(line)

    journal = Journal(slow, transcripts=True, queue=4)
    call = journal.open(CALL, nobody)
    for at_ms in range(40):
        call.write(UserSpeechStarted(at_ms=at_ms), {})
    call.write(CODE[0], {})  # type: ignore[arg-type]
    gate.set()
    assert await journal.flush()
    for entry in CODE[1:]:
        call.write(entry, {})  # type: ignore[arg-type]
        assert await journal.flush()
    call.close(50)
    assert await journal.flush()
    assert "MessageLocked" not in "".join(lines)
    assert "4271" not in "".join(lines)


async def test_what_does_not_fit_is_counted_where_it_is_missing() -> None:
    lines: list[str] = []
    gate = threading.Event()

    def slow(line: str) -> None:
        gate.wait(10)
        lines.append(line)

    journal = Journal(slow, queue=10)
    call = journal.open(CALL, nobody)
    for at_ms in range(100):
        call.write(UserSpeechStarted(at_ms=at_ms), {})
    gate.set()
    assert await journal.flush()
    call.write(CallEnded(at_ms=100), {})
    call.close(100)
    assert await journal.flush()

    found = [json.loads(line) for line in lines]
    numbers = [line["about"]["n"] for line in found if "about" in line]
    (gap,) = [line for line in found if line.get("what") == "dropped"]
    assert gap["lines"] == 101 - len(numbers) == journal.dropped == found[-1]["dropped"] > 80
    assert found.index(gap) == len(numbers)  # behind the first ones, before the last


async def test_a_failing_function_is_reported_and_the_next_line_is_tried() -> None:
    lines: list[str] = []
    reported: list[str] = []

    def fails_once(line: str) -> None:
        if not reported:
            reported.append("raised")
            raise OSError("disk full")
        lines.append(line)

    journal = Journal(fails_once)
    told: list[tuple[str, str]] = []
    call = journal.open(CALL, lambda where, error: told.append((where, type(error).__name__)))
    call.write(CallEnded(at_ms=1), {})
    call.close(1)
    assert await journal.flush()
    assert [json.loads(line)["type"] for line in lines] == ["CallEnded", "Journal"]
    assert (told, journal.dropped) == ([("journal", "OSError")], 1)


async def test_a_file_for_each_call_and_nobody_else_reads_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls" / "{date}" / "{call}.jsonl")
    for name in ("a", "../b/ c"):
        facts = CallFacts(call_id=name, host="core", began_at=CALL.began_at)
        journal.open(facts, nobody).close(5)
    assert await journal.flush()
    files = sorted((tmp_path / "calls" / "2026-03-01").iterdir())
    assert [one.name for one in files] == ["_b__c.jsonl", "a.jsonl"]
    assert [oct(one.stat().st_mode)[-3:] for one in files] == ["600", "600"]


async def test_a_file_is_set_aside_before_it_grows_too_large(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text("x" * 900 + "\n")  # of an earlier run
    journals = [Journal(path, max_bytes=1000, backups=2) for _ in range(2)]
    calls: list[CallJournal] = []
    for number, journal in enumerate(journals):  # two calls at once, one file
        facts = CallFacts(call_id=str(number), host="core", began_at=CALL.began_at)
        calls.append(journal.open(facts, nobody))
    for at_ms in range(30):
        for call in calls:
            call.write(UserSpeechStarted(at_ms=at_ms), {})
    for call, journal in zip(calls, journals, strict=True):
        call.close(30)
        assert await journal.flush()
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["calls.jsonl", "calls.jsonl.1", "calls.jsonl.2"]
    for one in tmp_path.iterdir():
        assert one.stat().st_size <= 1000
        list(trace.read_all(one.read_text().splitlines()))  # no line is torn


async def test_a_folder_that_cannot_be_written_is_reported_not_raised(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    journal = Journal(tmp_path / "file" / "{call}.jsonl")
    call = journal.open(CALL, lambda where, _: told.append(where))
    call.close(1)
    assert await journal.flush()
    assert set(told) == {"journal"}
    assert journal.dropped == 2


def test_a_journal_of_a_process_that_just_ends_is_whole(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from datetime import UTC, datetime\n"
        "from bargein.journal import CallFacts, Journal\n"
        "facts = CallFacts(call_id='c', host='core', began_at=datetime.now(UTC))\n"
        "call = Journal(sys.argv[2]).open(facts, print)\n"
        "for at in range(1000): call.note(at, 'trouble', where='x')\n"
        "call.close(1000)\n"
    )
    path = tmp_path / "calls.jsonl"
    plugins = Path(__file__).parents[1] / "plugins"
    subprocess.run([sys.executable, "-c", script, str(plugins), str(path)], check=True, timeout=60)
    assert len(path.read_text().splitlines()) == 1002


def test_writing_never_waits() -> None:
    """The call hands over a line; what becomes of it takes as long as it likes."""
    journal = Journal(lambda _: time.sleep(3600))
    call = journal.open(CALL, nobody)
    ended = threading.Event()

    def write() -> None:
        for at_ms in range(20_000):
            call.write(UserSpeechStarted(at_ms=at_ms), {})
        ended.set()

    threading.Thread(target=write, daemon=True).start()
    assert ended.wait(60)
    assert journal.dropped > 15_000


async def _async(line: str) -> None:
    del line


@pytest.mark.parametrize(
    ("where", "options", "says"),
    [
        ("calls/{cal}.jsonl", {}, "may have {call} and {date}"),
        ("", {}, "may have {call} and {date}"),
        (_async, {}, "cannot be async"),
        (3, {}, "a path or a function, not 3"),
        ("x", {"must_hear": True}, "needs transcripts=True"),
        ("x", {"queue": 0}, "queue must be >= 1, not 0"),
        ("x", {"backups": -1}, "backups must be >= 0, not -1"),
    ],
)
def test_a_journal_that_cannot_work_is_refused(where: Any, options: Any, says: str) -> None:
    with pytest.raises(JournalError, match=says.replace("{", r"\{").replace("(", r"\(")):
        Journal(where, **options)


def test_a_newer_journal_s_notes_do_not_keep_a_trace_from_being_read() -> None:
    lines = [
        '{"v": 1, "type": "Journal", "at_ms": 0, "what": "sneezed", "loudly": true}',
        '{"v": 1, "type": "UserSpeechStarted", "at_ms": 1, "about": {"n": 1, "new": [2]}}',
    ]
    assert list(trace.read_all(lines)) == [UserSpeechStarted(at_ms=1)]


def test_a_hold_keeps_the_number_of_its_overlap_until_the_next_onset() -> None:
    follow = Follower()
    entries = [
        PlayoutStarted(at_ms=0, message_id="m"),
        UserSpeechStarted(at_ms=100),
        HoldFloor(at_ms=400, reason=Reason.CONTINUER, kind=Kind.BACKCHANNEL),
        YieldFloor(at_ms=900, reason=Reason.FLOOR_OPENING, kind=Kind.CORRECTION, heard="a b"),
        PlayoutStopped(at_ms=950, completed=False),
    ]
    abouts = [follow(entry)[0] for entry in entries]
    assert [about.get("overlap") for about in abouts] == [None, 1, 1, 1, 1]
    (episode,) = follow.close()
    assert (episode.onset_to_decision_ms, episode.onset_to_silence_ms) == (800, 850)


NO_WORDS = {"message_id", "call_id", "name", "source", "language"}
"""What the application names, or a recogniser; a key that was pressed is hidden in ``name``."""


def test_every_field_that_may_hold_words_is_known_to_hold_them() -> None:
    """A new event must not bring a transcript into journals that want none."""
    from bargein.journal.words import _TEXTS

    for kind in (*get_args(Event), *get_args(Decision)):
        for name, hint in get_type_hints(kind).items():
            if hint is str or "tuple" in str(hint):
                assert name in _TEXTS | NO_WORDS | {"broken_by"}, f"{kind.__name__}.{name}"
