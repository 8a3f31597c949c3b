import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.agreement import Agreement


def settled(*texts: str, every: float = 1.0) -> list[str]:
    """The settled part after each hypothesis, ``every`` seconds of audio apart."""
    agreement = Agreement()
    heard = [agreement.hear(text, count * every) for count, text in enumerate(texts)]
    return [text[:stable] for text, stable in heard]


def test_what_two_hypotheses_begin_with_is_settled_but_for_the_last_word() -> None:
    assert settled("I want", "I want to", "I want to go", "I want to go") == ["", "I want", "I want to", "I want to"]


def test_hypotheses_that_follow_one_another_closely_are_no_evidence() -> None:
    assert settled("I want", "I want to", "I want to go", "I want to go", every=0.25) == ["", "", "", "I want"]


def test_a_word_that_changed_in_between_begins_anew() -> None:
    assert settled("I want a", "I won a", "I want a", "I want a b", every=0.4) == ["", "", "I", "I"]


def test_the_whole_text_is_shown() -> None:
    agreement = Agreement()
    assert agreement.hear("one two", 1) == ("one two", 0)
    assert agreement.hear("one two three", 2) == ("one two three", 7)


def test_half_a_word_is_not_the_same_word() -> None:
    assert settled("Hello there", "Hello thereby hangs", "Hello there my friend") == ["", "Hello", "Hello"]


def test_an_end_of_sentence_that_was_none_settles_late_not_wrong() -> None:
    assert settled("Hello there.", "Hello there my", "Hello there my friend") == ["", "Hello", "Hello there my"]


def test_settled_words_stay_when_a_later_hypothesis_changes_its_mind() -> None:
    agreement = Agreement()
    agreement.hear("the cat sat on the mat", 1)
    agreement.hear("the cat sat on the mat too", 2)
    assert agreement.hear("a cat sat on the mat today", 3) == ("the cat sat on the mat today", 22)
    assert agreement.keep("The cat, sat on the mat today.") == "the cat sat on the mat today."


def test_nothing_heard_takes_nothing_back() -> None:
    agreement = Agreement()
    agreement.hear("one two three", 1)
    agreement.hear("one two three", 2)
    assert agreement.hear("", 3) == ("one two", 7)
    assert agreement.keep("") == "one two"


def test_what_may_yet_be_split_off_is_shown_and_not_settled() -> None:
    agreement = Agreement()
    agreement.hear("one two three", 1)
    assert agreement.hear("one two three", 2, settle=False) == ("one two three", 0)
    assert agreement.hear("one two four", 3) == ("one two four", 7)


@pytest.mark.parametrize(
    ("first", "second", "stable"),
    [
        ("今天天气", "今天天气很好", "今天天气"),
        ("今天天汽", "今天天气很好", "今天天"),
        ("こんにちは、世", "こんにちは、世界の", "こんにちは、世"),
        ("か\u3099っこう", "か\u3099っこ", "か\u3099っ"),
        ("か", "か\u3099っこう", ""),
        ("ดีมาก", "ดีมากครับ", "ดีมาก"),
        ("ด", "ดีมาก", ""),
        ("用 Python 写", "用 Python 写的", "用 Python 写"),
        ("iPhone手", "iPhone手机壳", "iPhone手"),
        ("안녕 하세", "안녕 하세요 여러분", "안녕"),
        ("xin chào", "xin chào các bạn", "xin chào"),
    ],
)
def test_scripts_without_spaces_settle_character_by_character(first: str, second: str, stable: str) -> None:
    assert settled(first, second)[1] == stable


@pytest.mark.parametrize(
    ("heard", "final", "kept"),
    [
        ("I want two go", "I want to go home", "I want two go home"),  # another word
        ("I want to to go", "I want to go home", "I want to to go home"),  # one that is no more
        ("I want go", "I want to go home", "I want go home"),  # one that is new
        ("won three", "one two three four", "won three four"),
        ("今天天汽好", "今天天气好吗", "今天天汽好吗"),
        ("go on", "stop", "go on"),
        ("let us", "let us, then", "let us, then"),  # it only goes on: nothing to replace
        ("well ...", "well !!! so", "well ... so"),
    ],
)
def test_a_final_that_differs_keeps_the_settled_beginning(heard: str, final: str, kept: str) -> None:
    agreement = Agreement()
    agreement.hear(heard + " x", 1)
    assert agreement.hear(heard + " x", 2)[1] == len(heard)
    assert agreement.keep(final) == kept


def test_space_is_made_even() -> None:
    assert Agreement().keep("  one\n\ttwo\u3000three ") == "one two three"


words = st.lists(st.sampled_from(["a", "b", "B,", "cat", "cats", "今", "天", "か\u3099", "ดี", "...", "é"]), max_size=7)
texts = st.builds(str.join, st.sampled_from([" ", "", "  "]), words)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(texts | st.text(max_size=8), st.booleans()), max_size=8), texts)
@example([("a b", True), ("a b c", True)], "c")
def test_the_settled_part_only_grows(heard: list[tuple[str, bool]], final: str) -> None:
    agreement, before = Agreement(), ""
    for at, (hypothesis, settle) in enumerate(heard):
        text, stable = agreement.hear(hypothesis, at / 2, settle=settle)
        assert stable <= len(text)
        assert text[:stable].startswith(before)
        assert settle or text[:stable] == before
        before = text[:stable]
    assert agreement.keep(final).startswith(before)
    assert before or agreement.keep(final) == " ".join(final.split())
