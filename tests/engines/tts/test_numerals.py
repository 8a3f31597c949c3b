"""Numbers in words, for models that read letters only."""

import pytest

from engines.tts.numerals import NUMBER, number_in_words


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", "zero"),
        ("7", "seven"),
        ("13", "thirteen"),
        ("20", "twenty"),
        ("42", "forty two"),
        ("100", "one hundred"),
        ("2024", "two thousand twenty four"),
        ("1,000,000", "one million"),
        ("999,999", "nine hundred ninety nine thousand nine hundred ninety nine"),
        ("3.14", "three point one four"),
        ("1,234.5", "one thousand two hundred thirty four point five"),
        ("007", "zero zero seven"),
        ("192.168.0.1", "one hundred ninety two one hundred sixty eight zero one"),
        ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
    ],
)
def test_english(written: str, read: str) -> None:
    assert number_in_words(written, "en") == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", "không"),
        ("5", "năm"),
        ("10", "mười"),
        ("15", "mười lăm"),
        ("21", "hai mươi mốt"),
        ("25", "hai mươi lăm"),
        ("105", "một trăm linh năm"),
        ("111", "một trăm mười một"),
        ("2024", "hai nghìn không trăm hai mươi bốn"),
        ("1.000", "một nghìn"),
        ("1.000.005", "một triệu không trăm linh năm"),
        ("3,5", "ba phẩy năm"),
        ("2000000000", "hai tỷ"),
    ],
)
def test_vietnamese(written: str, read: str) -> None:
    assert number_in_words(written, "vi") == read


def test_some_other_languages_digit_by_digit_and_the_rest_not_at_all() -> None:
    assert number_in_words("1.205", "de") == "eins zwei null fünf"
    assert number_in_words("12", "xx") is None


def test_a_mark_after_a_number_is_not_of_it() -> None:
    assert [match.group() for match in NUMBER.finditer("In 1,5, or 2. At 12:30")] == ["1,5", "2", "12", "30"]
