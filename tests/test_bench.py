"""Does the benchmark measure what it says? Structure and invariants; no figure is judged here."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
import pytest

import figures
from bargein.cli import bench
from bargein.cli.bench import capacity, lasting, thinking
from bargein.cli.bench.apart import apart
from bargein.cli.bench.capacity import Trial, carried, search
from bargein.cli.bench.figures import missed_anew, read, summary
from bargein.cli.bench.overlaps import spoken
from bargein.cli.bench.plan import Asked, installed, measures
from bargein.cli.bench.report import as_json, table
from bargein.cli.bench.row import Row, beside, middle, percentile, quartiles
from bargein.cli.bench.samples import Watched, astray
from bargein.cli.bench.script import LATENCY_S
from bargein.core.events import TimePassed, UserWordsHeard
from bargein.testing.tones import WORD_S, noise

KEYS = {"name", "unit", "ours", "stock", "ratio", "budget", "met", "spread"}


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return parser.parse_args(words)


# --- a row ---


def test_a_row_without_a_budget_is_neither_met_nor_missed() -> None:
    assert Row(name="a", unit="ms", ours=1, stock=2).met is None


def test_a_row_is_met_only_within_every_budget_it_has() -> None:
    row = Row(name="a", unit="ms", ours=10, stock=8, budget=10, ratio_budget=1.25)
    assert row.met is True
    assert Row(name="a", unit="ms", ours=10, stock=7, budget=10, ratio_budget=1.25).met is False
    assert Row(name="a", unit="ms", ours=11, stock=11, budget=10, ratio_budget=1.25).met is False


def test_a_ratio_that_has_to_be_below_is_missed_when_equal() -> None:
    assert Row(name="a", unit="ms", ours=8, stock=8, ratio_budget=1).met is True
    assert Row(name="a", unit="ms", ours=8, stock=8, ratio_budget=1, strict=True).met is False


def test_a_ratio_budget_without_a_stock_figure_is_missed() -> None:
    assert Row(name="a", unit="ms", ours=0, stock=0, ratio_budget=1).met is False


def test_a_row_is_plain_values() -> None:
    plain = Row(name="a", unit="ms", ours=1.23456, stock=2, spread=(1.0001, 2)).as_json()
    assert plain.keys() >= KEYS
    assert plain["ours"] == 1.235
    assert plain["spread"] == [1.0, 2]
    assert json.loads(json.dumps(plain)) == plain


def test_medians_quartiles_and_percentiles() -> None:
    samples = [float(one) for one in range(100, 0, -1)]
    assert middle(samples) == 50.5
    assert quartiles(samples) == (25.75, 75.25)
    assert quartiles([1.0]) is None
    assert percentile(samples, 99) == 99
    assert percentile([7.0], 99) == 7


def test_calls_are_missed_where_they_are_fewer() -> None:
    calls = {"name": "a", "unit": "calls", "ratio_budget": 1.0, "more_is_better": True}
    assert Row(ours=5, stock=6, **calls).met is False
    assert Row(ours=6, stock=6, **calls).met is True
    assert Row(ours=7, stock=6, **calls).met is True


def test_a_row_of_pairs_tells_the_spread_of_both_and_of_their_ratios() -> None:
    row = beside("a", [10, 20, 30], [10, 10, 10], unit="ms")
    assert (row.ours, row.stock, row.ratio, row.n) == (20, 10, 2, 3)
    assert (row.spread, row.stock_spread, row.ratio_spread) == ((15, 25), (10, 10), (1.5, 2.5))
    assert beside("a", [10, 20], [10], unit="ms").ratio_spread is None


def test_a_row_comes_back_from_its_json() -> None:
    row = beside("a", [1, 3], [4, 4], unit="ms", stock_is="b", budget=3, host="core", strict=True)
    assert Row.from_json(json.loads(json.dumps(row.as_json()))) == row


# --- what it prints ---


def test_the_table_has_a_line_a_row_and_shouts_what_was_missed() -> None:
    rows = [
        Row(name="first", unit="ms", ours=1, budget=2),
        Row(name="second", unit="ms", ours=3, budget=2),
    ]
    head, first, second, _, about = table(rows).splitlines()
    assert head.split()[:2] == ["host", "ours"]
    assert first.startswith("first")
    assert first.endswith("yes")
    assert second.startswith("second")
    assert second.endswith("NO")
    assert about.startswith("python ")


def test_the_published_figures_are_those_that_were_measured() -> None:
    measured = read(figures.MEASURED)
    readme = figures.README.read_text(encoding="utf-8")
    assert readme == figures.in_readme(readme, measured)
    assert figures.WHOLE.read_text(encoding="utf-8") == figures.whole(measured)


def test_the_json_of_a_run_is_printed_as_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = beside("a", [10, 20, 30], [10, 10, 10], unit="ms", stock_is="b", how="so", ratio_budget=1)
    row = replace(row, host="core", promise="What it costs", clock="processor")
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(as_json([row])))
    assert bench.run(parsed("--table", str(path))) == 0
    printed = capsys.readouterr().out
    assert "## What it costs\n" in printed
    cells = "a | core | 20 ms | 15 .. 25 | 3 | 10 ms (b) | 10 .. 10 | 2.00 | 1.50 .. 2.50"
    assert f"| {cells} | ≤ 1 x **missed** |\n" in printed
    assert "- core, a: so. By processor time.\n" in printed


def test_a_missed_budget_is_published_as_missed() -> None:
    measured = read(figures.MEASURED)
    missed = [row for row in measured.rows if row.met is False]
    whole = figures.whole(measured)
    assert whole.count("**missed**") == len(missed)
    assert {row.name for row in missed if row.name not in summary(measured)} == set()
    kept = Row(name="one step, median", unit="us", ours=49, budget=50, host="core")
    kept = replace(kept, promise="What it costs")
    assert "missed" not in summary(replace(measured, rows=[kept]))
    assert "≤ 50 us **missed**" in summary(replace(measured, rows=[replace(kept, ours=51)]))


def test_what_was_missed_before_or_is_kept_now_is_no_news() -> None:
    kept = Row(name="a", unit="ms", ours=1, budget=2, host="core")
    missed = replace(kept, ours=3)
    assert missed_anew([missed], [kept]) == [missed]
    assert missed_anew([missed], []) == [missed]
    assert missed_anew([missed], [missed]) == []
    assert missed_anew([kept], [missed]) == []
    assert missed_anew([missed], [replace(missed, host="pipecat")]) == [missed]


def test_json_holds_the_rows_and_the_machine() -> None:
    made = as_json([Row(name="a", unit="ms", ours=1)])
    assert list(made) == ["rows", "machine"]
    assert [row["name"] for row in made["rows"]] == ["a"]  # type: ignore[index, attr-defined]


@pytest.fixture
def quick_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinking, "QUICK_MESSAGES", 9)
    monkeypatch.setattr(lasting, "LONG_S", 60)
    monkeypatch.setattr(lasting, "FULL_S", 60)


@pytest.mark.usefixtures("quick_core")
def test_the_core_alone_is_measured_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(parsed("--json", "--host", "core", "--quick")) == 0
    made = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in made["rows"]] == [
        "one step, median",
        "one step, p99",
        "one judge call, median",
        "one judge call, p99",
        "a second of a call of 1 min",
        "memory kept for a minute of a call of 1 min",
    ]
    assert all(row.keys() >= KEYS and row["host"] == "core" for row in made["rows"])


@pytest.mark.usefixtures("quick_core")
def test_a_check_fails_only_where_a_budget_is_missed_that_was_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinking, "STEP_US", 0)  # nobody keeps that
    monkeypatch.setattr(thinking, "STEP_P99_US", 1e9)
    monkeypatch.setattr(thinking, "JUDGE_US", 1e9)
    monkeypatch.setattr(thinking, "JUDGE_P99_US", 1e9)
    monkeypatch.setattr(lasting, "FLAT", 1e9)
    monkeypatch.setattr(lasting, "CORE_KIB", 1e9)
    figures = tmp_path / "figures.json"
    kept = [Row(name="one step, median", unit="us", ours=1, budget=50, host="core")]
    figures.write_text(json.dumps(as_json(kept)))
    wanted = parsed("--json", "--host", "core", "--quick", "--check", str(figures))
    assert bench.run(wanted) == 1
    printed = capsys.readouterr()
    assert "missed, and was not before: core: one step, median\n" in printed.err
    figures.write_text(printed.out)
    assert bench.run(wanted) == 0


def test_every_host_that_is_here_is_measured_and_nothing_twice() -> None:
    assert parsed().host is None
    hosts = installed()
    assert hosts[0] == "core"
    asked = Asked(quick=True, calls=True)
    abouts = [(host, one.about) for host in hosts for one in measures(host, asked)]
    assert len(abouts) == len(set(abouts))
    for host in hosts[1:]:
        mine = {about for of, about in abouts if of == host}
        wanted = {"holds", "a listener's noises", "what was heard", "processor time", "memory"}
        assert mine >= wanted | {"long calls", "calls a core carries"}
        if find_spec("espeakng_loader") is not None:
            assert mine >= {"onsets", "interruptions"}


def test_the_clock_of_a_figure_is_told() -> None:
    pytest.importorskip("pipecat")
    clocks = {one.about: one.clock for one in measures("pipecat", Asked(calls=True))}
    assert clocks["a listener's noises"] == "virtual"
    assert clocks["processor time"] == "processor"
    assert clocks["calls a core carries"] == "real"
    real = {one.about: one.clock for one in measures("pipecat", Asked(real_time=True))}
    assert real["a listener's noises"] == "real"


def test_an_unknown_host_is_a_usage_error() -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed("--host", "twilio")


# --- what it measures ---


def test_the_log_of_a_call_is_in_order_and_no_text_comes_twice() -> None:
    messages = list(thinking.talk(Random(1), 30))
    assert len({message.text for message in messages}) > 20
    for message in messages:
        times = [event.at_ms for event in message.events(from_ms=500)]
        assert times == sorted(times)
        assert times[0] == 500
        assert any(isinstance(event, UserWordsHeard) for event in message.events(from_ms=0))


def test_every_event_of_the_log_is_stepped_and_timed() -> None:
    events = sum(
        not isinstance(event, TimePassed)
        for message in thinking.talk(Random(1), 9)
        for event in message.caller
    )
    assert len(thinking.step_times(9)) > events


@pytest.mark.parametrize("most", [0, 1, 3, 4, 5, 7, 8, 20, 63, 64])
def test_the_search_finds_how_many_calls_are_carried(most: int) -> None:
    asked: list[int] = []

    def answered() -> Generator[int, bool, None]:
        assert (yield from search()) == most

    looking = answered()
    count = next(looking, None)
    while count is not None:
        asked.append(count)
        try:
            count = looking.send(count <= most)
        except StopIteration:
            break
    assert len(asked) == len(set(asked)) <= 12


def test_a_late_loop_and_a_voice_with_gaps_are_lost_time() -> None:
    assert carried(Trial(late_ms=5, silent=0, core=0.5, others=0))
    assert not carried(Trial(late_ms=50, silent=0, core=0.5, others=0))
    assert not carried(Trial(late_ms=5, silent=0.1, core=0.5, others=0))


def test_on_a_busy_machine_there_is_no_figure_of_calls_instead_of_a_wrong_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    late = Trial(late_ms=50, silent=0, core=0.5, others=0.4)
    monkeypatch.setattr(capacity, "apart", lambda *_: late)
    assert capacity.rows("pipecat") == []
    assert "others used 40% of the core" in capsys.readouterr().err
    monkeypatch.setattr(capacity, "apart", lambda *_: Trial(**{**late, "others": 0.0}))
    assert [row.ours for row in capacity.rows("pipecat")] == [0]


def test_what_is_measured_apart_comes_back() -> None:
    assert apart(".row", "percentile", [3, 1, 2], 50) == 2
    with pytest.raises(RuntimeError, match="percentile"):
        apart(".row", "percentile", [], 50)


def test_partials_come_behind_the_end_of_their_word() -> None:
    told = spoken("no wait please")
    names = Counter(type(frame).__name__ for _, frame in told)
    assert names["InterimTranscriptionFrame"] == 3
    assert names["TranscriptionFrame"] == 1
    partials = [at_s for at_s, frame in told if type(frame).__name__.startswith("Interim")]
    assert partials == pytest.approx([count * WORD_S + LATENCY_S for count in (1, 2, 3)])


def test_the_noise_is_loud_everywhere() -> None:
    pcm, words = noise("one two three", 24_000)
    assert len(pcm) == round(3 * WORD_S * 24_000)
    assert int(np.abs(pcm).min()) >= 2_000
    assert [word for word, _ in words] == ["one", "two", "three"]


def spoken_out(voice: Watched, from_ms: int, to_ms: int) -> None:
    for now_ms in range(from_ms, to_ms, 5):
        voice.take(now_ms)


def test_a_watched_voice_accounts_for_a_call_with_everything_in_it() -> None:
    voice = Watched()
    pcm, _ = noise("a b c d e f", 24_000)
    voice.put_audio(pcm.tobytes(), rate=24_000, stream="m", like=None)
    spoken_out(voice, 0, 300)
    voice.duck()
    spoken_out(voice, 300, 500)
    voice.pause()
    spoken_out(voice, 500, 700)
    voice.resume()
    spoken_out(voice, 700, 1_000)
    voice.cut()
    spoken_out(voice, 1_000, 1_300)
    voice.put_audio(pcm.tobytes(), rate=24_000, stream="m", like=None)  # a straggler of the cut
    voice.put_audio(pcm.tobytes(), rate=24_000, stream="next", like=None)
    spoken_out(voice, 1_300, 3_500)
    assert (voice.wrong_samples, voice.unaccounted_samples, voice.queued_samples) == (0, 0, 0)
    assert voice.exact_samples > len(pcm)


def test_a_watched_voice_notices_a_changed_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Watched()
    pcm, _ = noise("a b", 24_000)
    voice.put_audio(pcm.tobytes(), rate=24_000, stream="m", like=None)
    monkeypatch.setattr(voice, "_shaped", lambda raw, _piece: b"\0\0" + raw[2:])
    voice.take(0)
    assert voice.wrong_samples > 0


def test_what_the_transport_lost_is_counted_once() -> None:
    went = noise("a b c", 24_000)[0]
    lost = np.delete(went, np.s_[5_000:5_960])
    silence = np.zeros(480, np.int16)
    assert astray(went.tobytes(), went.tobytes()) == 0
    assert astray(went.tobytes(), np.concatenate([silence, went]).tobytes()) == 0
    assert astray(went.tobytes(), lost.tobytes()) == 960
    assert astray(went.tobytes(), np.concatenate([went, went[:100]]).tobytes()) == 100


@pytest.mark.parametrize("to", [0.25, 0.0])
def test_the_voice_is_quieter_from_the_sample_on_where_it_is(to: float) -> None:
    pytest.importorskip("espeakng_loader")
    from bargein.cli.bench.onset import quieter
    from bargein.testing.pipecat_parts import PacedOutput, Written, metronome

    output = PacedOutput()
    pcm = metronome("word word word word", output.rate)[0].astype(float)
    at = round(0.5 * output.rate)
    pcm[at:] *= to
    for start in range(0, len(pcm), 960):  # written a chunk of 40 ms ahead of the ear
        chunk = pcm[start : start + 960].astype(np.int16).tobytes()
        heard_s = 10 + start / output.rate
        output.written.append(Written(at_s=heard_s - 0.04, plays_at_s=heard_s, pcm=chunk))
    found = quieter(output, 10.1)
    assert found is not None
    assert found.heard_s == pytest.approx(10.5, abs=0.006)  # a period of the tone
    assert found.written_s == pytest.approx(found.heard_s - 0.04)
    assert quieter(output, 11.5) is None


# --- LiveKit ---


def test_what_a_pause_lost_is_counted_whatever_was_faded_or_said_again() -> None:
    pytest.importorskip("livekit.agents")
    from bargein.cli.bench.livekit.holding import lost

    whole = noise("a b c d", 24_000)[0]
    silence = np.zeros(9_600, np.int16)
    at = 12_000
    exact = np.concatenate([silence, whole[:at], silence, whole[at:], silence])
    again = np.concatenate([whole[:at], silence, whole[at - 3_000 :]])
    quieter = np.concatenate([whole[:at], silence, (whole[at:] * 0.25).astype(np.int16)])
    gap = np.concatenate([whole[:at], silence, whole[at + 4_800 :]])
    assert [lost(whole, said) for said in (exact, again, quieter)] == [0, 0, 0]
    assert lost(whole, gap) == pytest.approx(4_800, abs=96)
    assert lost(whole, silence) == len(whole)


def test_words_off_are_too_many_as_well_as_too_few() -> None:
    from bargein.cli.bench.cuts import WORDS, tones, words_off

    whole = np.concatenate([tones(word, 24_000)[0] for word in WORDS])
    said = np.concatenate([tones(word, 24_000)[0] for word in WORDS[:9]])
    assert [words_off(said, 24_000, whole, count) for count in (7, 9, 10)] == [2, 0, 1]


async def test_a_livekit_call_keeps_a_listeners_noises_out_and_the_stock_one_does_not() -> None:
    pytest.importorskip("livekit.agents")
    from bargein.cli.bench.livekit.overlaps import listened

    ours = await listened("ours")
    assert (ours.words, ours.leaked, ours.llm_runs) == (0, 0, 0)
    stock = await listened("min_words_2")
    assert stock.words + stock.leaked > 0


# --- whole hosts ---


@pytest.mark.parametrize("host", ["pipecat", "livekit"])
def test_a_long_call_is_held_apart_in_virtual_time(host: str) -> None:
    if host not in installed():
        pytest.skip(f"{host} is not here")
    short_us, long_us = apart(".long_call", "spent_us", host, "ours", [10, 40])
    assert 0.2 < long_us / short_us < 5


async def test_on_livekit_a_caller_hears_us_give_way_before_the_default_does() -> None:
    pytest.importorskip("livekit.plugins.silero")
    pytest.importorskip("espeakng_loader")
    from bargein.cli.bench.livekit.onset import GIVEN_UP_S, gives_way_ms
    from bargein.testing.utterance import utterance

    says = utterance("wait, I meant Thursday", "wait, I meant Thursday")
    ours, stock = await gives_way_ms("ours", says, 0), await gives_way_ms("stock", says, 0)
    assert 0 < ours < stock < GIVEN_UP_S * 1_000


async def test_on_pipecat_who_means_it_is_answered_sooner_than_by_a_count_of_words() -> None:
    pytest.importorskip("pipecat")
    pytest.importorskip("espeakng_loader")
    from bargein.cli.bench.interruptions import cut
    from bargein.testing.utterance import utterance

    said = utterance("no wait I meant Thursday", "no wait I meant Thursday")
    ours, counted = await cut("ours", said, 1.1, 0), await cut("min_words_3", said, 1.1, 0)
    assert 0 < ours.silent_ms < counted.silent_ms
