"""Where cues go: at their times, never before, never cut, and all within 5 % where that can be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.dubbing import EASY, FASTEST, GAP_S, NATURAL, TOLERANCE, Placed, Slot, place, total_of


def of(*slots: tuple[float, float, float]) -> list[Placed]:
    return place([Slot(*slot) for slot in slots])


def test_what_fits_is_left_alone() -> None:
    assert of((1, 3, 1.5), (4, 6, 2)) == [Placed(1, 2.5, 1), Placed(4, 6, 1)]


def test_a_little_too_long_is_hurried_a_little() -> None:
    (first, _) = of((0, 2, 2.2), (10, 12, 1))
    assert first.tempo == pytest.approx(1.1)
    assert first.end == pytest.approx(2.0)


def test_then_the_silence_before_the_next_is_taken() -> None:
    (first, second) = of((0, 2, 3.45), (3.2, 5, 1))
    assert (first.start, first.tempo) == (0, EASY)
    assert first.end == pytest.approx(3.0)
    assert second.start == 3.2


def test_then_it_is_hurried_as_far_as_sounds_natural() -> None:
    (first, second) = of((0, 2, 2.6), (2, 4, 1))
    assert first.end == pytest.approx(2 - GAP_S)
    assert EASY < first.tempo <= NATURAL
    assert second.start == 2


def test_then_the_next_is_late_and_catches_up() -> None:
    first, second, third = of((0, 2, 3.5), (2, 4, 1.7), (4, 6, 1))
    assert first.tempo == NATURAL
    assert second.start == pytest.approx(3.5 / NATURAL + GAP_S)
    assert 1 < second.tempo <= NATURAL
    assert third.start == 4


def test_overlapping_cues_follow_each_other() -> None:
    first, second = of((0, 4, 3), (1, 5, 1))
    assert second.start >= first.end + GAP_S
    first, second = of((0, 4, 3), (0, 4, 1))
    assert second.start >= first.end


def test_a_cue_of_no_time_is_spoken_all_the_same() -> None:
    first = of((2, 2, 1.0), (10, 12, 1))[0]
    assert (first.start, first.tempo) == (2, EASY)


def test_the_end_of_a_dense_file_is_kept_by_more_hurry() -> None:
    slots = [Slot(2.0 * n, 2.0 * n + 2, 3.4) for n in range(10)]
    placed = place(slots)
    assert placed[-1].end <= 20 * (1 + TOLERANCE) + 1e-6
    assert NATURAL < max(one.tempo for one in placed) < FASTEST
    gentler = [Slot(2.0 * n, 2.0 * n + 2, 2.7) for n in range(10)]
    assert max(one.tempo for one in place(gentler)) <= NATURAL


def test_what_cannot_be_said_in_the_time_takes_longer() -> None:
    placed = place([Slot(float(n), n + 1.0, 5.0) for n in range(4)])
    assert all(one.tempo == FASTEST for one in placed)
    assert placed[-1].end > 4 * (1 + TOLERANCE)


def test_a_longer_total_gives_the_last_cue_more_room() -> None:
    """Cues without words may follow the last that has some."""
    slots = [Slot(0, 2, 3.0)]
    assert place(slots)[0].tempo == pytest.approx(1.5, rel=0.1)
    assert place(slots, 10.0)[0].tempo == EASY


def test_nothing_is_nothing() -> None:
    assert place([]) == []
    assert total_of([]) == 0.0


TIMES = st.floats(0, 100)
SLOTS = st.lists(st.tuples(TIMES, st.floats(0, 10), st.floats(0.05, 20)), min_size=1, max_size=30)


@given(SLOTS)
def test_whatever_the_cues(rows: list[tuple[float, float, float]]) -> None:
    slots = [Slot(start, start + span, length) for start, span, length in sorted(rows)]
    placed = place(slots)
    for slot, one in zip(slots, placed, strict=True):
        assert one.start >= slot.start, "never before its time"
        assert one.end - one.start == pytest.approx(slot.length / one.tempo), "never cut"
        assert 1 <= one.tempo <= FASTEST
    for before, after in pairwise(placed):
        assert after.start >= before.end + GAP_S - 1e-9
    for (_, before), (slot, after) in pairwise(zip(slots, placed, strict=True)):
        assert after.start == pytest.approx(max(slot.start, before.end + GAP_S)), "at its time, or as soon as may be"
    latest = total_of(slots) * (1 + TOLERANCE)
    if placed[-1].end > latest + 1e-6:
        possible = [Slot(slot.start, slot.end, slot.length / FASTEST) for slot in slots]
        free = 0.0
        for slot in possible:
            free = max(slot.start, free) + slot.length + GAP_S
        assert free - GAP_S > latest or max(one.tempo for one in placed) == FASTEST
