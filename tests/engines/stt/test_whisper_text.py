"""Prompts, text and words of Whisper's tokens."""

import pytest

from engines.stt.whisper_text import WhisperText, WordTimes
from loadtest.recordings import CHECKPOINT
from protocol.requests import Decode


@pytest.fixture(scope="module")
def text() -> WhisperText:
    return WhisperText(CHECKPOINT, multilingual=True, languages=("en", "vi"))


def test_tags_become_codes(text: WhisperText) -> None:
    assert [text.known(tag) for tag in ("en", "EN-gb", "vi", "auto", "xx", "")] == ["en", "en", "vi", "", "", ""]
    assert "de" in WhisperText(CHECKPOINT, multilingual=True).languages
    assert WhisperText(CHECKPOINT, multilingual=False).languages == ("en",)


def test_the_likeliest_language_is_one_of_the_models(text: WhisperText) -> None:
    code, share = text.likeliest([("<|de|>", 0.5), ("<|vi|>", 0.3), ("<|en|>", 0.1)])
    assert code == "vi"
    assert share == pytest.approx(0.75)


def test_a_prompt_begins_with_terms_and_keeps_the_end_of_what_was_said(text: WhisperText) -> None:
    plain = text.prompt(Decode(b""), "en")
    assert plain[: len(text.start("en"))] == text.start("en")
    assert plain != text.prompt(Decode(b""), "vi")
    prompted = text.prompt(Decode(b"", prompt="turn on the light", keyterms=("doctor",)), "en")
    assert prompted[-len(plain) :] == plain
    assert text.decode(prompted[1 : -len(plain)]) == "doctor turn on the light"
    long = text.prompt(Decode(b"", prompt="red " * 500 + "blue", keyterms=("green",)), "en")
    assert len(long) <= 448 // 2 + len(plain)
    assert text.decode(long[1 : -len(plain)]).startswith("green red")
    assert text.decode(long[1 : -len(plain)]).endswith("blue")
    assert len(text.prompt(Decode(b"", keyterms=("green",) * 500, prompt="blue"), "en")) <= 448 // 2 + len(plain)


def test_text_leaves_out_half_a_character(text: WhisperText) -> None:
    tokens = text.prompt(Decode(b"", prompt="mở cửa 开"), "vi")[1 : -len(text.prompt(Decode(b""), "vi"))]
    assert text.decode(tokens) == "mở cửa 开"
    assert text.decode(tokens[:-1]) == "mở cửa"


def test_texts_are_joined_as_their_language_is_written(text: WhisperText) -> None:
    assert text.join(["one", "", "two"], "en") == "one two"
    assert text.join(["一", "二"], "zh") == "一二"


def test_punctuation_belongs_to_the_word_before(text: WhisperText) -> None:
    tokens = text.prompt(Decode(b"", prompt="turn it on, now."), "en")[1 : -len(text.prompt(Decode(b""), "en"))]
    parts = text.split(tokens, "en")
    assert [word for word, _ in parts] == ["turn", "it", "on,", "now."]
    assert sum(count for _, count in parts) == len(tokens)


def test_words_take_their_times_from_the_path() -> None:
    path = [(0, 0), (0, 9), (0, 20), (1, 30), (1, 31), (2, 40), (2, 60)]
    said = WordTimes(path, [0.5, 0.7], seconds=2.0, offset=10.0).words([("turn", 1), ("on", 1)])
    assert [(word.text, word.start, word.end, word.probability) for word in said] == [
        ("turn", 10.0, 10.6, 0.5),
        ("on", 10.6, 10.8, 0.7),
    ]


def test_the_silence_before_is_no_part_of_the_first_word() -> None:
    path = [(0, 0), (1, 100), (2, 110), (3, 120)]
    said = WordTimes(path, [0.5] * 3, seconds=3.0, offset=0.0).words([("turn", 1), ("it", 1), ("on", 1)])
    assert said[0].start == pytest.approx(1.6)


def test_words_without_time_share_the_next_ones() -> None:
    path = [(0, 0), (1, 20), (2, 20), (3, 20), (4, 50)]
    said = WordTimes(path, [1.0] * 4, seconds=3.0, offset=0.0).words([("a", 1), ("bb", 1), ("cc", 1), ("dddd", 1)])
    assert [(word.start, word.end) for word in said] == [(0.0, 0.4), (0.4, 0.55), (0.55, 0.7), (0.7, 1.0)]
    collapsed = WordTimes([(0, 0), (1, 20), (2, 20)], [1.0] * 2, seconds=1.0, offset=0.0).words([("a", 1), ("b", 1)])
    assert [(word.start, word.end) for word in collapsed] == [(0.0, 0.4), (0.4, 1.0)]
    assert WordTimes([], [], seconds=1.0, offset=0.0).words([("a", 1)]) == ()
