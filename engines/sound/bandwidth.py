"""The upper band that a telephone or a low rate left out, made up from the band below it (spectral band replication).

It is not what was lost: nobody can know that. The upper half of what is there is moved up and made to fall as the sound
already falls, so fricatives hiss and vowels shine where they did.
"""

import numpy as np

from engines.sound.spectra import OVERLAP, Levels, Spectra, decibels, frequencies

RATE = 48_000  # of what comes out
FULL_HZ = 14_000.0  # a sound that reaches so far needs nothing
HIGHEST_HZ = 20_000.0
_LOWEST_HZ = 2_000.0  # a sound that ends below has nothing to be moved up
_DEEP_DB = -60.0  # below the loudest band: nothing is there
_BANDS_HZ = 200.0
_SLOPES_DB = (-12.0, -6.0)  # an octave: between these a made-up band falls
_STEP_DB = -3.0  # what is made up stays a little below what it continues
_FADE_HZ = 300.0


def reach_of(mean_power: Levels, rate: int) -> float:
    """Up to which frequency there is sound, Hz, by the mean power of each bin; 0 for silence."""
    width = max(1, round(_BANDS_HZ / (rate / 2) * (len(mean_power) - 1)))
    bands = mean_power[: len(mean_power) // width * width].reshape(-1, width).mean(axis=1)
    if bands.max() <= 1e-12:
        return 0.0
    loud = np.flatnonzero(decibels(bands / bands.max()) > _DEEP_DB)
    return float((loud[-1] + 1) * width * rate / 2 / (len(mean_power) - 1))


def can_extend(reach: float) -> bool:
    """Whether a sound that ends at ``reach`` Hz lacks an upper band, and has one to make it from."""
    return _LOWEST_HZ <= reach < FULL_HZ


def extended(spectra: Spectra, reach: float) -> Spectra:
    """Spectra at ``RATE`` whose sound ends at ``reach`` Hz, with what lies above made up."""
    if not can_extend(reach):
        return spectra
    hertz = frequencies(spectra.shape[1], RATE)
    width = hertz[1]
    # Moved by multiples of ``OVERLAP`` bins a band keeps its phase from window to window.
    top = int(reach * 0.96 / width) // OVERLAP * OVERLAP  # the very edge is a filter's slope
    patch = top // 2 // OVERLAP * OVERLAP
    slope, level = _fall(np.mean(np.abs(spectra) ** 2, axis=0), hertz, top - patch, top)
    result = spectra.copy()
    result[:, top:] *= _faded(hertz[top:], hertz[top])
    last = int(min(HIGHEST_HZ, RATE / 2) / width)
    for start in range(top, last, patch):
        end = min(start + patch, last)
        source = slice(top - patch, top - patch + end - start)
        wanted = level + slope * np.log2(hertz[start:end] / hertz[top]) + _STEP_DB
        there = level + slope * np.log2(hertz[source] / hertz[top])
        gain = 10 ** ((wanted - there) / 20) * (1 - _faded(hertz[start:end], hertz[top]))
        result[:, start:end] += spectra[:, source] * gain.astype(np.float32)
    return result


def _faded(hertz: Levels, edge: float) -> Levels:
    """From 1 at the edge to 0 a little above it."""
    return np.asarray(np.clip(1 - (hertz - edge) / _FADE_HZ, 0.0, 1.0), np.float32)


def _fall(power: Levels, hertz: Levels, first: int, last: int) -> tuple[float, float]:
    """How a band falls, dB an octave, and the level it comes to."""
    octaves = np.log2(hertz[first:last] / hertz[last])
    heard = decibels(power[first:last])
    slope = float(np.polyfit(octaves, heard, 1)[0])
    return min(max(slope, _SLOPES_DB[0]), _SLOPES_DB[1]), float(np.median(heard))
