"""Sound as overlapping spectra, and back: what every tool here works on. Also samples as numbers, and back.

Windows are the square root of Hann's and overlap by three quarters, so what is not changed comes back as it was.
"""

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Code, VoiceError

OVERLAP = 4  # windows over each sample
_ROWS = 256  # windows worked on at a time, which bounds the memory
_FULL_SCALE = np.float32(32768.0)

Sound = NDArray[np.float32]  # samples, or channels x samples
Spectra = NDArray[np.complex64]  # moments x bins
Levels = NDArray[np.floating]


def samples_of(pcm: bytes, channels: int) -> Sound:
    """Interleaved s16le as channels x samples of full scale 1."""
    if channels not in (1, 2) or len(pcm) % (2 * channels):
        raise VoiceError(Code.BAD_REQUEST, "sound is treated as whole samples of one or two channels")
    sound = np.frombuffer(pcm, "<i2").reshape(-1, channels).T
    return np.ascontiguousarray(sound, np.float32) / _FULL_SCALE


def pcm_of(sound: Sound) -> bytes:
    """The inverse; what would pass full scale stops there."""
    whole = np.clip(np.rint(sound.T * _FULL_SCALE), -32768, 32767)
    return bytes(np.ascontiguousarray(whole).astype("<i2").tobytes())


def window_of(rate: int, seconds: float) -> int:
    """The power of two that is nearest to so long a window."""
    return int(2 ** round(np.log2(max(64.0, rate * seconds))))


def spectra_of(sound: Sound, size: int) -> Spectra:
    """The spectra of one channel, a quarter of a window apart; the first windows begin before it."""
    hop, window = size // OVERLAP, _window(size)
    moments = -(-len(sound) // hop) + OVERLAP - 1
    padded = np.zeros((moments - 1) * hop + size, np.float32)
    padded[size - hop : size - hop + len(sound)] = sound
    cut = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    spectra = np.empty((moments, size // 2 + 1), np.complex64)
    for row in range(0, moments, _ROWS):
        spectra[row : row + _ROWS] = np.fft.rfft(cut[row : row + _ROWS] * window, axis=1)
    return spectra


def sound_of(spectra: Spectra, length: int) -> Sound:
    """The inverse of ``spectra_of``."""
    size = 2 * (spectra.shape[1] - 1)
    hop, window = size // OVERLAP, _window(size) * np.float32(2 / OVERLAP)
    sound = np.zeros((len(spectra) - 1) * hop + size, np.float32)
    for row in range(0, len(spectra), _ROWS):
        pieces = np.fft.irfft(spectra[row : row + _ROWS], size, axis=1).astype(np.float32) * window
        for index, piece in enumerate(pieces, row):
            sound[index * hop : index * hop + size] += piece
    return sound[size - hop : size - hop + length]


def frequencies(bins: int, rate: int) -> Levels:
    """The frequency of each bin, Hz."""
    return np.linspace(0.0, rate / 2, bins)


def decibels(power: Levels) -> Levels:
    """A power in dB; nothing is -120 dB or so."""
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def _window(size: int) -> Sound:
    return np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
