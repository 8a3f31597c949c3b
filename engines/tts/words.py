"""Where each word of a text is spoken: an engine's word events made into one place for each word, in order.

espeak-ng reports what it says, not what is written: several events for a number ("2024" is five words), none for the
second half of a pair it reads as one ("of the"), one for each part of a URL. A caption wants every written word once.
"""

import unicodedata
from bisect import bisect_right

_IDEOGRAPHS = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH")


def written_words(text: str) -> list[tuple[int, int]]:
    """The words of ``text`` as (start, end) in code points: runs without white space, controls or outer punctuation.

    A Chinese character is a word of its own, as those texts have no spaces. Signs that are spoken (currency, emoji)
    count as letters, dashes and quotes do not.
    """
    words: list[tuple[int, int]] = []
    start = 0
    for index, character in enumerate(text + " "):
        alone = character >= "\u3400" and unicodedata.name(character, "").startswith(_IDEOGRAPHS)
        if alone or character.isspace() or unicodedata.category(character) == "Cc":
            words += _trimmed(text, start, index)
            start = index + 1
        if alone:
            words.append((index, index + 1))
    return words


def _trimmed(text: str, start: int, end: int) -> list[tuple[int, int]]:
    while start < end and _silent(text[start]):
        start += 1
    while end > start and _silent(text[end - 1]):
        end -= 1
    return [(start, end)] if start < end else []


def _silent(character: str) -> bool:
    """Punctuation and format characters; a combining mark is part of its letter."""
    return unicodedata.category(character)[0] in "PC"


class WordPlacer:
    """Turns events (offset, sample) into places (offset, length, sample), each word once and both numbers rising.

    Words an engine passed over are placed between their neighbours by their distance in the text.
    """

    def __init__(self, text: str) -> None:
        self._words = written_words(text)
        self._starts = [start for start, _ in self._words]
        self._next = 0  # the first word without a place
        self._last = (0, 0)  # where in the text, and at which sample, the last word placed begins

    def place(self, offset: int, sample: int) -> list[tuple[int, int, int]]:
        """What is now known: the words passed over, then the one at ``offset``; nothing when it has its place."""
        index = bisect_right(self._starts, offset) - 1
        if index < self._next or offset >= self._words[index][1]:
            return []
        sample = max(sample, self._last[1])
        places = self._between(index, self._words[index][0], sample)
        start, end = self._words[index]
        self._next, self._last = index + 1, (start, sample)
        return [*places, (start, end - start, sample)]

    def finish(self, samples: int) -> list[tuple[int, int, int]]:
        """The words after the last event, spread over what is left of ``samples`` of sound."""
        if not self._words:
            return []
        places = self._between(len(self._words), self._words[-1][1], max(samples, self._last[1]))
        self._next = len(self._words)
        return places

    def _between(self, index: int, offset: int, sample: int) -> list[tuple[int, int, int]]:
        base, first = self._last
        scale = (sample - first) / max(1, offset - base)
        passed = self._words[self._next : index]
        return [(start, end - start, first + int((start - base) * scale)) for start, end in passed]
