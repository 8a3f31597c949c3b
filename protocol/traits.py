"""A voice in plain terms: what a description of one means, whoever will speak (A14).

Engines take ``Traits`` and do of them what they can; none of them is a promise. An empty trait is left to the engine.
"""

from dataclasses import dataclass
from enum import StrEnum


class Gender(StrEnum):
    """Whose voice it is, as far as that can be heard."""

    MALE = "male"
    FEMALE = "female"


class Age(StrEnum):
    """How old the voice sounds."""

    CHILD = "child"
    TEENAGER = "teenager"
    YOUNG = "young adult"
    MIDDLE = "middle-aged"
    ELDERLY = "elderly"


class Pitch(StrEnum):
    """How high it is, among voices of its gender and age."""

    VERY_LOW = "very low pitch"
    LOW = "low pitch"
    MODERATE = "moderate pitch"
    HIGH = "high pitch"
    VERY_HIGH = "very high pitch"


class Manner(StrEnum):
    """How it speaks: A14's ``style``."""

    NORMAL = "normal"
    CHEERFUL = "cheerful"
    EXCITED = "excited"
    CALM = "calm"
    GENTLE = "gentle"
    SERIOUS = "serious"
    SAD = "sad"
    FEARFUL = "fearful"
    ANGRY = "angry"
    WHISPER = "whisper"


class Pace(StrEnum):
    """How fast, before the request's own speed."""

    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Traits:
    """A voice. ``accent`` is a BCP 47 tag of the language that is spoken ("en-gb", "vi-vn-x-south")."""

    gender: Gender | None = None
    age: Age | None = None
    pitch: Pitch | None = None
    manner: Manner | None = None
    pace: Pace | None = None
    accent: str = ""
