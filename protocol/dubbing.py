"""When each subtitle's speech begins and how fast it is, so that it keeps the subtitles' time (A56's "hybrid" mode).

A cue begins at its own time, or when the one before it is over. Speech that is longer than its cue is hurried a little,
then takes the silence before the next cue, then is hurried up to ``NATURAL`` times; what still does not fit makes the
next one late, and that one hurries in turn. Nothing is ever cut. Should all of it then last more than 5 % longer than
the subtitles, it is hurried as much as that takes, to ``FASTEST`` times and no more: past that the words would be lost,
so the sound is longer instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

EASY = 1.15  # hardly noticed: cheaper than taking the silence of the next cue
NATURAL = 1.35
FASTEST = 2.0
TOLERANCE = 0.05  # of the subtitles' length
_AIM = 0.04  # of it; the rest is left to the stretching, which is not exact
GAP_S = 0.05  # between two cues that follow at once
_ROUNDS = 12  # of halving, to find how much hurry is needed


@dataclass(frozen=True, slots=True)
class Slot:
    """A cue's time, and how long its speech takes in its own pace; seconds."""

    start: float
    end: float
    length: float


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a cue's speech goes: it begins at ``start``, ``tempo`` times as fast as its own pace."""

    start: float
    end: float
    tempo: float


def total_of(cues: Sequence[Slot]) -> float:
    """How long the subtitles last."""
    return max((slot.end for slot in cues), default=0.0)


def place(cues: Sequence[Slot], total: float | None = None) -> list[Placed]:
    """A place for each cue. They are in the order of their starts; ``total``: how long all may last, in seconds."""
    total = total_of(cues) if total is None else total
    latest = total * (1 + _AIM)
    placed = _place(cues, total, NATURAL)
    if not placed or placed[-1].end <= latest:
        return placed
    low, high = NATURAL, FASTEST
    hurried = _place(cues, total, FASTEST)
    if hurried[-1].end > latest:
        return hurried
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        tried = _place(cues, total, middle)
        if tried[-1].end <= latest:
            high, hurried = middle, tried
        else:
            low = middle
    return hurried


def _place(cues: Sequence[Slot], total: float, most: float) -> list[Placed]:
    placed: list[Placed] = []
    free_from = 0.0
    for number, slot in enumerate(cues):
        start = max(slot.start, free_from)
        last = number + 1 == len(cues)
        until = total if last else cues[number + 1].start - GAP_S
        tempo = _tempo(slot.length, slot.end - start, until - start, most)
        end = start + slot.length / tempo
        placed.append(Placed(start, end, tempo))
        free_from = end + GAP_S
    return placed


def _tempo(length: float, own_s: float, room_s: float, most: float) -> float:
    """How fast speech of ``length`` is to be, with so much time of its own and so much before the next."""
    if length <= own_s:
        return 1.0
    tempo = min(EASY, length / own_s) if own_s > 0 else EASY
    if length / tempo > room_s:
        tempo = min(most, max(tempo, length / room_s)) if room_s > 0 else most
    return tempo
