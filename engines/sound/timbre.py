"""What a voice sounds like as far as it can be measured and moved: its pitch, its range, the tone of its long mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.sound.spectra import Levels, Sound, decibels, frequencies, spectra_of, window_of

BANDS = 36
LOWEST_HZ, HIGHEST_HZ = 90.0, 7_500.0
_WINDOW_S = 0.032
_MOST_DB = 9.0  # a band is moved no farther
_WARP_POWER = 0.27  # voices an octave apart have formants a fifth of one apart
_WARPS = (0.82, 1.22)
_RATIOS = (0.5, 2.0)  # between two ranges
_RANGE_LEAST = 0.5  # semitones


@dataclass(frozen=True, slots=True)
class Timbre:
    """A voice."""

    pitch: float  # median, Hz
    spread: float  # semitones from the 10th to the 90th percentile
    bands: tuple[float, ...]  # mean power of its loud moments, dB


def bands_of(sound: Sound, rate: int) -> tuple[Levels, int]:
    """The power of one channel in each band, added up over its loud moments, and how many those are."""
    power = np.abs(spectra_of(sound, window_of(rate, _WINDOW_S))) ** 2
    level = power.mean(axis=1)
    loud = power[level > 0.01 * np.quantile(level, 0.95)]
    hertz = frequencies(power.shape[1], rate)
    places = np.digitize(hertz, np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)) - 1
    total = np.zeros(BANDS)
    for band in range(BANDS):
        inside = places == band
        if inside.any():
            total[band] = float(loud[:, inside].mean(axis=1).sum())
    return total, len(loud)


def timbre_of(pitches: Sequence[float], power: Levels) -> Timbre | None:
    """A voice by the pitch of its voiced moments and its bands' power; None when there is too little."""
    if len(pitches) < 20:
        return None
    middle = float(np.median(pitches))
    near = np.asarray([pitch for pitch in pitches if 0.55 < pitch / middle < 1.8])
    low, high = np.percentile(near, (10, 90))
    spread = max(_RANGE_LEAST, float(12 * np.log2(high / low)))
    known = np.where(power > 0, decibels(power), np.nan)
    bands = np.where(np.isnan(known), np.nanmin(known) if (power > 0).any() else 0.0, known)
    return Timbre(middle, spread, tuple(float(level) for level in bands))


def warp_between(source: Timbre, target: Timbre) -> float:
    """How much higher the target's formants are likely to be."""
    return float(np.clip((target.pitch / source.pitch) ** _WARP_POWER, *_WARPS))


def moved(pitch: Levels, source: Timbre, target: Timbre, *, semitones: float = 0.0, wider: float = 1.0) -> Levels:
    """A melody in the target's range; what is 0 stays so. ``semitones`` higher and so much ``wider`` besides."""
    ratio = float(np.clip(target.spread / source.spread, *_RATIOS)) * wider
    away = np.log2(np.maximum(pitch, 1.0) / source.pitch)
    found = target.pitch * 2.0 ** (away * ratio + semitones / 12)
    return np.where(pitch > 0, np.clip(found, 50.0, 600.0), 0.0)


def tone_gains(sound: Sound, rate: int, bins: int, target: Timbre) -> Levels:
    """What to multiply each bin of a sound with, to have the tone of the target."""
    power, _ = bands_of(sound, rate)
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)
    centres = np.sqrt(edges[1:] * edges[:-1])
    there = power > 0
    if not there.any():
        return np.ones(bins, np.float32)
    away = np.asarray(target.bands)[there] - decibels(power[there])
    away = np.convolve(np.pad(away, 2, "edge"), np.ones(5) / 5, "valid")
    away = np.clip(away - np.median(away), -_MOST_DB, _MOST_DB)
    curve = np.interp(np.log(np.maximum(frequencies(bins, rate), 1.0)), np.log(centres[there]), away)
    return np.asarray(10 ** (curve / 20), np.float32)
