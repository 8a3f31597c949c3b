"""Which position belongs to which token."""

from itertools import pairwise

import numpy as np
import pytest

from engines.stt.alignment import align, cheapest_path


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (5, 1), (4, 9), (9, 4)])
def test_a_path_goes_from_corner_to_corner_without_turning_back(rows: int, columns: int) -> None:
    cost = np.random.default_rng(rows * columns).standard_normal((rows, columns)).astype(np.float32)
    path = cheapest_path(cost)
    assert path[0] == (0, 0) and path[-1] == (rows - 1, columns - 1)
    steps = {(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(path)}
    assert steps <= {(0, 1), (1, 0), (1, 1)}


def test_no_other_path_is_cheaper() -> None:
    cost = np.random.default_rng(1).random((4, 5)).astype(np.float32)

    def best(row: int, column: int) -> float:
        here = float(cost[row, column])
        before = [(row - 1, column - 1), (row - 1, column), (row, column - 1)]
        there = [best(*place) for place in before if min(place) >= 0]
        return here + min(there, default=0.0)

    assert sum(float(cost[place]) for place in cheapest_path(cost)) == pytest.approx(best(3, 4))


def test_tokens_are_where_they_were_looked_for() -> None:
    begins = (10, 25, 60, 80)
    attention = np.full((2, 4, 100), 0.01, np.float32)
    for token, (begin, end) in enumerate(zip(begins, (*begins[1:], 100), strict=True)):
        attention[:, token, begin:end] = 0.5
    path = align(attention)
    first = {token: min(at for other, at in path if other == token) for token in range(4)}
    assert [first[token] for token in (1, 2, 3)] == pytest.approx(begins[1:], abs=4)


def test_next_to_nothing_can_be_aligned() -> None:
    assert align(np.zeros((1, 0, 5), np.float32)) == []
    assert align(np.full((1, 2, 1), 0.1, np.float32)) == [(0, 0), (1, 0)]
