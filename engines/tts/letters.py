"""Text to the symbols a character-based model was trained on, each with the place in the text that it comes from.

Nothing in a text is an error: what the model does not know is written otherwise (capitals small, accents left off,
typographic signs as plain ones), spelled (numbers, a few signs), or left out; a sign between two words parts them.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engines.tts.numerals import NUMBER, SIGNS, number_in_words
from engines.tts.words import written_words

BLANK = 0  # VITS: the symbol between all others

_PLAIN: Mapping[str, str] = MappingProxyType(
    {"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "–": "-", "—": "-", "‐": "-", "‑": "-", "“": '"', "”": '"'}
    | {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
    | {"ț": "ţ", "ș": "ş", "ţ": "ț", "ş": "ș"}
)

Romanize = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Symbols:
    """What a model reads; ``places[i]`` is the code point of the text ``ids[i]`` was made of, -1 for gaps."""

    ids: tuple[int, ...]
    places: tuple[int, ...]


class Alphabet:
    """The symbols of one model. ``romanize`` comes first where it reads Latin letters only."""

    def __init__(
        self, vocabulary: Mapping[str, int], language: str, *, blanks: bool = True, romanize: Romanize | None = None
    ) -> None:
        self._ids = {symbol: number for symbol, number in vocabulary.items() if len(symbol) == 1}
        self._language = language
        self._blanks = blanks
        self._romanize = romanize

    def read(self, text: str) -> Symbols:
        """The symbols of a text; none where there is nothing to say."""
        found: list[tuple[int, int]] = []
        space = self._ids.get(" ")
        parted = False
        for letter, place in self._letters(text):
            numbers = self._known(letter)
            if not numbers or letter.isspace():
                parted = True
                continue
            if parted and found and space is not None:
                found.append((space, -1))
            parted = False
            found += [(number, place) for number in numbers]
        said = (text[place] for _, place in found if place >= 0)
        if not any(letter.isalnum() or letter in SIGNS.get(self._language, ()) for letter in said):
            return Symbols((), ())
        return self._spread(found)

    def letters(self) -> list[str]:
        """The letters it knows, in order."""
        return sorted(symbol for symbol in self._ids if symbol.isalpha())

    def _spread(self, found: list[tuple[int, int]]) -> Symbols:
        if self._blanks:
            blank = (BLANK, -1)
            found = [blank, *(pair for known in found for pair in (known, blank))]
        return Symbols(tuple(number for number, _ in found), tuple(place for _, place in found))

    def _letters(self, text: str) -> Iterator[tuple[str, int]]:
        """Each letter with its place; numbers and signs in words, other scripts in Latin letters where need be."""
        at = 0
        for match in NUMBER.finditer(text):
            words = number_in_words(match.group(), self._language)
            if words is None or not match.group().isascii():
                continue
            yield from self._plain(text, at, match.start())
            yield from ((letter, match.start()) for letter in f" {words} ")
            at = match.end()
        yield from self._plain(text, at, len(text))

    def _plain(self, text: str, start: int, end: int) -> Iterator[tuple[str, int]]:
        signs = SIGNS.get(self._language, {})
        if self._romanize is not None and not text[start:end].isascii():
            yield from self._in_latin(text, start, end, self._romanize)
            return
        for place in range(start, end):
            letter = text[place]
            if letter in signs and letter not in self._ids:
                yield from ((part, place) for part in f" {signs[letter]} ")
            else:
                yield letter, place

    def _in_latin(self, text: str, start: int, end: int, romanize: Romanize) -> Iterator[tuple[str, int]]:
        """Word by word, so that places are known; all letters of a word have the place of its first."""
        at = start
        for first, last in written_words(text[start:end]):
            yield from ((text[place], place) for place in range(at, start + first))
            word = text[start + first : start + last]
            yield from ((letter, start + first) for letter in (word if word.isascii() else romanize(word)))
            at = start + last
        yield from ((text[place], place) for place in range(at, end))

    def _known(self, letter: str) -> list[int]:
        """The symbols for a letter, however far from how it was written; none when there are none."""
        decomposed = unicodedata.normalize("NFKD", letter)
        small = letter.lower()
        bare = "".join(part for part in decomposed if not unicodedata.combining(part)).lower()
        for form in (letter, small, _PLAIN.get(small, ""), decomposed, decomposed.lower(), bare, _PLAIN.get(bare, "")):
            if form and all(part in self._ids for part in form):
                return [self._ids[part] for part in form]
        return []
