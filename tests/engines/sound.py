"""Sounds to test with, and what can be measured of a sound."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def tone(frequency: float, seconds: float, rate: int, peak: int = 8000) -> bytes:
    """A sine, s16le."""
    times = np.arange(round(seconds * rate)) / rate
    return bytes((peak * np.sin(2 * np.pi * frequency * times)).astype("<i2").tobytes())


def samples(pcm: bytes) -> Samples:
    """s16le as numbers, full scale 1.0."""
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


def loudness(pcm: bytes) -> float:
    """Root mean square, full scale 1.0."""
    return float(np.sqrt(np.mean(samples(pcm) ** 2)))


def strongest_frequency(pcm: bytes, rate: int) -> float:
    """The highest line of the spectrum, Hz."""
    sound = samples(pcm)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * rate / len(sound)


def signal_to_noise(pcm: bytes, frequency: float, rate: int) -> float:
    """How far a tone stands above everything else, dB, measured away from the edges."""
    sound = samples(pcm)[rate // 10 : -rate // 10]
    times = np.arange(len(sound)) / rate
    basis = np.stack([np.sin(2 * np.pi * frequency * times), np.cos(2 * np.pi * frequency * times)], axis=1)
    wanted = basis @ np.linalg.lstsq(basis, sound, rcond=None)[0]
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((sound - wanted) ** 2)))


def fundamental(pcm: bytes, rate: int) -> float:
    """The median pitch of the voiced parts, Hz, by autocorrelation; 0 when there are none."""
    sound, size = samples(pcm), rate // 20
    found = [_pitch(sound[at : at + size], rate) for at in range(0, len(sound) - size, size // 2)]
    voiced = [pitch for pitch in found if pitch]
    return float(np.median(voiced)) if voiced else 0.0


def _pitch(window: Samples, rate: int) -> float:
    if np.sqrt(np.mean(window**2)) < 0.025:
        return 0.0
    spectrum = np.abs(np.fft.rfft((window - window.mean()) * np.hanning(len(window)), 4 * len(window))) ** 2
    likeness = np.fft.irfft(spectrum)[: len(window)]
    likeness /= likeness[0]
    low, high = rate // 500, rate // 55
    best = low + int(np.argmax(likeness[low:high]))
    for lag in range(low + 1, high - 1):  # the first peak nearly as high as the best: not an octave below
        if likeness[lag] > 0.85 * likeness[best] and likeness[lag - 1] <= likeness[lag] >= likeness[lag + 1]:
            best = lag
            break
    return rate / best if likeness[best] > 0.35 else 0.0
