"""The key of music: how much of each of the twelve notes there is, held against how much there is in each key."""

import numpy as np

from engines.sound.spectra import Levels, Sound
from protocol.music import KEYS, SCALES, Scale

RATE = 22_050
_SIZE, _HOP = 8192, 2048
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 1_800.0
_A_HZ = 440.0
_WIDTH = 0.35  # semitones a tone may be off and still count half

# How much listeners find each note to belong to a key (Krumhansl 1990, as corrected by Temperley 1999).
_PROFILES = {
    "Major": (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
    "Minor": (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
}


def chroma_of(sound: Sound) -> Levels:
    """How much of C, C# ... B there is in one channel at ``RATE``, added up over its moments."""
    if len(sound) < _SIZE:
        sound = np.pad(sound, (0, _SIZE - len(sound)))
    cut = np.lib.stride_tricks.sliding_window_view(sound, _SIZE)[::_HOP]
    window, weights = np.hanning(_SIZE).astype(np.float32), _weights()
    total = np.zeros(12)
    for row in range(0, len(cut), 64):
        size = np.abs(np.fft.rfft(cut[row : row + 64] * window, axis=1))
        inner = size[:, 1:-1]
        # Only what stands above its neighbours is a tone; what a drum does is everywhere.
        peak = np.zeros_like(size)
        peak[:, 1:-1] = np.where((inner > size[:, :-2]) & (inner >= size[:, 2:]), inner, 0.0)
        notes = np.sqrt(peak) @ weights
        loud = size.max(axis=1) > 1.0
        total += (notes[loud] / np.maximum(notes[loud].sum(axis=1, keepdims=True), 1e-9)).sum(axis=0)
    return total


def key_of(chroma: Levels) -> tuple[str, Scale, float]:
    """The likeliest key, and how like it the notes are (correlation, to 1)."""
    found: tuple[float, str, Scale] = (-2.0, KEYS[0], SCALES[0])
    if float(np.std(chroma)) < 1e-9:
        return KEYS[0], SCALES[0], 0.0
    for scale in SCALES:
        for tonic, name in enumerate(KEYS):
            alike = float(np.corrcoef(chroma, np.roll(_PROFILES[scale], tonic))[0, 1])
            found = max(found, (alike, name, scale))
    return found[1], found[2], found[0]


def _weights() -> Levels:
    """Bins x notes: how much a bin belongs to each note."""
    hertz = np.fft.rfftfreq(_SIZE, 1 / RATE)
    within = (hertz >= _LOWEST_HZ) & (hertz <= _HIGHEST_HZ)
    semitones = 12 * np.log2(np.maximum(hertz, 1.0) / _A_HZ) + 9  # from C
    away = (semitones[:, None] - np.arange(12) + 6) % 12 - 6
    # Low tones say more of the key than the overtones of high ones.
    return np.asarray(np.exp(-0.5 * (away / _WIDTH) ** 2) * (within / np.sqrt(np.maximum(hertz, 1.0)))[:, None])
