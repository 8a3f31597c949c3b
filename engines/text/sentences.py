"""A text as sentences; one without punctuation, as some recognisers write, as runs of words."""

import re
from collections.abc import Iterator

from protocol.abbreviations import ABBREVIATIONS, NUMBERED

LONGEST = 400  # characters; what is longer is cut at a comma or a space
_RUN_WORDS = 24  # of text without punctuation

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？｡؟۔।]+[”’」』）]*|\n+")
_LAST_WORD = re.compile(r"(\w+(?:\.\w+)*)$")
_NUMBER = re.compile(r"\s*\d")
_SPACES = re.compile(r"\s+")
_TIME = re.compile(r"^\[?(?:\d{1,2}:)?\d{1,2}:\d{2}\]?[ \t]*")


def split(text: str) -> list[str]:
    """The sentences, in order, their white space made single."""
    return [whole for piece in _pieces(text) for whole in _shortened(_SPACES.sub(" ", piece).strip()) if whole]


def without_time(line: str) -> str:
    """A line of a transcript without the time it begins with ("[01:02] Hello")."""
    return _TIME.sub("", line, count=1)


def _pieces(text: str) -> Iterator[str]:
    start = 0
    for mark in _END.finditer(text):
        if mark.group().startswith(".") and _abbreviates(text, mark.start(), mark.end()):
            continue
        yield text[start : mark.end()]
        start = mark.end()
    yield text[start:]


def _abbreviates(text: str, at: int, end: int) -> bool:
    """Whether the point at ``at`` belongs to the word before it."""
    if end - at > 1:
        return False
    found = _LAST_WORD.search(text[max(0, at - 24) : at])
    if found is None:
        return False
    word = found[1].lower()
    if word in NUMBERED:
        return _NUMBER.match(text, end) is not None
    return word in ABBREVIATIONS or (len(word) == 1 and word.isalpha() and found[1].isupper()) or "." in word


def _shortened(sentence: str) -> Iterator[str]:
    """The sentence, or the runs of words a very long one is cut into."""
    if len(sentence) <= LONGEST:
        yield sentence
        return
    words = sentence.split(" ")
    if len(words) < len(sentence) // LONGEST:  # a script without spaces
        for at in range(0, len(sentence), LONGEST):
            yield sentence[at : at + LONGEST]
        return
    run: list[str] = []
    for word in words:
        run.append(word[:LONGEST])
        if len(run) >= _RUN_WORDS or (word.endswith((",", ";", ":")) and len(run) > _RUN_WORDS // 2):
            yield " ".join(run)
            run = []
    if run:
        yield " ".join(run)
