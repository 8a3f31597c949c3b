"""What an engine is given for a piece of text, and the way back from its places to those of the text.

Engines get composed characters (NFC: a Vietnamese vowel as one code point, whatever the client's keyboard made), no
white space around them, and nothing at all where there is nothing to say.
"""

import unicodedata
from dataclasses import dataclass

_SAYABLE_SIGNS = ("So", "Sc", "Sm", "No")  # emoji, currency, plus and minus, fractions


@dataclass(frozen=True, slots=True)
class SpokenForm:
    """``text`` for the engine; code point ``i`` of it is code point ``place(i)`` of the original."""

    text: str
    _lead: int = 0
    _origins: tuple[int, ...] = ()  # one for each code point and one for the end; empty: they only differ by the lead

    def place(self, index: int) -> int:
        """Where in the original text a code point of ``text`` comes from."""
        if self._origins:
            index = self._origins[min(index, len(self._origins) - 1)]
        return self._lead + index


def spoken_form(original: str) -> SpokenForm:
    """What to give an engine for ``original``."""
    text = original.strip()
    lead = len(original) - len(original.lstrip())
    if not any(_sayable(character) for character in text):
        return SpokenForm("", lead)
    if unicodedata.is_normalized("NFC", text):
        return SpokenForm(text, lead)
    composed: list[str] = []
    origins: list[int] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end < len(text) and _continues(text[end]):
            continue
        part = unicodedata.normalize("NFC", text[start:end])
        composed.append(part)
        origins += [start] * len(part)
        start = end
    return SpokenForm("".join(composed), lead, (*origins, len(text)))


def _sayable(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in _SAYABLE_SIGNS


def _continues(character: str) -> bool:
    """Whether a character may compose with the one before it: combining marks, and the jamo that close a syllable."""
    return unicodedata.combining(character) != 0 or "\u1160" <= character <= "\u11ff"
