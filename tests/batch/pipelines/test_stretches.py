"""Cutting a recording: all speech is in a stretch, none is too long, and cuts are where nobody speaks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.pipelines.stretches import LONGEST_S, WINDOW_S, Stretch, stretches


def likely(*spans: tuple[float, float], seconds: float, low: float = 0.02) -> list[float]:
    windows = [index * WINDOW_S for index in range(round(seconds / WINDOW_S))]
    return [0.95 if any(start <= at < end for start, end in spans) else low for at in windows]


def found(*spans: tuple[float, float], seconds: float) -> list[Stretch]:
    return stretches(likely(*spans, seconds=seconds), seconds)


def test_speech_with_a_little_around_it() -> None:
    (it,) = found((2.0, 4.0), seconds=10)
    assert (it.start, it.end) == pytest.approx((1.7, 4.3), abs=0.05)


def test_silence_has_no_stretches() -> None:
    assert found(seconds=10) == []
    assert stretches([], 0.0) == []
    assert found((3.0, 3.05), seconds=10) == []  # a click


def test_close_utterances_are_heard_together_and_distant_ones_apart() -> None:
    assert len(found((1.0, 3.0), (3.8, 5.0), seconds=10)) == 1
    assert len(found((1.0, 3.0), (5.0, 7.0), seconds=10)) == 2


def test_a_short_silence_does_not_end_an_utterance_and_a_weak_moment_neither() -> None:
    probabilities = likely((1.0, 3.0), seconds=5)
    for index in range(round(2.0 / WINDOW_S), round(2.2 / WINDOW_S)):
        probabilities[index] = 0.4  # below the threshold, above its hysteresis
    assert len(stretches(probabilities, 5.0)) == 1


def test_speech_to_the_very_end_and_from_the_very_beginning() -> None:
    (it,) = found((0.0, 4.0), seconds=4.0)
    assert (it.start, it.end) == (0.0, 4.0)


def test_speech_without_a_pause_is_cut_where_it_is_least_likely() -> None:
    probabilities = likely((0.0, 60.0), seconds=60)
    weak = [round(at / WINDOW_S) for at in (20.0, 40.0)]
    for index in weak:
        probabilities[index] = 0.6
    cuts = [it.end for it in stretches(probabilities, 60.0)][:-1]
    assert cuts == pytest.approx([20.0, 40.0], abs=0.05)


def test_a_higher_threshold_hears_less() -> None:
    probabilities = [0.6] * 100
    assert stretches(probabilities, 3.2, 0.5)
    assert not stretches(probabilities, 3.2, 0.7)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400)), max_size=30), st.floats(0.05, 0.95))
def test_whatever_is_likely(runs: list[tuple[float, int]], threshold: float) -> None:
    """In order, apart from each other, inside the recording, short enough; and no loud speech is left out."""
    probabilities = [probability for probability, count in runs for _ in range(count)]
    seconds = len(probabilities) * WINDOW_S
    cut = stretches(probabilities, seconds, threshold)
    assert all(0 <= it.start < it.end <= seconds and it.seconds <= LONGEST_S + 1e-6 for it in cut)
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(cut))
    spoken = [index for index, probability in enumerate(probabilities) if probability >= threshold]
    for first, last in ((i, i + 3) for i in range(len(probabilities) - 3)):
        if all(index in spoken for index in range(first, last + 1)):
            middle = (first + last + 1) / 2 * WINDOW_S
            assert any(it.start <= middle <= it.end for it in cut)
            break
