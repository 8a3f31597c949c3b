"""When each token was said, from where the decoder looked while it wrote it: dynamic time warping over attention."""

import numpy as np
import numpy.typing as npt

_WIDTH = 7  # positions a median is taken over

Attention = npt.NDArray[np.float32]  # heads x tokens x positions


def align(attention: Attention) -> list[tuple[int, int]]:
    """(token, position) pairs, both rising: what was looked at for each token, all heads considered."""
    if 0 in attention.shape:
        return []
    spread = attention.std(axis=1, keepdims=True)
    sharp = (attention - attention.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-9)
    return cheapest_path(-_smoothed(sharp).mean(axis=0))


def cheapest_path(cost: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    """The way from the first corner to the last that costs least, one step down, right or both at a time."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    came = np.zeros((rows + 1, columns + 1), np.int8)
    for diagonal in range(2, rows + columns + 1):  # the cells of one do not depend on each other
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        column = diagonal - row
        before = np.stack([total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]])
        came[row, column] = before.argmin(axis=0)
        total[row, column] = cost[row - 1, column - 1] + before.min(axis=0)
    path = []
    row, column = rows, columns
    while row > 0 and column > 0:
        path.append((int(row) - 1, int(column) - 1))
        step = came[row, column]
        row, column = row - (step != 2), column - (step != 1)
    return path[::-1]


def _smoothed(weights: Attention) -> Attention:
    """The median of each position and its neighbours."""
    edge = _WIDTH // 2
    if weights.shape[-1] <= edge:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (edge, edge)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WIDTH, axis=-1)
    medians: Attention = np.median(windows, axis=-1)
    return medians
