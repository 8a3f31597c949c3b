"""Keys of music and what goes with them: the wheel that disc jockeys mix by (D16)."""

from typing import Literal

Scale = Literal["Major", "Minor"]

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")  # in semitones from C
SCALES: tuple[Scale, Scale] = ("Major", "Minor")

_HOURS = 12
_FIRST_MAJOR = 8  # C Major is 8B, and each fifth up is an hour later
_FIFTH = 7  # semitones
_THIRD = 3  # from a minor key up to the major one with the same notes


def camelot(key: str, scale: Scale) -> str:
    """The place of a key on the Camelot wheel: 1 to 12, and A for minor or B for major."""
    semitones = KEYS.index(key) + (0 if scale == "Major" else _THIRD)
    hour = (_FIRST_MAJOR - 1 + semitones * _FIFTH) % _HOURS + 1  # a fifth is its own inverse, modulo 12
    return f"{hour}{'B' if scale == 'Major' else 'A'}"


def compatible_keys(key: str, scale: Scale) -> list[str]:
    """The keys one can go on in: itself, a fifth up, a fifth down, and the one with the same notes."""
    tonic = KEYS.index(key)
    other = SCALES[1 - SCALES.index(scale)]
    relative = tonic - _THIRD if scale == "Major" else tonic + _THIRD
    fifths = [f"{KEYS[(tonic + step) % 12]} {scale}" for step in (0, _FIFTH, -_FIFTH)]
    return [*fifths, f"{KEYS[relative % 12]} {other}"]
