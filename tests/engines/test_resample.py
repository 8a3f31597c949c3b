"""The live resampler: the same samples however the sound is cut, the right tones, no aliases, no lag to speak of."""

import itertools
import random

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.resample import Resampler, resample_file
from tests.engines.sound import loudness, samples, signal_to_noise, strongest_frequency, tone

RATES = (8000, 11025, 16000, 22050, 24000, 44100, 48000)
PAIRS = [(source, target) for source, target in itertools.permutations(RATES, 2) if 16000 in (source, target)]
SPOKEN = [(22050, target) for target in (8000, 24000, 32000, 44100, 48000)]
SOUND = tone(440, 0.5, 22050)


def converted(pcm: bytes, source: int, target: int, sizes: list[int] | None = None) -> bytes:
    resampler, at, out = Resampler(source, target), 0, []
    for size in sizes or [len(pcm) // 2]:
        out.append(resampler.push(pcm[2 * at : 2 * (at + size)]))
        at += size
    out.append(resampler.push(pcm[2 * at :]))
    return b"".join([*out, resampler.flush()])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([(22050, 8000), (8000, 16000), (48000, 16000), (22050, 48000)]), st.lists(st.integers(0, 2000)))
def test_cuts_make_no_difference(rates: tuple[int, int], sizes: list[int]) -> None:
    assert converted(SOUND, *rates, sizes) == converted(SOUND, *rates)


def test_a_long_call_in_20_ms_pieces_is_exact() -> None:
    noise = random.Random(7).randbytes(2 * 8000 * 20)
    assert converted(noise, 8000, 16000, [160] * 999) == converted(noise, 8000, 16000)


@pytest.mark.parametrize(("source", "target"), PAIRS + SPOKEN)
def test_length_tone_and_level_are_kept(source: int, target: int) -> None:
    out = converted(tone(1000, 1.0, source), source, target)
    assert abs(len(out) // 2 - target) <= 1
    assert strongest_frequency(out, target) == pytest.approx(1000, abs=2)
    assert loudness(out) == pytest.approx(8000 / 32768 / 2**0.5, rel=0.01)
    assert signal_to_noise(out, 1000, target) > 60


def test_what_cannot_be_represented_is_gone() -> None:
    out = converted(tone(6000, 1.0, 24000), 24000, 8000)
    assert loudness(out[800:-800]) < loudness(tone(6000, 1.0, 24000)) / 1000


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_lag_is_a_few_milliseconds(source: int, target: int) -> None:
    resampler, size = Resampler(source, target), 2 * (source // 50)
    given_out = 0
    for piece in range(1, 20):
        given_out += len(resampler.push(bytes(size)))
        assert piece * 0.02 * size / (2 * (source // 50)) - given_out / (2 * target) < 0.004


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_what_is_ready_of_pieces_of_any_size_comes_at_once(source: int, target: int) -> None:
    resampler, sizes = Resampler(source, target), random.Random(7)
    taken = given_out = 0
    for _ in range(60):
        size = sizes.choice([1, 80, 160, 441, 1000, 4096, 65_536])
        taken += size
        given_out += len(resampler.push(bytes(2 * size))) // 2
        assert taken / source - given_out / target < 0.004


def test_equal_rates_pass_through() -> None:
    resampler = Resampler(16000, 16000)
    assert resampler.push(SOUND) is SOUND
    assert resampler.flush() == b""


def test_nothing_in_nothing_out() -> None:
    resampler = Resampler(8000, 16000)
    assert resampler.push(b"") == b""
    assert resampler.flush() == b""
    assert resampler.flush() == b""


def test_after_a_flush_the_next_sound_starts_clean() -> None:
    resampler = Resampler(22050, 16000)
    first = resampler.push(SOUND) + resampler.flush()
    assert resampler.push(SOUND) + resampler.flush() == first


@pytest.mark.parametrize("rates", [(22050, 16000), (44100, 8000), (8000, 48000)])
def test_a_file_at_once_agrees_with_the_live_path(rates: tuple[int, int]) -> None:
    pcm = tone(440, 1.0, rates[0])
    whole, live = samples(resample_file(pcm, *rates)), samples(converted(pcm, *rates))
    assert abs(len(whole) - len(live)) <= 1
    middle = slice(len(whole) // 10, -len(whole) // 10)
    assert np.abs(whole[: len(live)][middle] - live[: len(whole)][middle]).max() < 0.002


def test_a_file_at_its_own_rate_is_itself() -> None:
    assert resample_file(SOUND, 22050, 22050) is SOUND
    assert resample_file(b"", 8000, 16000) == b""


def test_a_stream_has_no_threads_of_its_own() -> None:
    """A pool of one for each CPU would be ten thousands of threads on a busy server."""
    before = psutil.Process().num_threads()
    live = [Resampler(44100, 16000) for _ in range(8)]
    for resampler in live:
        resampler.push(bytes(4410))
    assert psutil.Process().num_threads() <= before
