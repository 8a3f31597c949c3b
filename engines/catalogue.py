"""Every voice a client can name, whatever its dialect, and the engine voice that answers to it.

The table is ``voices.toml``: Voxline's own voices and those of CONTRACT B15, B16 and D20, by their codes. A client's
string is only ever looked up here; it never becomes a path or an engine's voice name.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from protocol.errors import Code, VoiceError

# What a voice may be asked for, by the quality of its recording (E8 leaves the subsets to the voice).
ALL_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
_CHARACTERS = 4  # adults of each gender
_TOP_RATES = {"_48k": 48000, "_44k": 44100, "-Standard-": 24000}  # by the mark in a voice's code


@dataclass(frozen=True, slots=True)
class VoiceEntry:
    """A voice as a client sees it, and who speaks it."""

    code: str  # what a client writes: "hn_female_ngochuyen_full_48k-fhg", "vi-south-female-1"
    name: str  # for people: "HN - Ngọc Huyền"
    language: str  # ISO 639-1, ISO 639-3 where there is none
    locale: str  # BCP 47: "vi-VN", "cmn-TW"
    gender: str  # male or female
    age: str  # child, young, adult or elderly
    engine: str  # "espeak-ng"
    engine_voice: str  # the engine's own id, for ``Speak.voice``
    rates: tuple[int, ...]  # sample rates it may be asked for, ascending (E8)
    family: str  # whose code it is: "voxline", "vbee", "standard" or "kokoro"

    @property
    def default_rate(self) -> int:
        """The voice's highest (E8)."""
        return self.rates[-1]


class Catalogue:
    """All voices, found by code (whatever its case) or as the default of a language (a lower-case tag)."""

    ENGINE = "espeak-ng"  # who speaks them; other engines name their own voices

    def __init__(self, entries: Iterable[VoiceEntry], defaults: dict[str, str]) -> None:
        self._entries = {entry.code.lower(): entry for entry in entries}
        self._defaults = {language: self._entries[code.lower()] for language, code in defaults.items()}

    @classmethod
    def load(cls) -> "Catalogue":
        """The catalogue of ``voices.toml``."""
        return _load()

    def find(self, code: str) -> VoiceEntry | None:
        """The voice with this code, or None."""
        return self._entries.get(code.lower())

    def default(self, language: str) -> VoiceEntry:
        """The voice to use where none is named: of the tag itself ("vi-VN"), else of its language; "auto" is English.

        VoiceError(NOT_FOUND) when no voice speaks it.
        """
        tag = "en" if language in ("", "auto") else language.lower().replace("_", "-")
        entry = self._defaults.get(tag) or self._defaults.get(tag.split("-")[0])
        if entry is None:
            raise VoiceError(Code.NOT_FOUND, f"no voice speaks {language!r}", field="language")
        return entry

    def all(self) -> tuple[VoiceEntry, ...]:
        """Every voice, in the table's order."""
        return tuple(self._entries.values())


@cache
def _load() -> Catalogue:
    table = tomllib.loads(files("engines").joinpath("voices.toml").read_text(encoding="utf-8"))
    people = table["characters"]
    own = [_own(row, character, people[character]) for row in table["language"] for character in row["characters"]]
    foreign = [_foreign(voice) for voice in table["voice"]]
    foreign += [_person(row, number) for row in table["people"] for number in range(len(row["names"]))]
    defaults = {tag: f"{row['tag']}-{row['characters'][0]}" for row in table["language"] for tag in row["default_for"]}
    return Catalogue([*own, *foreign], defaults)


def _own(row: dict[str, str], character: str, person: dict[str, str]) -> VoiceEntry:
    """One of Voxline's own voices: a language of the table spoken by one of the engine's characters."""
    return VoiceEntry(
        code=f"{row['tag']}-{character}",
        name=f"{row['name']}, {character.replace('-', ' ')}",
        language=row["language"],
        locale=row["locale"],
        gender=person["gender"],
        age=person["age"],
        engine="espeak-ng",
        engine_voice=f"{row['espeak']}/{character}",
        rates=ALL_RATES,
        family="voxline",
    )


def _foreign(row: dict[str, str]) -> VoiceEntry:
    """A voice of another product's documents, spoken by the nearest voice there is."""
    top = next((rate for mark, rate in _TOP_RATES.items() if mark in row["code"]), ALL_RATES[-1])
    return VoiceEntry(
        code=row["code"],
        name=row["name"],
        language=row["language"],
        locale=row["locale"],
        gender=row["gender"],
        age="adult",
        engine="espeak-ng",
        engine_voice=row["espeak"],
        rates=tuple(rate for rate in ALL_RATES if rate <= top),
        family=row["family"],
    )


def _person(row: dict[str, Any], number: int) -> VoiceEntry:
    """One of Kokoro's names (D20). There are more of them than characters, so some share one."""
    name = row["names"][number]
    return VoiceEntry(
        code=f"{row['prefix']}_{name}",
        name=name.title(),
        language=row["language"],
        locale=row["locale"],
        gender=row["gender"],
        age="adult",
        engine="espeak-ng",
        engine_voice=f"{row['espeak']}/{row['gender']}-{number % _CHARACTERS + 1}",
        rates=ALL_RATES,
        family="kokoro",
    )
