"""Every language file carries its own tests; and whatever is said, there is a judgement."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bargein import (
    Judge,
    Judgement,
    Judges,
    Kind,
    LanguageError,
    Reason,
    Ruling,
    available_languages,
    judge,
    load_language,
    standard_rules,
)
from bargein.language.grammar import Grammar

MID_SPEECH = "and so we will "


def examples_in(tag: str) -> dict[str, Any]:
    """A file that cannot be loaded fails its own test below, not everybody's collection."""
    try:
        examples: dict[str, Any] = load_language(tag).tables["examples"]
    except LanguageError:
        return {}
    return examples


def examples(table: str) -> list[Any]:
    """(language, agent said, agent unsaid, the caller says), for every example of a kind."""
    found = []
    for tag in available_languages():
        for example in examples_in(tag).get(table, ()):
            entry = {"says": example} if isinstance(example, str) else example
            agent, unsaid, says = (entry.get(key, "") for key in ("agent", "unsaid", "says"))
            agent = agent or examples_in(tag).get("agent", MID_SPEECH)
            found.append(
                pytest.param(tag, agent, unsaid, says, id=f"{tag}: {agent[-20:]} | {says}")
            )
    return found


def kinds() -> list[Any]:
    return [
        pytest.param(tag, Kind(kind), says, id=f"{tag}: {says}")
        for tag in available_languages()
        for kind, phrases in examples_in(tag).get("kinds", {}).items()
        for says in phrases
    ]


def read(tag: str, agent: str, unsaid: str, words: str | list[str], *, final: bool) -> Judgement:
    return judge(words, agent_said=agent, agent_unsaid=unsaid, is_final=final, language=tag)


@pytest.mark.parametrize(("tag", "agent", "unsaid", "says"), examples("hold"))
def test_what_holds_never_takes_the_floor_while_it_grows(
    tag: str, agent: str, unsaid: str, says: str
) -> None:
    words = says.split()
    growing = [read(tag, agent, unsaid, words[:n], final=False) for n in range(1, len(words))]
    assert Ruling.SHIFT not in {judgement.ruling for judgement in growing}
    assert read(tag, agent, unsaid, says, final=True).ruling is Ruling.HOLD


@pytest.mark.parametrize(("tag", "agent", "unsaid", "says"), examples("shift"))
def test_what_shifts_takes_the_floor_by_its_end(
    tag: str, agent: str, unsaid: str, says: str
) -> None:
    assert read(tag, agent, unsaid, says, final=True).ruling is Ruling.SHIFT


@pytest.mark.parametrize(("tag", "agent", "unsaid", "says"), examples("answer"))
def test_an_answer_is_an_answer(tag: str, agent: str, unsaid: str, says: str) -> None:
    judgement = read(tag, agent, unsaid, says, final=True)
    assert (judgement.ruling, judgement.kind) == (Ruling.SHIFT, Kind.ANSWER)


@pytest.mark.parametrize(("tag", "kind", "says"), kinds())
def test_the_kind_is_told(tag: str, kind: Kind, says: str) -> None:
    agent = examples_in(tag).get("agent", MID_SPEECH)
    assert judge(says, agent_said=agent, is_final=True, language=tag).kind is kind


@pytest.mark.parametrize("tag", available_languages())
def test_a_language_is_complete(tag: str) -> None:
    tables = load_language(tag).tables
    hold, shift, examples = tables["hold"], tables["shift"], tables["examples"]
    assert sum(len(hold[name]) for name in hold.keys() - {"go_on"}) >= 25
    assert len(shift["stop"]) >= 15
    assert min(len(shift[name]) for name in ("correction", "clarification", "hold", "resume")) >= 10
    assert min(len(examples[name]) for name in ("hold", "shift", "answer")) >= 12
    assert {Kind(name) for name in examples["kinds"]} == set(Kind) - {Kind.ANSWER, Kind.NOISE}


def test_the_same_word_is_judged_by_what_the_agent_was_saying() -> None:
    assert judge("okay", agent_said="Shall I book it?").kind is Kind.ANSWER
    assert judge("okay", agent_said="The clinic is on the second floor").kind is Kind.BACKCHANNEL


def test_a_word_that_may_become_its_opposite_waits_until_it_is_final() -> None:
    assert judge("no", agent_said=MID_SPEECH).ruling is Ruling.WAIT
    assert judge("no", agent_said=MID_SPEECH, is_final=True).ruling is Ruling.SHIFT
    assert judge("no no go ahead", agent_said=MID_SPEECH).ruling is Ruling.HOLD


@pytest.mark.parametrize("word", ["stop", "Tuesday"])
def test_one_clear_word_need_not_wait(word: str) -> None:
    assert judge(word, agent_said=MID_SPEECH).ruling is Ruling.SHIFT


def test_words_come_as_a_string_or_as_a_list() -> None:
    assert judge("yeah but no") == judge(["yeah", "but", "no"])


def test_lists_of_one_call_come_on_top() -> None:
    plain = Judge("en")
    own = Judge("en", ignore=["stop"], always_interrupt=["uh-huh"])
    assert plain("stop").ruling is Ruling.SHIFT
    assert own("stop", is_final=True).reason is Reason.IGNORED
    assert own("uh-huh").reason is Reason.ALWAYS_INTERRUPTS


def test_lists_of_one_call_leave_the_words_of_an_unspaced_language_alone() -> None:
    own = Judge("zh", ignore=["好的没问题"], always_interrupt=["人工客服"])
    assert own("好的没问题", is_final=True).reason is Reason.IGNORED
    assert own("我要人工客服", is_final=True).reason is Reason.ALWAYS_INTERRUPTS
    assert own("没问题", is_final=True) == Judge("zh")("没问题", is_final=True)


def test_a_single_string_is_one_phrase_everywhere() -> None:
    assert Judges(["en", "de"], ignore="thank you").ignore == ("thank you",)
    grammar = load_language("en").grammar("thank you")
    assert grammar.units(["thank", "you"], is_final=True) == [("ignored", 0, 2, False)]
    emergency: Any = standard_rules("en", ignore="thank you", always_interrupt="banana")[0]
    assert emergency.judge.ignore == ("thank you",)
    assert emergency.judge.always_interrupt == ("banana",)


@pytest.mark.parametrize("name", ["ignore", "always_interrupt"])
@pytest.mark.parametrize(
    ("value", "kind"), [(None, "NoneType"), (["a", 3], "int"), ([["a"]], "list")]
)
def test_lists_that_hold_no_phrases_are_refused(name: str, value: Any, kind: str) -> None:
    lists: dict[str, Any] = {name: value}
    for takes in (standard_rules, lambda **own: Judges(["en"], **own), load_language("en").grammar):
        with pytest.raises(TypeError, match=f"{name} must .*not {kind}"):
            takes(**lists)


def test_a_call_has_one_judge_a_language_whatever_the_tags() -> None:
    several = Judges(["en", "de"])
    for region in range(100):
        several("yes", language=f"en-{region}")
        several("yes", language=f"x{region}")
    assert several._judge("en-US") is several._judge("en-GB") is several._judge("")
    assert len(several._judges) == 2


def test_a_region_is_the_language() -> None:
    assert load_language("en-US") == load_language("en")


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(LanguageError, match=r"'xx'.*en"):
        load_language("xx")


def test_a_file_of_ones_own_is_merged_with_ours(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[hold]\ncontinuer = ["grand so"]\n', "utf-8")
    mine = Judge(load_language("en", extra=path))
    assert mine("grand so", is_final=True).reason is Reason.CONTINUER
    assert mine("uh-huh", is_final=True).reason is Reason.CONTINUER
    assert Judge(load_language("en", extra={"hold": {"continuer": ["grand so"]}}))("grand so").kind


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[hold\n", "not TOML.*line 1"),
        ("\n[hodl]\ncontinuer = []\n", "line 2.*'hodl'.*have.*hold"),
        ("hold = 3\n", "line 1.*hold must be a table"),
        ("[hold]\nassent = []\ncontinuer = 3\n", "line 3.*hold.continuer.*not 3"),
        ('[shift]\nstop = []\n[hold]\nstop = ["x"]\n', "line 4.*hold.stop means nothing"),
        ('[hold]\ncontinuer = ["ah", 7]\n', "line 2.*hold.continuer.*7 is none"),
        (
            '[shift]\nstop = ["x"]\n[hold]\ncontinuer = [\n"ah",\n"x <nolist>",\n]\n',
            "line 6.*continuer.*nolist",
        ),
        ('[writing]\nfold = { "ab" = "c" }\n', "line 2.*single characters"),
        ("[words.digits]\none = 1\n", "line 1.*words.digits must be pairs"),
        ("[timing]\nsettle_ms = -1\n", "line 2.*settle_ms must be a whole number"),
        ('hold.filler = ["uh"]\nhold.nix = ["x"]\n', "line 2.*hold.nix means nothing"),
        ('[words]\nfoo = [\n"a",\n"b|c",\n]\n', r"line 2.*words.foo.*'b\|c'"),
        ("[examples]\nx = " + "[" * 5000 + "]" * 5000, "nests its values too deeply"),
        ('[writing]\nbeginnings = [""]\n', "line 2.*writing.beginnings.*empty"),
        ('[writing]\nendings = [""]\n', "line 2.*writing.endings.*empty"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(LanguageError, match=rf"mine\.toml.*{says}"):
        Judge(load_language("en", extra=path))("yes")


@pytest.mark.parametrize("sign", ["<a>", "a|b", "a*", "a+", "a?", "a!", "a~ b"])
def test_a_word_list_takes_no_signs_of_phrases(sign: str) -> None:
    with pytest.raises(LanguageError, match=r"words\.foo must hold plain words"):
        load_language("en", extra={"words": {"foo": [sign]}})


@pytest.mark.parametrize("phrase", ["...", "-", "~", "yes|", "yes | no", "a~b", "foo!bar"])
def test_a_phrase_that_cannot_match_is_refused(phrase: str) -> None:
    with pytest.raises(LanguageError, match=r"hold\.filler: .* cannot be read"):
        load_language("en", extra={"hold": {"filler": [phrase]}})


def test_a_word_list_entry_without_a_word_is_refused() -> None:
    with pytest.raises(LanguageError, match=r"words\.foo: '\.\.\.' has no word"):
        load_language("en", extra={"words": {"foo": ["..."]}})


def test_a_stem_may_stand_within_a_phrase() -> None:
    own = Judge(load_language("en", extra={"hold": {"filler": ["foo~ bar"]}}))
    assert own("foobly bar", is_final=True).reason is Reason.FILLER


@pytest.mark.parametrize("extra", [{1: {}}, {"hold": {1: []}}, {"words": {1: ["a"]}}])
def test_names_in_tables_are_strings(extra: Any) -> None:
    with pytest.raises(LanguageError, match="string, not 1"):
        load_language("en", extra=extra)


def test_a_path_that_is_none_is_a_file_that_cannot_be_read() -> None:
    with pytest.raises(LanguageError, match="cannot be read"):
        load_language("en", extra=Path("a\0b"))


def test_no_echo_words_are_no_echoes() -> None:
    deaf = Judge(load_language("en", extra={"agent": {"echo_words": 0}}))
    said = "you park in the downtown garage"
    assert judge("downtown garage", agent_said=said, is_final=True).reason is Reason.ECHO
    assert deaf("downtown garage", agent_said=said, is_final=True).reason is Reason.BARGE_IN


def test_many_beginnings_of_words_are_one_word_each() -> None:
    long = "c'" * 2000 + "x"
    assert Judge("fr", ignore=[long]).ignore == (long,)
    assert load_language("fr").grammar().tokens("qu'c'est") == ["qu'", "c'", "est"]


def test_a_word_said_over_and_over_is_followed_only_so_far(monkeypatch: Any) -> None:
    grammar = load_language("zh").grammar()
    found: list[Any] = []
    phrases = Grammar._phrases

    def counted(*args: Any) -> list[Any]:
        found.extend(units := phrases(*args))
        return units

    monkeypatch.setattr(Grammar, "_phrases", counted)
    tokens = grammar.tokens("好" * 560 + "xqz")
    units = grammar.units(grammar.symbols(tokens), is_final=True)
    assert sum(end - start for _, start, end, _ in units) == len(tokens)
    assert 0 < len(found) <= 40 * len(tokens)


def test_an_unknown_language_names_the_nearest_and_all() -> None:
    with pytest.raises(LanguageError, match=r"'enn'; did you mean 'en'\?.*\ben\b"):
        judge("yes", language="enn")


def test_the_recognisers_tag_chooses_among_the_languages_of_a_call() -> None:
    several = Judges(["en", "es"])
    assert several("pero", language="es-MX").kind is Kind.CORRECTION
    assert several("but", language="en-GB").kind is Kind.CORRECTION
    assert several("but", language="xx").kind is Kind.CORRECTION
    assert Judges("auto")("ja, genau", language="de-AT").kind is Kind.BACKCHANNEL


@pytest.mark.parametrize("languages", ["klingon", ["en", "klingon"]])
def test_a_call_in_an_unknown_language_fails_before_it_begins(languages: Any) -> None:
    with pytest.raises(LanguageError, match="klingon"):
        Judges(languages)
    with pytest.raises(LanguageError, match="klingon"):
        standard_rules(languages)


def test_people_who_mix_languages_are_heard_in_all_of_them() -> None:
    for words in ("haan okay", "right, ठीक है", "accha I see"):
        assert judge(words, is_final=True, language="hi+en").ruling is Ruling.HOLD
    for words in ("haan but Thursday", "रुको wait", "lekin I wanted Monday"):
        assert judge(words, is_final=True, language="hi-IN+en-IN").ruling is Ruling.SHIFT


def test_who_asks_for_a_moment_and_says_more_wants_more_than_a_moment() -> None:
    assert judge("hang on let me get my glasses", is_final=True).kind is Kind.HOLD
    long = "hang on the last time I was there nobody had told me about any of this"
    assert judge(long, is_final=True).kind is not Kind.HOLD


@pytest.mark.parametrize("words", ["wait yes", "hang on four two one", "hang on, no"])
def test_who_asks_for_a_moment_and_answers_has_answered(words: str) -> None:
    assert judge(words, agent_said="Is it four two one?", is_final=True).kind is Kind.ANSWER
    assert judge("okay hang on", agent_said="Is it blue?", is_final=True).kind is Kind.HOLD


@pytest.mark.parametrize("words", [3, None, b"yes", [1, 2], {"yes": 1}])
def test_words_that_are_no_words_are_refused(words: Any) -> None:
    with pytest.raises(TypeError, match="must be a string"):
        judge(words)


ODD = [
    "",
    " ",
    "\x00",
    "\x00yes",
    "نعم",
    "🙂",
    "🙂 yes 🙂",
    "\u200f",
    "a" * 10_000,
    "yes " * 10_000,
]


@pytest.mark.parametrize("words", ODD, ids=range(len(ODD)))
def test_odd_words_have_a_judgement(words: str) -> None:
    assert isinstance(judge(words), Judgement)
    assert judge(words, is_final=True).ruling is not Ruling.WAIT


def test_a_megabyte_is_looked_at_only_at_its_ends() -> None:
    middle = "stop " * 200_000
    assert judge(f"uh-huh {middle} uh-huh", is_final=True) == judge(
        f"uh-huh {middle * 2} uh-huh", is_final=True
    )


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40), st.booleans())
def test_there_is_always_a_judgement(words: str, said: str, unsaid: str, final: bool) -> None:
    judgement = judge(words, agent_said=said, agent_unsaid=unsaid, is_final=final)
    assert isinstance(judgement, Judgement)
    if final:
        assert judgement.ruling is not Ruling.WAIT
