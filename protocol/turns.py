"""Whose words are whose: who speaks when, laid over words with times.

The times of words and of turns are both a little off, so the words are not looked up one by one: of all ways to hand
them out the one is taken in which words lie in their speaker's turns as far as can be and speakers change where that is
likely, in a pause or after a sentence, rather than in the middle of one.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocol.events import Word

_CHANGE = 0.6  # what a change of speaker costs, in words that would lie in somebody else's turn
_IN_PAUSE = 0.1  # the same where it is likely
_PAUSE_S = 0.25
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_SHORTEST_S = 0.02  # what a word lasts at least: engines give some no time at all
_REACH_S = 2.0  # a word in nobody's turn is somebody's whose turn is near


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks, from a time to a time; speakers are counted from 0. Turns of different speakers may overlap."""

    start: float
    end: float
    speaker: int


class Turns:
    """All turns of a recording, to be asked who speaks."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))
        self._starts = [turn.start for turn in self.turns]
        self._longest = max((turn.end - turn.start for turn in self.turns), default=0.0)

    def shares(self, start: float, end: float) -> dict[int, float]:
        """How much of a stretch each speaker speaks, 0 to 1; of one in nobody's turn, who is near, the nearer the more.

        Empty where nobody is.
        """
        end = max(end, start + _SHORTEST_S)
        spoken: dict[int, float] = {}
        for turn in self._around(start, end, 0.0):
            common = min(turn.end, end) - max(turn.start, start)
            if common > 0:
                spoken[turn.speaker] = min(1.0, spoken.get(turn.speaker, 0.0) + common / (end - start))
        if spoken:
            return spoken
        for turn in self._around(start, end, _REACH_S):
            distance = max(turn.start - end, start - turn.end, 0.0)
            if distance < _REACH_S:
                near = 0.5 * (1 - distance / _REACH_S)
                spoken[turn.speaker] = max(spoken.get(turn.speaker, 0.0), near)
        return spoken

    def speaker(self, start: float, end: float) -> int | None:
        """Who speaks most in a stretch."""
        shares = self.shares(start, end)
        return max(shares, key=lambda speaker: (shares[speaker], -speaker)) if shares else None

    def _around(self, start: float, end: float, reach: float) -> Sequence[Turn]:
        first = bisect_left(self._starts, start - reach - self._longest)
        return self.turns[first : bisect_left(self._starts, end + reach)]


def speakers_of(words: Sequence[Word], turns: Turns) -> list[int | None]:
    """Who says each of some words that follow each other; None for all of them where nobody speaks anywhere near."""
    shares = [turns.shares(word.start, word.end) for word in words]
    known = sorted({speaker for share in shares for speaker in share})
    if not known:
        return [None] * len(words)
    costs = dict.fromkeys(known, 0.0)  # of the best way in which this one says the last word so far
    ways: list[dict[int, int]] = []  # for each word: who said the one before, by who says it
    for index, share in enumerate(shares):
        change = _cost_of_change(words, index) if index else 0.0
        before = min(costs, key=lambda speaker: (costs[speaker], speaker))
        came, now = {}, {}
        for speaker in known:
            stays = costs[speaker] <= costs[before] + change
            came[speaker] = speaker if stays else before
            now[speaker] = (costs[speaker] if stays else costs[before] + change) + 1.0 - share.get(speaker, 0.0)
        ways.append(came)
        costs = now
    speaker = min(costs, key=lambda one: (costs[one], one))
    said: list[int | None] = []
    for came in reversed(ways):
        said.append(speaker)
        speaker = came[speaker]
    return said[::-1]


def runs(speakers: Sequence[int | None]) -> Iterator[tuple[int, int, int | None]]:
    """Stretches of the same speaker: first, one behind the last, who."""
    begin = 0
    for index in range(1, len(speakers) + 1):
        if index == len(speakers) or speakers[index] != speakers[begin]:
            yield begin, index, speakers[begin]
            begin = index


def _cost_of_change(words: Sequence[Word], index: int) -> float:
    """Of a change between a word and the one before it."""
    last = words[index - 1]
    likely = words[index].start - last.end >= _PAUSE_S or last.text.strip().rstrip("\"'”’»)]").endswith(_SENTENCE_ENDS)
    return _IN_PAUSE if likely else _CHANGE
