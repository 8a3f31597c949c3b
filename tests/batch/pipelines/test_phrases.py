"""A text is said in whole sentences, none of it lost and none of it twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.pipelines.phrases import TURN_S, phrases


def test_sentences_are_said_whole() -> None:
    text = "Well, yes, of course, we can do that. It is easy! Is it? Yes."
    assert [phrase.text for phrase in phrases(text)] == [
        "Well, yes, of course, we can do that.",
        "It is easy!",
        "Is it?",
        "Yes.",
    ]


def test_pauses_are_longer_after_more() -> None:
    said = phrases("One sentence. Another one.\n\nA new paragraph.")
    sentence, paragraph, end = (phrase.pause_s for phrase in said)
    assert sentence < end == TURN_S < paragraph


def test_a_long_sentence_is_cut_at_commas() -> None:
    text = ", ".join(["this goes on and on for quite a while"] * 20) + "."
    said = phrases(text)
    assert len(said) > 3
    assert all(phrase.text.endswith(",") for phrase in said[:-1])
    assert max(len(phrase.text) for phrase in said) <= 250


def test_a_chinese_sentence_is_shorter() -> None:
    said = phrases("今天天气很好,我们去公园吧," * 30)
    assert max(len(phrase.text) for phrase in said) <= 84


@pytest.mark.parametrize("text", ["", "   ", "...", "!!! ???", "\n\n—\n"])
def test_signs_alone_are_nothing_to_say(text: str) -> None:
    assert phrases(text) == []


def test_signs_between_sentences_are_not_a_phrase() -> None:
    said = phrases("First. *** Second.")
    assert [phrase.text.strip("* ") for phrase in said] == ["First.", "Second."]


@given(st.text(st.sampled_from("abc ,.!?\n今—ộ"), max_size=600))
def test_all_characters_are_counted_once_something_is_said(text: str) -> None:
    said = phrases(text)
    assert sum(phrase.characters for phrase in said) <= len(text)
    assert "".join(letter for letter in text if letter.isalnum()) == "".join(
        letter for phrase in said for letter in phrase.text if letter.isalnum()
    )
    if said and text[:1].isalnum():
        assert sum(phrase.characters for phrase in said) == len(text)


def test_fifty_thousand_characters_are_planned_in_no_time() -> None:
    text = "The quick brown fox jumps over the lazy dog, and then, after a while, it sleeps. " * 620
    said = phrases(text[:50_000])
    assert sum(phrase.characters for phrase in said) == 50_000
    assert len(said) < 700
