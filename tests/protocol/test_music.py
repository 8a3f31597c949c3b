"""The Camelot wheel against how it is drawn."""

import pytest

from protocol.music import KEYS, SCALES, Scale, camelot, compatible_keys

MAJOR = "B F# C# G# D# A# F C G D A E"  # from 1B on
MINOR = "G# D# A# F C G D A E B F# C#"  # from 1A on


@pytest.mark.parametrize(("scale", "letter", "wheel"), [("Major", "B", MAJOR), ("Minor", "A", MINOR)])
def test_every_key_has_its_place(scale: Scale, letter: str, wheel: str) -> None:
    assert [camelot(key, scale) for key in wheel.split()] == [f"{hour}{letter}" for hour in range(1, 13)]


def test_the_documents_example() -> None:
    """D16."""
    assert camelot("C", "Major") == "8B"
    assert compatible_keys("C", "Major") == ["C Major", "G Major", "F Major", "A Minor"]
    assert compatible_keys("A", "Minor") == ["A Minor", "E Minor", "D Minor", "C Major"]


def test_what_goes_together_is_next_to_each_other() -> None:
    for key in KEYS:
        for scale in SCALES:
            place = camelot(key, scale)
            hour, letter = int(place[:-1]), place[-1]
            near = [name.split() for name in compatible_keys(key, scale)]
            places = [camelot(*one) for one in near]  # type: ignore[arg-type]
            other = "A" if letter == "B" else "B"
            assert places == [place, f"{hour % 12 + 1}{letter}", f"{(hour - 2) % 12 + 1}{letter}", f"{hour}{other}"]
