import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.recording import Recording


def samples(start: int, end: int) -> bytes:
    return struct.pack(f"<{end - start}h", *range(start, end))


def test_cut_returns_the_samples_between_two_places() -> None:
    recording = Recording()
    recording.append(samples(0, 10))
    recording.append(samples(10, 20))
    assert recording.cut(5, 15) == samples(5, 15)
    assert (recording.start, recording.end) == (0, 20)


def test_what_is_forgotten_no_longer_takes_room_and_moves_no_place() -> None:
    recording = Recording()
    recording.append(samples(0, 100))
    recording.forget(60)
    recording.forget(40)
    assert recording.start == 60
    assert recording.cut(60, 100) == samples(60, 100)
    assert len(recording.cut(recording.start, recording.end)) == 80


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=20))
def test_places_count_from_the_beginning_whatever_was_forgotten(steps: list[tuple[int, int]]) -> None:
    recording, end, start = Recording(), 0, 0
    for fed, kept in steps:
        recording.append(samples(end, end + fed))
        end += fed
        recording.forget(end - kept)
        start = max(start, end - kept)
        assert (recording.start, recording.end) == (start, end)
        assert recording.cut(start, end) == samples(start, end)


def test_cut_leaves_nothing_that_would_stop_the_recording_from_growing() -> None:
    recording = Recording()
    recording.append(samples(0, 4))
    held = recording.cut(0, 4)
    recording.append(samples(4, 8))
    assert held == samples(0, 4)
    with pytest.raises(AttributeError):
        recording.other = 1  # type: ignore[attr-defined]  # a session has many of these: no __dict__
