"""Which voice prints are of the same speaker: bottom-up clustering by how alike they are, with the number of speakers
given or found out.

Pure. Alike is the mean of the cosines between two clusters' prints, so a cluster is no more than the sum of its prints
and how many they are. However many there are, no more than ``MOST`` are compared with each other at a time: parts of a
long recording are clustered by themselves first, and what came of them together.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from protocol.work import MOST_SPEAKERS

MOST = 600  # prints that are compared with each other
ALIKE = 0.48  # speakers that are this alike are one, where nothing else tells
# Where it is clear who is the same and who is not, the likenesses of those that are joined fall all at once. Such a gap
# counts if those above it are at least, and those below it at most so alike.
GAP = 0.15
SAME, OTHERS = 0.42, 0.62
_TOP = 0.65  # how alike prints of one speaker are, where only one join of speakers is seen
_SURE = 0.7  # the same within a part of a long recording, where a mistake could not be mended any more
_SHARE = 0.02  # of all that is heard: who has less of it is no speaker but a mistake ...
_LEAST_S, _ENOUGH_S = 1.0, 10.0  # ... but nobody of whom less, or more than so much was heard

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The speakers found: of each the direction of its prints, of length 1."""

    centres: Floats

    def nearest(self, prints: Floats) -> Numbers:
        """Which each print is likest to."""
        nearest: Numbers = (prints @ self.centres.T).argmax(axis=1)
        return nearest


@dataclass(slots=True)
class _Groups:
    """Prints in groups: their sums, how many they are, and how many seconds were heard of them."""

    sums: Floats
    counts: Floats
    seconds: Floats

    def __len__(self) -> int:
        return len(self.sums)

    def joined(self, labels: Numbers) -> "_Groups":
        """Groups of the groups."""
        many = int(labels.max()) + 1
        sums = np.zeros((many, self.sums.shape[1]), np.float32)
        counts, seconds = np.zeros(many, np.float32), np.zeros(many, np.float32)
        np.add.at(sums, labels, self.sums)
        np.add.at(counts, labels, self.counts)
        np.add.at(seconds, labels, self.seconds)
        return _Groups(sums, counts, seconds)

    def part(self, first: int, last: int) -> "_Groups":
        """Some of them."""
        return _Groups(self.sums[first:last], self.counts[first:last], self.seconds[first:last])


def cluster(prints: Floats, seconds: Floats, speakers: int = 0) -> Clusters:
    """The speakers of some prints, at least one, each of so many seconds; ``speakers`` is how many, 0: find out."""
    groups = _Groups(prints, np.ones(len(prints), np.float32), seconds)
    while len(groups) > MOST:
        groups = _reduced(groups)
    merges = _merges(groups)
    labels = _cut(groups, merges, speakers) if speakers else _labels(len(groups), merges, _threshold(groups, merges))
    found = groups.joined(labels)
    kept = _large(found, seconds)
    most = speakers or MOST_SPEAKERS
    if kept.sum() > most or (speakers and kept.sum() < speakers):
        kept = np.zeros(len(found), bool)
        kept[np.argsort(-found.seconds, kind="stable")[:most]] = True
    centres = found.sums[kept]
    return Clusters(centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), np.float32(1e-9)))


def _reduced(groups: _Groups) -> _Groups:
    """Fewer groups: those of each part that are surely the same, and always some."""
    labels, many = np.zeros(len(groups), np.intp), 0
    for first in range(0, len(groups), MOST):
        part = groups.part(first, first + MOST)
        merges = _merges(part)
        sure = sum(alike >= _SURE for _, _, alike in merges)
        own = _after(len(part), merges, max(sure, len(part) // 2))
        labels[first : first + MOST] = own + many
        many += int(own.max()) + 1
    return groups.joined(labels)


def _merges(groups: _Groups) -> list[tuple[int, int, float]]:
    """The two likest, joined again and again until one is left: which two (by a member of each), and how alike."""
    many = len(groups)
    counts = groups.counts.astype(np.float64)
    alike = (groups.sums @ groups.sums.T).astype(np.float64) / np.outer(counts, counts)
    np.fill_diagonal(alike, -np.inf)
    best = alike.argmax(axis=1) if many > 1 else np.zeros(many, np.intp)
    tops = alike[np.arange(many), best]
    merges: list[tuple[int, int, float]] = []
    for _ in range(many - 1):
        first = int(tops.argmax())
        second = int(best[first])
        merges.append((first, second, float(tops[first])))
        total = counts[first] + counts[second]
        row = (counts[first] * alike[first] + counts[second] * alike[second]) / total
        counts[first] = total
        row[[first, second]] = -np.inf
        alike[first], alike[:, first] = row, row
        alike[second], alike[:, second] = -np.inf, -np.inf
        tops[second] = -np.inf
        stale = np.flatnonzero(((best == first) | (best == second)) & np.isfinite(tops))
        for one in {first, *(int(one) for one in stale)}:
            best[one] = alike[one].argmax()
            tops[one] = alike[one, best[one]]
    return merges


def _threshold(groups: _Groups, merges: list[tuple[int, int, float]]) -> float:
    """From which likeness on two are the same: where the likenesses of what is joined first fall, else ``ALIKE``.

    Only joins of two that would both be speakers count.
    """
    seconds, wanted = groups.seconds.copy(), _wanted(groups.seconds)
    joins: list[float] = []
    for first, second, alike in merges:
        if min(seconds[first], seconds[second]) >= wanted:
            joins.append(alike)
        seconds[first] += seconds[second]
    joins.sort(reverse=True)
    joins.insert(0, max(_TOP, joins[0]) if joins else _TOP)
    falls = [(above, below) for above, below in pairwise(joins) if above >= SAME and below <= OTHERS]
    return next(((above + below) / 2 for above, below in falls if above - below >= GAP), ALIKE)


def _labels(many: int, merges: list[tuple[int, int, float]], alike: float) -> Numbers:
    """The groups when all that are so alike are joined."""
    # The mean of cosines never makes a later pair likelier than an earlier one but by rounding.
    return _after(many, merges, sum(likeness >= alike for _, _, likeness in merges))


def _after(many: int, merges: list[tuple[int, int, float]], steps: int) -> Numbers:
    """The groups after so many joins, numbered from 0."""
    root = list(range(many))
    for first, second, _ in merges[:steps]:
        root[second] = first
    labels = np.empty(many, np.intp)
    for one in range(many):
        top = one
        while root[top] != top:
            top = root[top]
        labels[one] = top
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def _cut(groups: _Groups, merges: list[tuple[int, int, float]], speakers: int) -> Numbers:
    """The groups at the last join that leaves so many that are worth the name; else just so many."""
    many = len(groups)
    for steps in range(max(many - speakers, 0), -1, -1):
        labels = _after(many, merges, steps)
        if _large(groups.joined(labels), groups.seconds).sum() >= speakers:
            return labels
    return _after(many, merges, max(many - speakers, 0))


def _large(found: _Groups, seconds: Floats) -> npt.NDArray[np.bool_]:
    """Those of which enough was heard; the largest always."""
    large: npt.NDArray[np.bool_] = found.seconds >= _wanted(seconds)
    large[int(found.seconds.argmax())] = True
    return large


def _wanted(seconds: Floats) -> float:
    """How much must be heard of somebody, of all that is heard."""
    return min(max(_LEAST_S, _SHARE * float(seconds.sum())), _ENOUGH_S)
