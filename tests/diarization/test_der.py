"""The scorer itself, on turns whose error is known."""

import pytest

from protocol.turns import Turn
from tests.diarization.der import score

REAL = [Turn(0.0, 10.0, 0), Turn(10.0, 20.0, 1)]


def test_the_same_turns_under_other_numbers_are_right() -> None:
    assert score(REAL, [Turn(0.0, 10.0, 5), Turn(10.0, 20.0, 2)]).rate == 0.0


def test_what_lies_within_the_collar_does_not_count() -> None:
    assert score(REAL, [Turn(0.1, 10.2, 0), Turn(10.2, 19.8, 1)]).rate == 0.0
    assert score(REAL, [Turn(0.0, 10.2, 0), Turn(10.2, 20.0, 1)], collar_s=0.0).rate == pytest.approx(0.01, abs=1e-3)


def test_each_kind_of_error_is_told_apart() -> None:
    missed = score(REAL, [Turn(0.0, 10.0, 0)], collar_s=0.0)
    assert (missed.missed, missed.made_up, missed.confused) == pytest.approx((10.0, 0.0, 0.0))
    confused = score(REAL, [Turn(0.0, 20.0, 0)], collar_s=0.0)
    assert (confused.missed, confused.made_up, confused.confused) == pytest.approx((0.0, 0.0, 10.0))
    made_up = score(REAL, [*REAL, Turn(5.0, 8.0, 2)], collar_s=0.0)
    assert (made_up.missed, made_up.made_up, made_up.confused) == pytest.approx((0.0, 3.0, 0.0))
    assert made_up.rate == pytest.approx(0.15)


def test_nothing_said_and_nothing_found_is_no_error() -> None:
    assert score([], []).rate == 0.0
