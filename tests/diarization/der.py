"""The diarization error rate: of all speech, how much is missed, made up, or given to the wrong speaker.

As NIST's evaluations count it: the speakers found are matched to the real ones so that they agree as much as can be,
and moments near a real boundary (the collar) do not count, for nobody can say to a quarter second when a word ends.
Overlaps count for everybody who speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from protocol.turns import Turn

COLLAR_S = 0.25
_STEP_S = 0.01


@dataclass(frozen=True, slots=True)
class Score:
    """Seconds of speaker time; add them up for several recordings."""

    missed: float
    made_up: float
    confused: float
    spoken: float

    @property
    def rate(self) -> float:
        """The error rate."""
        return (self.missed + self.made_up + self.confused) / self.spoken if self.spoken else 0.0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.missed + other.missed,
            self.made_up + other.made_up,
            self.confused + other.confused,
            self.spoken + other.spoken,
        )


def score(real: Sequence[Turn], found: Sequence[Turn], collar_s: float = COLLAR_S) -> Score:
    """How far the turns that were found are from the real ones."""
    moments = round(max((turn.end for turn in (*real, *found)), default=0.0) / _STEP_S) + 1
    truth, guess = _active(real, moments), _active(found, moments)
    counted = np.ones(moments, bool)
    for turn in real:
        for edge in (turn.start, turn.end):
            counted[max(round((edge - collar_s) / _STEP_S), 0) : round((edge + collar_s) / _STEP_S)] = False
    truth, guess = truth[:, counted], guess[:, counted]
    right = _most_agreement((truth.astype(np.float32) @ guess.astype(np.float32).T).astype(int))
    many, told = truth.sum(axis=0), guess.sum(axis=0)
    both = np.minimum(many, told).sum()
    return Score(
        float(np.maximum(many - told, 0).sum() * _STEP_S),
        float(np.maximum(told - many, 0).sum() * _STEP_S),
        float((both - right) * _STEP_S),
        float(many.sum() * _STEP_S),
    )


def _active(turns: Sequence[Turn], moments: int) -> npt.NDArray[np.bool_]:
    """Speakers x moments."""
    active = np.zeros((1 + max((turn.speaker for turn in turns), default=0), moments), bool)
    for turn in turns:
        active[turn.speaker, round(turn.start / _STEP_S) : round(turn.end / _STEP_S)] = True
    return active


def _most_agreement(common: npt.NDArray[np.int_]) -> int:
    """The most that can be had by matching rows to columns one to one; columns beyond the 12 fullest are left out."""
    columns = np.argsort(-common.sum(axis=0), kind="stable")[:12]
    table: list[list[int]] = common[:, columns].tolist()

    @cache
    def most(row: int, taken: int) -> int:
        if row == len(table):
            return 0
        free = [column for column in range(len(columns)) if not taken >> column & 1]
        matched = (table[row][column] + most(row + 1, taken | 1 << column) for column in free)
        return max([most(row + 1, taken), *matched])

    return most(0, 0)
