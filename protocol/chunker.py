"""Text deltas in, speakable clauses out, as early as it is safe.

A clause ends where a reader would pause: after a sentence, at a line break, and, where waiting for the sentence would
take too long, at a comma, a dash or at last between two words. The first clause of an utterance may be short, so that
sound starts while the text is still being written; the next ones grow, so that the voice keeps its melody.

Whatever the text is split into, the clauses are the same, and together they are the text: every clause is a slice of
it, white space included (the white space between two clauses begins the second). Only halves of surrogate pairs are
touched: two that meet become their character, a lone one becomes U+FFFD.

A point, comma or colon counts only before white space (3.14, 1,000, 12:30, e-mail addresses and URLs stay whole), a
point not after an abbreviation, an initial or the number of a list item. So a mark at the very end of what has come
waits for the next delta, or for ``flush``. No clause is longer than 250 code points, or 83 where a character is a
syllable or a word (Chinese, Japanese, Korean).
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum

from protocol.abbreviations import ABBREVIATIONS, NUMBERED

MAX_WEIGHT = 250  # of a clause; a Latin letter weighs 1, a Chinese character 3
MAX_FIRST = 120  # of the first clause of an utterance
WEAK_FROM = (12, 40, 80)  # what the first, second and later clauses must weigh to end at a comma
FIRST_WORDS = 3  # that a first clause must have to end at a comma
REACH = 16  # code points after a mark that may decide what it is
WIDE_WEIGHT = 3

_KOREAN = "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"
_WIDE = _KOREAN + "\u2e80-\u2fdf\u3040-\u31ff\u3400-\u9fff\uf900-\ufaff\U0001b000-\U0003ffff"
_WIDE_OR_FULL = _WIDE + "\u3000-\u303f\uff00-\uffef"
_STOPS = ".!?"
_FULL_STOPS = "。！？｡؟۔।॥။።"
_ELLIPSES = "…‥"
_PAUSES = ",;:"
_FULL_PAUSES = "，；：、､،؛"
_DASHES = "—–-"
_BREAKS = "\n\u2028\u2029"
_CLOSERS = "\"'”’»›)]}」』）】》〉〕］｝"

_CANDIDATE = re.compile(f"[{re.escape(_STOPS + _FULL_STOPS + _ELLIPSES + _PAUSES + _FULL_PAUSES + _DASHES + _BREAKS)}]")
_RUN = re.compile(f"[{re.escape(_STOPS + _FULL_STOPS + _ELLIPSES)}]*[{re.escape(_CLOSERS)}]*")
_CLOSING = re.compile(f"[{re.escape(_CLOSERS)}]*")
_DASH_RUN = re.compile(f"[{re.escape(_DASHES)}]*")
_SPACE = re.compile(r"\s*")
_IS_WIDE = re.compile(f"[{_WIDE}]")
_IS_WIDE_OR_FULL = re.compile(f"[{_WIDE_OR_FULL}]")
_ITEM = re.compile(r"\s*[(\[]?(?:\d{1,3}|\w)")  # "1", "(2", "a": with a point after it, the number of a list item
_WORD_BEFORE = re.compile(r"[^\W\d_]+$")
_DOTTED = re.compile(r"(?:^|[^\w.])(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}$")  # e.g, U.S, p.m, v.v
_HIGH = re.compile(r"[\ud800-\udbff]\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Pause(IntEnum):
    """What ends a clause, from the least to the most."""

    CUT = 0  # nothing: it was long enough
    WEAK = 1  # a comma, a colon, a dash, an ellipsis
    SENTENCE = 2  # a full stop, a line break
    END = 3  # the end of the utterance's text


@dataclass(frozen=True, slots=True)
class Clause:
    """A slice of the text, to be spoken in one go; ``offset`` counts the code points of all text before it."""

    text: str
    offset: int
    pause: Pause


class _Undecided(Exception):
    """The text so far does not tell yet what a mark is."""


class Chunker:
    """Cuts one session's text into clauses. An utterance is what lies between two flushes."""

    def __init__(self) -> None:
        self._text = ""  # not yet given out
        self._offset = 0  # code points before it
        self._scan = 0  # where to look for the next mark
        self._clauses = 0  # given out since the last flush
        self._half = ""  # the first half of a surrogate pair, at the end of the last delta

    @property
    def pending(self) -> int:
        """Code points that wait for more text or a flush."""
        return len(self._text) + len(self._half)

    @property
    def offset(self) -> int:
        """Code points of all text so far, spoken or not."""
        return self._offset + self.pending

    def push(self, delta: str) -> list[Clause]:
        """Take a piece of text; the clauses it completes."""
        delta = self._half + delta
        self._half = ""
        if _SURROGATE.search(delta):
            if _HIGH.search(delta):
                delta, self._half = delta[:-1], delta[-1]
            delta = _whole(delta)
        self._text += delta
        return self._take(end=False)

    def flush(self) -> list[Clause]:
        """The end of an utterance: everything that is left, possibly nothing."""
        self._text += "\ufffd" if self._half else ""
        self._half = ""
        clauses = self._take(end=True)
        if self._text:
            clauses.append(self._give(len(self._text), Pause.END))
        self._clauses = 0
        return clauses

    def clear(self) -> None:
        """Forget what was not given out; ``offset`` still counts it."""
        self._offset += self.pending
        self._text = self._half = ""
        self._scan = self._clauses = 0

    # -- inside ----------------------------------------------------------------------------------

    def _take(self, *, end: bool) -> list[Clause]:
        clauses: list[Clause] = []
        while self._text:
            found = self._find(end=end)
            if found is None or (end and found[0] == len(self._text)):
                break
            clauses.append(self._give(*found))
        return clauses

    def _give(self, length: int, pause: Pause) -> Clause:
        clause = Clause(self._text[:length], self._offset, pause)
        self._text = self._text[length:]
        self._offset += length
        self._scan = 0
        self._clauses += 1
        return clause

    def _find(self, *, end: bool) -> tuple[int, Pause] | None:
        """Where the first clause of the pending text ends, None while that cannot be known."""
        limit = _reach(self._text, MAX_FIRST if self._clauses == 0 else MAX_WEIGHT)
        while mark := _CANDIDATE.search(self._text, self._scan, limit):
            try:
                stop, pause = _judge(self._text, mark.start(), end=end)
            except _Undecided:
                self._scan = mark.start()
                return None
            self._scan = max(stop, mark.end())
            if pause is Pause.SENTENCE or (pause is Pause.WEAK and self._may_pause(stop)):
                return stop, pause
        if len(self._text) <= limit:
            return None
        return self._force(limit)

    def _may_pause(self, stop: int) -> bool:
        """Whether a clause that ends here, at a comma, is long enough."""
        text = self._text[:stop]
        if _weight(text) < WEAK_FROM[min(self._clauses, len(WEAK_FROM) - 1)]:
            return False
        return self._clauses > 0 or len(text.split()) >= FIRST_WORDS or _IS_WIDE.search(text) is not None

    def _force(self, limit: int) -> tuple[int, Pause]:
        """Where to cut a clause that nothing ends: between words, else between characters."""
        for index in range(limit, limit // 3, -1):
            if self._text[index].isspace():
                return index, Pause.CUT
        for index in range(limit, limit // 2, -1):
            if _separable(self._text[index - 1], self._text[index]):
                return index, Pause.CUT
        return limit, Pause.CUT


def _judge(text: str, at: int, *, end: bool) -> tuple[int, Pause]:
    """What the mark at ``at`` is: where a clause would end with it, and with what; CUT for a mark that ends nothing."""
    mark = text[at]
    if mark in _BREAKS:
        return _judge_break(text, at, end=end)
    if mark in _PAUSES or mark in _FULL_PAUSES:
        stop = _match(_CLOSING, text, at + 1, end=end)
        return stop, _judge_pause(text, at, stop, mark)
    if mark in _DASHES:
        stop = _match(_DASH_RUN, text, at, end=end)
        return stop, _judge_dash(text, at, stop)
    stop = _match(_RUN, text, at, end=end)
    return stop, _judge_stop(text, at, stop, end=end)


def _match(pattern: re.Pattern[str], text: str, at: int, *, end: bool) -> int:
    """Where a run that begins at ``at`` ends, at most REACH away."""
    found = pattern.match(text, at, at + REACH)
    stop = found.end() if found else at
    if stop == len(text) and not end and stop < at + REACH:
        raise _Undecided
    return stop


def _judge_break(text: str, at: int, *, end: bool) -> tuple[int, Pause]:
    """A line break ends a clause, unless the line goes on in lower case: then it was only wrapped."""
    if not text[:at].strip():
        return at, Pause.CUT
    rest = _SPACE.match(text, at, at + REACH)
    stop = rest.end() if rest else at
    if sum(text.count(mark, at, stop) for mark in _BREAKS) > 1:
        return at, Pause.SENTENCE
    if stop == len(text) and not end and stop < at + REACH:
        raise _Undecided
    if stop < len(text) and text[stop].islower():
        return stop, Pause.CUT
    return at, Pause.SENTENCE


def _judge_pause(text: str, at: int, stop: int, mark: str) -> Pause:
    after = text[stop : stop + 1]
    between_digits = text[at - 1 : at].isdigit() and after.isdigit()
    if mark in _FULL_PAUSES:
        return Pause.CUT if between_digits else Pause.WEAK
    return Pause.WEAK if _parted(text, at, after) else Pause.CUT


def _judge_dash(text: str, at: int, stop: int) -> Pause:
    """An em dash anywhere, the shorter ones with a space on either side."""
    if text[at] == "—":
        return Pause.WEAK
    before, after = text[at - 1 : at], text[stop : stop + 1]
    return Pause.WEAK if before.isspace() and (after.isspace() or not after) else Pause.CUT


def _judge_stop(text: str, at: int, stop: int, *, end: bool) -> Pause:
    run = text[at:stop].rstrip(_CLOSERS)
    after = text[stop : stop + 1]
    if any(mark in _FULL_STOPS for mark in run):
        return Pause.SENTENCE
    if any(mark in "!?" for mark in run):
        return Pause.SENTENCE if _parted(text, at, after) else Pause.CUT
    if run != ".":  # an ellipsis
        return Pause.WEAK if _parted(text, at, after) or after.isalpha() else Pause.CUT
    if not _parted(text, at, after):
        return Pause.CUT
    if _ITEM.fullmatch(text, 0, at):
        return Pause.CUT
    if stop == at + 1 and _abbreviated(text, at, stop, end=end):
        return Pause.CUT
    return Pause.SENTENCE


def _parted(text: str, at: int, after: str) -> bool:
    """Whether what follows a mark begins something new: white space, the end, or another script than a number's."""
    if not after or after.isspace():
        return True
    return _IS_WIDE_OR_FULL.match(after) is not None and not text[at - 1 : at].isdigit()


def _abbreviated(text: str, at: int, stop: int, *, end: bool) -> bool:
    """Whether the point at ``at`` belongs to the word before it."""
    before = text[max(0, at - REACH) : at]
    if _DOTTED.search(before):
        return True
    word = _WORD_BEFORE.search(before)
    if word is None:
        return False
    name = word.group()
    if len(name) == 1 and name.isupper() and not _IS_WIDE.match(name):
        return True
    if name.casefold() in NUMBERED:
        after = _match(_SPACE, text, stop, end=end)
        return text[after : after + 1].isdigit()
    return name.casefold() in ABBREVIATIONS


def _weight(text: str) -> int:
    return len(text) + (WIDE_WEIGHT - 1) * len(_IS_WIDE.findall(text))


def _reach(text: str, weight: int) -> int:
    """How many code points of ``text`` weigh at most ``weight``."""
    limit = min(len(text), weight)
    if _IS_WIDE.search(text, 0, limit) is None:
        return weight
    for index in range(limit):
        weight -= WIDE_WEIGHT if _IS_WIDE.match(text[index]) else 1
        if weight < 0:
            return index
    return limit + weight  # what is missing may be of any width; a shorter text is not cut by this


def _separable(before: str, after: str) -> bool:
    """Whether two characters may be torn apart: not an accent, a joined emoji, a flag or a modifier."""
    if before == "\u200d" or after in "\u200d\ufe0e\ufe0f" or "\U0001f3fb" <= after <= "\U0001f3ff":
        return False
    if "\U0001f1e6" <= after <= "\U0001f1ff":
        return False
    return not unicodedata.category(after).startswith("M") and not (before.isalnum() and after in "-_/.@")


def _whole(text: str) -> str:
    """Join surrogate pairs, replace lone surrogates."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
