"""Written words, and their places made from an engine's events."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.tts.words import WordPlacer, written_words


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in written_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("Hello there.", ["Hello", "there"]),
        ('He said: "Stop!" (twice)', ["He", "said", "Stop", "twice"]),
        ("It costs $42.50, e.g. today - don't", ["It", "costs", "$42.50", "e.g", "today", "don't"]),
        ("see https://a.b/c?d=1 now", ["see", "https://a.b/c?d=1", "now"]),
        ("Xin chào, đây là 2024.", ["Xin", "chào", "đây", "là", "2024"]),
        ("你好,世界。25个", ["你", "好", "世", "界", "25", "个"]),
        ("こんにちは、世界", ["こんにちは", "世", "界"]),
        ("well \U0001f44d done", ["well", "\U0001f44d", "done"]),
        ("a\u200bb ... — ", ["a\u200bb"]),
    ],
)
def test_written_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_decomposed_letter_stays_whole() -> None:
    text = unicodedata.normalize("NFD", "tiếng Việt")
    assert words(text) == text.split()


def test_each_event_places_its_word() -> None:
    placer = WordPlacer("one two three")
    assert placer.place(0, 0) == [(0, 3, 0)]
    assert placer.place(4, 100) == [(4, 3, 100)]
    assert placer.place(8, 250) == [(8, 5, 250)]
    assert placer.finish(400) == []


def test_a_number_spoken_in_five_words_is_placed_once() -> None:
    placer = WordPlacer("in 2024 of")
    assert placer.place(0, 0) == [(0, 2, 0)]
    assert [placer.place(offset, sample) for offset, sample in ((3, 10), (4, 20), (4, 30), (5, 40))] == [
        [(3, 4, 10)],
        [],
        [],
        [],
    ]
    assert placer.place(8, 50) == [(8, 2, 50)]


def test_words_read_as_one_are_placed_between_their_neighbours() -> None:
    """espeak-ng has no event for the second word of "of the"."""
    placer = WordPlacer("of the world")
    placer.place(0, 1000)
    assert placer.place(7, 1700) == [(3, 3, 1300), (7, 5, 1700)]


def test_words_before_the_first_event_and_after_the_last() -> None:
    placer = WordPlacer("so it is done")
    assert placer.place(6, 600) == [(0, 2, 0), (3, 2, 300), (6, 2, 600)]
    (last,) = placer.finish(1300)
    assert last[:2] == (9, 4)
    assert 600 < last[2] < 1300


def test_events_outside_words_and_backwards_are_nothing() -> None:
    placer = WordPlacer("one, two")
    placer.place(5, 500)
    assert placer.place(0, 600) == []
    assert placer.place(3, 700) == []
    assert placer.place(-1, 800) == []
    assert placer.place(99, 900) == []
    assert WordPlacer("").place(0, 0) == []
    assert WordPlacer("...").finish(100) == []


@given(
    st.text(alphabet=st.sampled_from("ab ,.1好đ\U0001f44d-$"), max_size=40),
    st.lists(st.tuples(st.integers(-2, 45), st.integers(0, 10_000)), max_size=30),
)
def test_whatever_the_events_each_word_comes_once_and_in_order(text: str, events: list[tuple[int, int]]) -> None:
    placer = WordPlacer(text)
    places = [place for offset, sample in events for place in placer.place(offset, sample)]
    places += placer.finish(10_000)
    assert [(offset, offset + length) for offset, length, _ in places] == written_words(text)
    samples = [sample for _, _, sample in places]
    assert samples == sorted(samples)
    assert all(0 <= sample <= 10_000 for sample in samples)
