"""A voice asked for in words as an espeak-ng character: a variant of that gender and age, and prosody for the rest.

Formant synthesis has no feelings: a manner is a pitch, a liveliness of the intonation, a pace and a loudness, and only
a whisper is a voice of its own. Loudness moves by a few dB at most, so that nothing clips or drowns.
"""

from collections.abc import Container
from dataclasses import dataclass, replace

from engines.tts.characters import CHARACTERS, Character
from engines.tts.prosody import pitch_setting
from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits

_LIVELIEST = 78  # of the range; past it tonal languages break


@dataclass(frozen=True, slots=True)
class _Prosody:
    semitones: float = 0.0
    liveliness: float = 1.0
    pace: float = 1.0
    volume: float = 1.0


_PEOPLE = {
    (Gender.MALE, Age.CHILD): CHARACTERS["boy"],
    (Gender.MALE, Age.TEENAGER): replace(CHARACTERS["male-4"], pitch=70),
    (Gender.MALE, Age.YOUNG): CHARACTERS["male-2"],
    (Gender.MALE, Age.MIDDLE): replace(CHARACTERS["male-1"], pitch=44),
    (Gender.MALE, Age.ELDERLY): CHARACTERS["elderly-male"],
    (Gender.FEMALE, Age.CHILD): CHARACTERS["girl"],
    (Gender.FEMALE, Age.TEENAGER): replace(CHARACTERS["female-3"], pitch=58),
    (Gender.FEMALE, Age.YOUNG): CHARACTERS["female-1"],
    (Gender.FEMALE, Age.MIDDLE): CHARACTERS["female-2"],
    (Gender.FEMALE, Age.ELDERLY): CHARACTERS["elderly-female"],
}
_OF_NO_AGE = {Gender.MALE: CHARACTERS["male-1"], Gender.FEMALE: CHARACTERS["female-1"]}
_WHISPERERS = {Gender.MALE: CHARACTERS["whisper-male"], Gender.FEMALE: CHARACTERS["whisper-female"]}
_PITCHES = {Pitch.VERY_LOW: -4.5, Pitch.LOW: -2.5, Pitch.MODERATE: 0.0, Pitch.HIGH: 2.5, Pitch.VERY_HIGH: 4.5}
_PACES = {Pace.SLOW: 0.8, Pace.FAST: 1.25}
_MANNERS = {
    Manner.NORMAL: _Prosody(),
    Manner.CHEERFUL: _Prosody(1.5, 1.5, 1.08, 1.05),
    Manner.EXCITED: _Prosody(2.5, 1.6, 1.18, 1.05),
    Manner.CALM: _Prosody(-0.5, 0.7, 0.9, 0.95),
    Manner.GENTLE: _Prosody(0.5, 0.7, 0.93, 0.8),
    Manner.SERIOUS: _Prosody(-1.0, 0.7, 0.95, 1.0),
    Manner.SAD: _Prosody(-1.5, 0.4, 0.84, 0.8),
    Manner.FEARFUL: _Prosody(2.0, 0.8, 1.12, 0.85),
    Manner.ANGRY: _Prosody(0.5, 1.4, 1.12, 1.05),
    Manner.WHISPER: _Prosody(pace=0.95),
}


def designed(traits: Traits, otherwise: Character) -> Character:
    """Somebody like that; what ``traits`` leave open is as of ``otherwise``."""
    gender = traits.gender or Gender(otherwise.gender)
    manner = _MANNERS[traits.manner or Manner.NORMAL]
    if traits.gender is None and traits.age is None:
        person = otherwise
    else:
        person = _PEOPLE[gender, traits.age] if traits.age else _OF_NO_AGE[gender]
    if traits.manner is Manner.WHISPER:
        person = replace(_WHISPERERS[gender], pace=person.pace)
    semitones = _PITCHES[traits.pitch or Pitch.MODERATE] + manner.semitones
    return replace(
        person,
        pitch=pitch_setting(person.pitch, semitones),
        range=min(_LIVELIEST, round(person.range * manner.liveliness)),
        volume=round(person.volume * manner.volume),
        pace=person.pace * manner.pace * (_PACES[traits.pace] if traits.pace else 1.0),
    )


def accented(traits: Traits, tag: str, tags: Container[str]) -> str:
    """The tag to speak with: that of the accent, if there is such a one of the language, else ``tag``."""
    related = traits.accent.partition("-")[0] == tag.partition("-")[0]
    return traits.accent if related and traits.accent in tags else tag
