"""The lists are in the form in which they are looked up."""

from protocol.abbreviations import ABBREVIATIONS, NUMBERED


def test_they_are_lower_case_words_without_points() -> None:
    for word in ABBREVIATIONS | NUMBERED:
        assert word.isalpha() and word == word.casefold()
    assert {"dr", "mr", "tp", "ths", "st"} <= ABBREVIATIONS
    assert not ABBREVIATIONS & {"no", "i", "it", "so"}
