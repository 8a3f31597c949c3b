"""Successive hypotheses about a growing utterance in, text with a part that never changes again out.

LocalAgreement by time: a word is settled once it, and all before it, has been the same in every hypothesis while a
certain length of audio was added; the last word never is, since it may be half heard. Counting hypotheses instead is
deceptive: those a quarter of a second apart make the same mistakes. Scripts that put no spaces between words are
compared character by character.
"""

import re
import unicodedata
from itertools import takewhile

_SETTLED_S = 0.6  # with 0.5 s, 5 of 300 finals contradicted what was settled, now 1 does; with more, words settle late
# Thai and Lao, Myanmar, Khmer, kana and Chinese characters with their punctuation; Korean has spaces.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
# Vowel signs, tones and voicing marks belong to the character before them.
_MARKS = "".join(c for c in map(chr, range(0x0E00, 0x3100)) if unicodedata.category(c)[0] == "M") + "\ufe00-\ufe0f"
_WORD = re.compile(f" ?(?:[{_UNSPACED}][{_MARKS}]*|[^ {_UNSPACED}]+)")


class Agreement:
    """What is settled of one utterance."""

    __slots__ = ("_since", "_stable", "_words")

    def __init__(self) -> None:
        self._stable = ""
        self._words: list[str] = []  # of the latest hypothesis
        self._since: list[float] = []  # when each of them was first heard, it and all before it the same ever since

    def hear(self, text: str, at: float, *, settle: bool = True) -> tuple[str, int]:
        """Take what the audio up to second ``at`` says; return what to show and how many code points are settled.

        With ``settle`` false no more is settled by this hypothesis.
        """
        text = self.keep(text)
        words = _WORD.findall(text)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, self._words, strict=False)))
        self._since[same:] = [at] * (len(words) - same)
        self._words = words
        if settle:
            old = takewhile(lambda pair: at - pair[1] >= _SETTLED_S, zip(words[:-1], self._since, strict=False))
            self._stable = max(self._stable, "".join(word for word, _ in old), key=len)
        return text, len(self._stable)

    def keep(self, text: str) -> str:
        """Return ``text`` with its beginning replaced by what is settled, where the two differ."""
        text = " ".join(text.split())
        if text.startswith(self._stable):
            return text
        words = _WORD.findall(text)
        return self._stable + "".join(words[_aligned(_WORD.findall(self._stable), words) :])


def _aligned(settled: list[str], words: list[str]) -> int:
    """How many of ``words`` say what ``settled`` says: the prefix at the least edit distance, the longest of equals."""
    wanted, found = [_spoken(word) for word in settled], [_spoken(word) for word in words]
    distances = list(range(len(found) + 1))
    for row, word in enumerate(wanted, 1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(found, 1):
            best = min(distances[column] + 1, distances[column - 1] + 1, diagonal + (word != other))
            diagonal, distances[column] = distances[column], best
    return min(range(len(distances)), key=lambda count: (distances[count], -count))


def _spoken(word: str) -> str:
    """The word without what cannot be heard: case and punctuation."""
    return "".join(c for c in word.casefold() if c.isalnum()) or word
