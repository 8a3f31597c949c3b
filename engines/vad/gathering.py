"""Which waiting windows make the next call of the detector, and how they lie in it. Pure: no lane, no clock.

A call takes windows of several lanes as evenly as it can: ``depth - 1`` of each, and one more of the first ones, round
by round, so that a lane's next window lies one round on (``engines.base.SpeechDetector``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.vad.lane import WINDOW

CONTEXT = 64  # samples of the window before, which the model sees again

# A window that never exceeds -66 dBFS is not speech: speech scaled to that peak scores at most 0.2. After a second of
# them the model is spared and its state kept as it is. It would go on drifting: of 108 utterances after 2 to 8 s of
# silence 18 began, and 8 ended, one window earlier or later than without the gate, one ended two later.
_QUIET_PEAK = 16
SETTLED = 31  # windows
_SCALE = np.float32(1 / 32768)

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int_]


@dataclass(slots=True)
class Share:
    """What one lane gives: first windows that need no judgement, then some that do."""

    slot: int
    first: int  # row of its oldest window
    spared: int
    judged: int
    quiet: int  # quiet windows in a row after all of them

    @property
    def taken(self) -> int:
        """Windows of the lane that are done with after the call."""
        return self.spared + self.judged


def rows(windows: Sequence[bytes]) -> Samples:
    """Windows as an array, a row each."""
    return np.frombuffer(b"".join(windows), "<i2").reshape(-1, WINDOW)


def quiet_rows(samples: Samples) -> list[bool]:
    """Which rows hold nothing that could be speech."""
    quiet = (samples.max(axis=1) <= _QUIET_PEAK) & (samples.min(axis=1) >= -_QUIET_PEAK)
    return quiet.tolist()  # type: ignore[no-any-return]


def share(slot: int, first: int, quiet: Sequence[bool], run: int) -> Share:
    """What a lane could give of windows that are ``quiet`` or not, after a ``run`` of quiet ones.

    Windows to be judged lie in one piece: what can be spared after them waits for the next call.
    """
    mine = Share(slot, first, 0, 0, run)
    for each in quiet:
        settled = each and mine.quiet >= SETTLED
        if settled and mine.judged:
            break
        if settled:
            mine.spared += 1
        else:
            mine.judged += 1
        mine.quiet = min(mine.quiet + 1, SETTLED) if each else 0
    return mine


def depth(due: Sequence[int], ready: Sequence[int], most: int) -> int:
    """How many windows the deepest lane should give, so that every due lane is in the call and most work is done.

    ``due`` and ``ready`` count the windows that lanes could have judged; a lane that has less than one fewer than the
    depth is left out of the call.
    """
    best, done = 0, 0
    for candidate in range(1, min(min(due) + 1, most) + 1) if due else ():
        work = sum(min(count, candidate) for count in ready if count >= max(candidate - 1, 1))
        if work > done:
            best, done = candidate, work
    return best


def reduce_to(mine: Share, deepest: int, quiet: Sequence[bool], run: int) -> Share:
    """The share of a lane in a call of that depth."""
    judged = min(mine.judged, deepest) if mine.judged >= deepest - 1 else 0
    if judged == mine.judged:
        return mine
    return share(mine.slot, mine.first, quiet[: mine.spared + judged], run)


def question(samples: Samples, shares: Sequence[Share], context: Floats) -> Floats:
    """The windows of ``shares`` (deepest first) as a detector takes them: each row its context, then its samples.

    ``context`` has the end of what came before each lane's first row.
    """
    starts: Places = np.array([mine.first + mine.spared for mine in shares])
    counts: Places = np.array([mine.judged for mine in shares])
    order: Places = np.concatenate([starts[counts > turn] + turn for turn in range(int(counts.max()))])
    asked = np.empty((len(order), CONTEXT + WINDOW), np.float32)
    np.multiply(samples[order], _SCALE, out=asked[:, CONTEXT:])
    np.multiply(samples[order - 1, -CONTEXT:], _SCALE, out=asked[:, :CONTEXT])
    for turn, mine in enumerate(shares):
        if not mine.spared:
            asked[turn, :CONTEXT] = context[turn]
    return asked


def contexts(samples: Samples, shares: Sequence[Share]) -> Floats:
    """The end of the last window each lane gave."""
    last: Places = np.array([mine.first + mine.taken - 1 for mine in shares])
    return np.asarray(samples[last, -CONTEXT:] * _SCALE, np.float32)


def answers(probabilities: Sequence[float], shares: Sequence[Share]) -> list[list[float]]:
    """What a detector said of ``question``, lane by lane."""
    by_lane: list[list[float]] = [[] for _ in shares]
    at = turn = 0
    while at < len(probabilities):
        for mine, given in zip(shares, by_lane, strict=True):
            if mine.judged > turn:
                given.append(probabilities[at])
                at += 1
        turn += 1
    return by_lane
