"""Texts as sentences."""

import pytest

from engines.text.sentences import LONGEST, split, without_time


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith paid 3.50 at No. 5. He left.", ["Dr. Smith paid 3.50 at No. 5.", "He left."]),
        ("J. R. R. Tolkien wrote, e.g. letters.", ["J. R. R. Tolkien wrote, e.g. letters."]),
        ("line one\nline  two\n\n", ["line one", "line two"]),
        ("你好。我们走吧！", ["你好。", "我们走吧！"]),
        ("", []),
        (" ... ", ["..."]),
    ],
)
def test_they_end_where_a_reader_sees_it(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


def test_text_without_punctuation_is_cut_into_runs_of_words() -> None:
    text = " ".join(f"word{number}" for number in range(500))
    cut = split(text)
    assert " ".join(cut) == text and len(cut) > 15 and max(map(len, cut)) <= LONGEST
    assert "".join(split("字" * 5_000)) == "字" * 5_000 and max(map(len, split("字" * 5_000))) <= LONGEST


def test_the_time_of_a_line_can_be_left_out() -> None:
    assert without_time("[01:02:03] Hello") == "Hello"
    assert without_time("00:10 Hi") == "Hi" and without_time("Hi") == "Hi"
