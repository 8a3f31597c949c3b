"""Prints of the same voice come together, however many there are, and the number of speakers is found or kept to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.pipelines.clustering import MOST, Floats, cluster
from protocol.work import MOST_SPEAKERS


def voices(counts: list[int], seed: int, spread: float = 0.5) -> tuple[Floats, np.ndarray]:
    """Prints of some speakers, in any order: directions far apart, each with noise of so many times its length."""
    random = np.random.default_rng(seed)
    who = random.permutation(np.repeat(np.arange(len(counts)), counts))
    centres = np.linalg.qr(random.normal(size=(192, len(counts))))[0].T
    prints = centres[who] + random.normal(size=(len(who), 192)) * spread / np.sqrt(192)
    return (prints / np.linalg.norm(prints, axis=1, keepdims=True)).astype(np.float32), who


def agree(found: np.ndarray, who: np.ndarray) -> bool:
    """The same partition, whatever the numbers."""
    pairs = set(zip(found.tolist(), who.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(who.tolist()))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(3, 25), min_size=1, max_size=6), st.integers(0, 1000))
def test_voices_that_differ_are_told_apart(counts: list[int], seed: int) -> None:
    prints, who = voices(counts, seed)
    seconds = np.full(len(prints), 3.0, np.float32)
    for clusters in (cluster(prints, seconds), cluster(prints, seconds, len(counts))):
        assert agree(clusters.nearest(prints), who)
        assert np.linalg.norm(clusters.centres, axis=1) == pytest.approx(1.0, abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 1000))
def test_there_are_as_many_speakers_as_were_asked_for(many: int, asked: int, seed: int) -> None:
    prints, _ = voices([many], seed, spread=2.0)
    clusters = cluster(prints, np.full(many, 2.0, np.float32), asked)
    assert len(clusters.centres) == min(asked, many)


def test_a_moment_of_noise_is_no_speaker() -> None:
    prints, who = voices([40, 40, 1], 3)
    seconds = np.where(who == 2, 1.5, 4.0).astype(np.float32)
    assert len(cluster(prints, seconds).centres) == 2


def test_many_prints_are_clustered_part_by_part() -> None:
    prints, who = voices([900, 700, 500, 40], 5)
    assert len(prints) > 3 * MOST
    assert agree(cluster(prints, np.full(len(prints), 3.0, np.float32)).nearest(prints), who)


def test_a_crowd_is_no_more_than_can_be_told_apart() -> None:
    prints, _ = voices([4] * 30, 2)
    seconds = np.full(len(prints), 3.0, np.float32)
    assert len(cluster(prints, seconds).centres) == MOST_SPEAKERS


def test_one_print_is_one_speaker() -> None:
    prints, _ = voices([1], 0)
    assert len(cluster(prints, np.ones(1, np.float32)).centres) == 1


@pytest.mark.parametrize(
    ("speakers", "within", "between"),
    [
        (1, 0.85, 0.0),  # one, recorded well
        (1, 0.6, 0.0),  # one, recorded badly
        (3, 0.85, 0.55),  # voices that resemble each other, recorded well
        (3, 0.6, 0.35),  # people, on bad microphones
        (2, 0.5, 0.05),  # two who could not differ more, on worse ones
    ],
)
def test_how_many_there_are_is_seen_from_how_alike_they_are(speakers: int, within: float, between: float) -> None:
    random = np.random.default_rng(6)
    axes = np.linalg.qr(random.normal(size=(192, speakers + 1)))[0].T
    common = between / within
    centres = np.sqrt(common) * axes[0] + np.sqrt(1 - common) * axes[1:]
    who = np.repeat(np.arange(speakers), 20)
    noise = random.normal(size=(len(who), 192))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    prints = (np.sqrt(within) * centres[who] + np.sqrt(1 - within) * noise).astype(np.float32)
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    clusters = cluster(prints, np.full(len(who), 3.0, np.float32))
    assert len(clusters.centres) == speakers
    assert agree(clusters.nearest(prints), who)
