"""What can be measured of somebody's speech: how high, how lively and how fast it is.

The fundamental comes from the autocorrelation of each 50 ms, divided by that of the window (Boersma, 1993); the pace
from the peaks of the loudness curve, one for each syllable or so (De Jong and Wempe, 2009). numpy alone: a library's
pitch tracker takes seconds to compile in a process that is to answer at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.resample import resample_file

_RATE = 8000
_FRAME, _HOP, _FFT = 400, 80, 1024  # samples: 50 ms, 10 ms
_LOWEST, _HIGHEST = 60, 500  # Hz, from a bass to a small child
_OCTAVE_COST = 0.01  # a lag twice as long must be that much more alike
_OCTAVES = 0.8  # how far from its middle a voice goes, up or down
_VOICED = 0.5  # likeness from which a frame has a pitch
_QUIET_DB = -25.0  # below the loud parts: not speech
_FAINT = 0.002  # root mean square of full scale: nothing to hear
_DIP_DB = 1.5  # between two syllables
_SMOOTH = np.hanning(7)[1:-1] / np.hanning(7).sum()
_NEAR = np.ones(17)  # frames: so near a voiced one (80 ms) is still the same stretch of speech
_VOICED_S = 0.3  # the least from which anything can be said
_STEADY = 0.05  # semitones: a tone, and no voice

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Heard:
    """Somebody's way of speaking."""

    pitch: float  # median fundamental, Hz
    spread: float  # semitones between its 10th and 90th percentile
    pace: float  # syllables a second, pauses left out; 0 when there are too few to tell


@dataclass(frozen=True, slots=True)
class Melody:
    """How high a voice is every 10 ms, from 25 ms on."""

    pitch: Floats  # Hz; means something where it is voiced
    voiced: NDArray[np.bool_]
    decibels: Floats  # below the loud parts
    loud: float  # root mean square of those, of full scale


def hear(pcm: bytes, rate: int) -> Heard | None:
    """What s16le mono at ``rate`` Hz sounds like; None when nobody speaks in it."""
    melody = melody_of(pcm, rate)
    if melody is None or melody.loud < _FAINT or melody.voiced.sum() * _HOP / _RATE < _VOICED_S:
        return None
    low, middle, high = np.percentile(_steady(melody.pitch, melody.voiced), (10, 50, 90))
    spread = float(12 * np.log2(high / low))
    if spread < _STEADY:
        return None
    return Heard(float(middle), spread, _pace(melody.decibels, melody.voiced))


def melody_of(pcm: bytes, rate: int) -> Melody | None:
    """The pitch of s16le mono at ``rate`` Hz over time; None when it is too short to tell."""
    sound = np.frombuffer(resample_file(pcm, rate, _RATE), "<i2").astype(np.float32) / 32768
    if len(sound) < _FRAME:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
    level = frames.std(axis=1)
    loud = float(np.percentile(level, 95))
    decibels = 20 * np.log10(np.maximum(level, 1e-6) / max(loud, 1e-6))
    pitch, likeness = _fundamentals(frames)
    return Melody(pitch, (likeness > _VOICED) & (decibels > _QUIET_DB), decibels, loud)


def _fundamentals(frames: Floats) -> tuple[Floats, Floats]:
    """For each frame the likeliest fundamental (Hz), and how like itself the frame is at that distance (to 1)."""
    window = np.hanning(_FRAME).astype(np.float32)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)
    near, far = _RATE // _HIGHEST, _RATE // _LOWEST
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    alike = np.fft.irfft(np.abs(np.fft.rfft(frames, _FFT)) ** 2)[:, : far + 2]
    alike = alike / np.maximum(alike[:, :1], 1e-9) / (own[: far + 2] / own[0])
    before, at, after = alike[:, near - 1 : far], alike[:, near : far + 1], alike[:, near + 1 : far + 2]
    peak = (at > before) & (at >= after)  # beside lag 0 everything is like itself
    worth = np.where(peak, at - _OCTAVE_COST * np.log2(np.arange(near, far + 1) / near), -1.0)
    rows, best = np.arange(len(frames)), np.argmax(worth, axis=1)
    likeness = np.where(peak[rows, best], at[rows, best], 0.0)
    bend = before[rows, best] - 2 * likeness + after[rows, best]
    shift = 0.5 * (before[rows, best] - after[rows, best]) / np.minimum(bend, -1e-6)
    return _RATE / (near + best + np.clip(shift, -0.5, 0.5)), np.minimum(likeness, 1.0)


def _steady(pitch: Floats, voiced: NDArray[np.bool_]) -> Floats:
    """The fundamentals of the voiced frames without the mistakes: those no neighbour shares, and other octaves."""
    logs = np.log2(pitch)
    beside = np.minimum(np.abs(np.diff(logs, prepend=np.inf)), np.abs(np.diff(logs, append=np.inf)))
    agreed = pitch[voiced & (beside < 1 / 12)]
    found = agreed if len(agreed) > voiced.sum() / 2 else pitch[voiced]
    return found[np.abs(np.log2(found / np.median(found))) < _OCTAVES]


def _pace(decibels: Floats, voiced: NDArray[np.bool_]) -> float:
    """Syllables a second: peaks of loudness with a dip on both sides, over the time that is speech."""
    curve = np.convolve(np.maximum(decibels, 2 * _QUIET_DB), _SMOOTH, "same")
    seconds = float((np.convolve(voiced, _NEAR, "same") > 0.5).sum() * _HOP / _RATE)
    peaks, top, bottom, at = 0, -np.inf, np.inf, 0
    for index, value in enumerate(curve):
        if value > top:
            top, at = value, index
        if top - value >= _DIP_DB and top - bottom >= _DIP_DB:
            peaks += bool(voiced[at])
            top, bottom = -np.inf, value
        elif value < bottom:
            top, bottom, at = value, value, index
    return peaks / seconds if peaks >= 3 and seconds else 0.0
