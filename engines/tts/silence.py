"""The silence a model leaves around and inside a clause: cut off at its ends, shortened in the middle."""

from itertools import pairwise

import numpy as np

from engines.tts.loudness import Sound

_BLOCK_S = 0.01
_SILENT = 0.02  # of the loudest block
_EDGE_S = 0.03  # left at either end
_LONGEST_S = 0.5  # left in the middle


def without_silence(sound: Sound, rate: int) -> Sound:
    """The same without it; nothing of a sound that is nothing but silence."""
    size = max(1, round(_BLOCK_S * rate))
    count = len(sound) // size
    if not count:
        return sound[:0]
    levels = np.sqrt((sound[: count * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1))
    loud = np.flatnonzero(levels > _SILENT * levels.max())
    if not len(loud):
        return sound[:0]
    edge, longest = round(_EDGE_S / _BLOCK_S), round(_LONGEST_S / _BLOCK_S)
    first, last = max(0, int(loud[0]) - edge), min(count, int(loud[-1]) + 1 + edge)
    kept = np.zeros(count, np.bool_)
    kept[first:last] = True
    for before, after in pairwise(loud):
        excess = int(after - before) - 1 - longest
        if excess > 0:  # cut in its middle, where it is quietest
            start = int(before) + 1 + longest // 2
            kept[start : start + excess] = False
    return sound[: count * size].reshape(-1, size)[kept].reshape(-1)
