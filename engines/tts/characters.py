"""Who espeak-ng can be: people made of its voice variants, a pitch and a loudness, for any of its languages.

A voice id is "<language>/<character>": "vi/female-1", "en-gb/boy". The table is closed because the library takes an
unknown variant without a word. Volumes bring the characters to about the same loudness with no sample clipped
(measured over several languages); espeak-ng has no child's voice, so the two here are light voices set higher.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Character:
    """One person: espeak-ng's variant and settings, and what to tell people."""

    variant: str  # of espeak-ng's own; "" is the plain voice
    gender: str
    age: str = "adult"
    pitch: int = 50  # 0 to 99
    range: int = 50  # of the intonation, 0 to 99
    volume: int = 100
    pace: float = 1.0  # how fast at speed 1.0


CHARACTERS: Mapping[str, Character] = MappingProxyType(
    {
        "female-1": Character("f3", "female", volume=85),
        "male-1": Character("", "male", volume=85),
        "female-2": Character("f2", "female", pitch=42, volume=75),
        "male-2": Character("m3", "male", pitch=58, volume=75),
        "female-3": Character("Annie", "female", pitch=45, volume=90),
        "male-3": Character("m7", "male", pitch=42, volume=70),
        "female-4": Character("steph", "female", volume=80),
        "male-4": Character("m6", "male", pitch=62, volume=80),
        "girl": Character("Annie", "female", "child", pitch=75, range=65, volume=85, pace=0.95),
        "boy": Character("f5", "male", "child", pitch=72, range=60, volume=75, pace=0.95),
        "elderly-female": Character("grandma", "female", "elderly", pitch=38, range=40, volume=85, pace=0.85),
        "elderly-male": Character("grandpa", "male", "elderly", pitch=45, range=40, volume=80, pace=0.85),
        "whisper-female": Character("whisperf", "female", volume=75),
        "whisper-male": Character("whisper", "male", volume=130),
    }
)
