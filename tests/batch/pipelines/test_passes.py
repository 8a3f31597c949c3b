"""Stretches joined: nothing is lost, whatever the overlap, and what does not match meets where it is quiet."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch.pipelines.passes import Joint, cuts


@given(st.integers(0, 20_000), st.sampled_from([1.0, 2.5, 8.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_stretches_cover_a_recording_and_overlap(frames: int, stretch_s: float, overlap_s: float) -> None:
    parts = list(cuts(frames, 100, stretch_s, overlap_s))
    assert parts[0][0] == 0 and sum(parts[-1][:2]) == frames
    assert [last for _, _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert all(start + count - after[0] == round(100 * overlap_s) for (start, count, _), after in pairwise(parts))


@given(st.integers(0, 5_000), st.integers(1, 2), st.integers(0, 100), st.booleans())
def test_what_is_joined_is_what_was_cut(frames: int, channels: int, fade: int, quiet: bool) -> None:
    """To the last bit."""
    sound = np.random.default_rng(frames).integers(-30_000, 30_000, (frames, channels)).astype("<i2")
    out: list[bytes] = []
    joint = Joint(out.append, channels, 100, fade, quiet=10 if quiet else 0)
    for start, count, last in cuts(frames, 100, 6.0, 1.0):
        joint.add(sound[start : start + count].tobytes(), last)
    assert b"".join(out) == sound.tobytes()


def test_two_that_differ_meet_where_it_is_quiet() -> None:
    """As little as possible of either is heard through the other."""
    out: list[bytes] = []
    joint = Joint(out.append, 1, 100, 10, quiet=10)
    first = np.full(300, 1000, "<i2")
    first[230:250] = 0
    joint.add(first.tobytes(), False)
    joint.add(np.full(300, -1000, "<i2").tobytes(), True)
    joined = np.frombuffer(b"".join(out), "<i2")
    assert len(joined) == 500
    assert (joined[:230] == 1000).all() and (joined[240:] == -1000).all()
