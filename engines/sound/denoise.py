"""Steady noise out of speech: the log-spectral amplitude estimator of Ephraim and Malah (1985).

What a bin falls to again and again is taken for its noise. How far speech stands above it is decided from what was kept
of the moment before (decision-directed), which is what keeps the residue from chirping.
"""

import numpy as np

from engines.sound.spectra import Levels, Spectra

FLOORS_DB = {1: -9.0, 2: -15.0, 3: -24.0}  # by strength: how far noise is lowered, at most
_OVER = {1: 0.85, 2: 1.05, 3: 1.4}  # by strength: how much noise is taken for more than it was found to be
_SMOOTH = 0.85  # of power over time, before its low points are looked for
_LOW = 0.15  # the share of moments that are held to be noise alone
_BIAS = 1.65  # those low points lie below the mean of the noise; measured on white noise
_INERTIA = 0.94  # how much the moment before counts
_LEAST = 10 ** (-25 / 10)  # of the ratio of speech to noise
_E1_SERIES = (0.00107857, -0.00976004, 0.05519968, -0.24991055, 0.99999193, -0.57721566)
_DEAD = 1e-10  # power of a moment that is digital silence


def noise_of(power: Levels) -> Levels:
    """The power of the noise in each bin of some spectra (moments x bins)."""
    alive = power[power.mean(axis=1) > _DEAD]
    if len(alive) < 8:
        return np.zeros(power.shape[1], np.float32)
    smooth = np.empty_like(alive)
    held = alive[:8].mean(axis=0)
    for index, now in enumerate(alive):
        held = _SMOOTH * held + (1 - _SMOOTH) * now
        smooth[index] = held
    low = np.quantile(smooth, _LOW, axis=0) * _BIAS
    return np.asarray(np.convolve(low, np.ones(3) / 3, "same"), np.float32)  # one bin knows too little


def gains(power: Levels, noise: Levels, strength: int) -> Levels:
    """What to multiply each bin of each moment with."""
    floor = 10 ** (FLOORS_DB[strength] / 20)
    noise = np.maximum(noise * _OVER[strength], 1e-14)
    found = np.empty(power.shape, np.float32)
    kept = noise.copy()
    for index, now in enumerate(power):
        above = np.minimum(now / noise, 1e4)
        ratio = _INERTIA * kept / noise + (1 - _INERTIA) * np.maximum(above - 1, 0)
        ratio = np.maximum(ratio, _LEAST)
        wiener = ratio / (1 + ratio)
        gain = wiener * np.exp(0.5 * _exponential_integral(np.maximum(wiener * above, 1e-4)))
        gain = np.minimum(gain, 1.0)
        kept = gain**2 * now
        found[index] = np.maximum(gain, floor)
    return found


def denoised(channels: list[Spectra], strength: int) -> tuple[list[Spectra], float]:
    """All channels under the same gains, so that nothing moves between them; and how much power was taken, dB."""
    power = np.mean([np.abs(spectra) ** 2 for spectra in channels], axis=0)
    gain = gains(power, noise_of(power), strength)
    total = float(power.sum())
    left = float((power * gain**2).sum())
    return [spectra * gain for spectra in channels], 10 * float(np.log10(max(left, 1e-12) / max(total, 1e-12)))


def _exponential_integral(values: Levels) -> Levels:
    """E1 by Abramowitz and Stegun's 5.1.53 and 5.1.56, good to a few parts in a million."""
    small = np.minimum(values, 1.0)
    series = np.polyval(_E1_SERIES, small) - np.log(small)
    large = np.maximum(values, 1.0)
    above = large * (large + 2.334733) + 0.250621
    below = large * (large + 3.330657) + 1.681534
    return np.where(values < 1.0, series, np.exp(-large) * above / (large * below))
