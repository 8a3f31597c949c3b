"""The tempo of music and how its beats are counted: where sound begins, and every how many times most of it does."""

import numpy as np
from numpy.typing import NDArray

from engines.sound.spectra import Levels, Sound

RATE = 22_050
FRAMES = 100  # of the curves here, a second
_SIZE = 1024
_BANDS = 32
_LOW_HZ = 180.0  # below is what the kick and the bass do
_SLOWEST, _FASTEST, _USUAL, _SPREAD = 50.0, 220.0, 120.0, 1.0  # beats a minute; octaves
_MULTIPLES = 4
_LOW_WEIGHT = 0.7
_METERS = (4, 3, 5, 7)  # beats in a bar; the first is what music is in unless it says otherwise
_SURE = 0.08  # how much more like itself another meter has to be


def onsets_of(sound: Sound) -> tuple[Levels, Levels]:
    """For each hundredth of a second of one channel at ``RATE``, how much sound begins; and of that, the low."""
    hop = RATE / FRAMES
    count = int(len(sound) / hop)
    padded = np.pad(sound, (_SIZE // 2, _SIZE))
    starts = np.rint(np.arange(count) * hop).astype(int)
    window, edges = np.hanning(_SIZE).astype(np.float32), _edges()
    levels = np.empty((count, len(edges) - 1), np.float32)
    for row in range(0, count, 512):
        pieces = padded[starts[row : row + 512, None] + np.arange(_SIZE)] * window
        levels[row : row + 512] = np.add.reduceat(np.abs(np.fft.rfft(pieces, axis=1)), edges, axis=1)[:, :-1]
    levels = np.log1p(10 * levels)
    rising = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0.0)
    low = int(np.searchsorted(edges * RATE / _SIZE, _LOW_HZ))
    return rising.mean(axis=1), rising[:, :low].mean(axis=1)


def tempo_of(onsets: Levels, low: Levels) -> float:
    """Beats a minute; 0 where nothing repeats. What is low counts more: it keeps the beat, what is high divides it."""
    curve = _sharpened(onsets + _LOW_WEIGHT * low)
    alike = _autocorrelation(curve)
    slowest, fastest = 60 * FRAMES / _SLOWEST, 60 * FRAMES / _FASTEST
    if len(alike) < _MULTIPLES * slowest or alike[0] <= 1e-12:
        return _short(alike, fastest) if alike.size and alike[0] > 1e-12 else 0.0
    lags = np.arange(fastest, slowest, 0.1)
    score = np.zeros(len(lags))
    for multiple in range(1, _MULTIPLES + 1):
        score += np.interp(lags * multiple, np.arange(len(alike)), alike)
    score /= _MULTIPLES
    beats = 60 * FRAMES / lags
    score = score * np.exp(-0.5 * (np.log2(beats / _USUAL) / _SPREAD) ** 2)
    best = int(np.argmax(score))
    return 60 * FRAMES / float(_refined(alike, float(lags[best]))) if score[best] > 0.02 * alike[0] else 0.0


def meter_of(onsets: Levels, low: Levels, bpm: float) -> int:
    """Beats in a bar."""
    if not bpm:
        return _METERS[0]
    accents = np.stack([_on_beats(curve, bpm, _phase(_sharpened(onsets), bpm)) for curve in (onsets, low)])
    beats = accents.shape[1]
    possible = [meter for meter in _METERS if beats >= 4 * meter]
    if not possible:
        return _METERS[0]
    accents = accents - accents.mean(axis=1, keepdims=True)
    size = float((accents**2).sum()) or 1.0
    scores = {}
    for meter in possible:
        lags = (meter, 2 * meter)
        scores[meter] = sum(float((accents[:, lag:] * accents[:, :-lag]).sum()) * beats / (beats - lag) for lag in lags)
    usual = scores[_METERS[0]] / size / 2
    best = max(possible, key=lambda meter: scores[meter])
    return best if scores[best] / size / 2 > usual + _SURE else _METERS[0]


def _edges() -> NDArray[np.intp]:
    """The first bins of bands that are a little wider each."""
    hertz = np.geomspace(40.0, 10_000.0, _BANDS + 1)
    return np.unique(np.rint(hertz * _SIZE / RATE).astype(np.intp))


def _sharpened(onsets: Levels) -> Levels:
    """Without what is always there."""
    if len(onsets) < 3:
        return np.zeros(0)
    span = min(len(onsets), FRAMES)
    usual = np.convolve(onsets, np.ones(span) / span, "same")
    sharp = np.maximum(onsets - usual, 0.0)
    return np.convolve(sharp, (0.25, 0.5, 0.25), "same")


def _autocorrelation(curve: Levels) -> Levels:
    if not len(curve):
        return np.zeros(0)
    size = 1 << (2 * len(curve) - 1).bit_length()
    power = np.abs(np.fft.rfft(curve - curve.mean(), size)) ** 2
    alike = np.fft.irfft(power)[: len(curve) // 2]
    return np.asarray(alike * len(curve) / (len(curve) - np.arange(len(alike))))


def _short(alike: Levels, fastest: float) -> float:
    """Of a few seconds: the first and best repeat."""
    first = round(fastest)
    part = alike[first:]
    if len(part) < 3 or part.max() <= 0.1 * alike[0]:
        return 0.0
    return 60 * FRAMES / (first + int(np.argmax(part)))


def _refined(alike: Levels, lag: float) -> float:
    """A lag to a hundredth of a frame: the more beats there are between two peaks, the better they tell."""
    for multiple in (2, 4, 8, 16, 32):
        around, reach = lag * multiple, max(2.0, 0.02 * lag * multiple)
        first, last = int(around - min(reach, 0.4 * lag)), int(around + min(reach, 0.4 * lag)) + 1
        if last + 1 >= len(alike):
            break
        at = first + int(np.argmax(alike[first : last + 1]))
        before, peak, after = alike[at - 1], alike[at], alike[at + 1]
        bend = before - 2 * peak + after
        lag = (at + (0.5 * (before - after) / bend if bend < 0 else 0.0)) / multiple
    return lag


def _phase(curve: Levels, bpm: float) -> float:
    """Where the first beat is, frames."""
    lag = 60 * FRAMES / bpm
    phases = np.arange(0.0, lag, 1.0)
    times = np.arange(0, int(len(curve) / lag) - 1) * lag
    strength = [float(curve[np.rint(times + phase).astype(int)].sum()) for phase in phases]
    return float(phases[int(np.argmax(strength))])


def _on_beats(curve: Levels, bpm: float, phase: float) -> Levels:
    """How much begins on each beat."""
    lag = 60 * FRAMES / bpm
    times = np.rint(phase + np.arange(int((len(curve) - phase - 3) / lag)) * lag).astype(int)
    around = np.stack([curve[np.clip(times + step, 0, len(curve) - 1)] for step in (-2, -1, 0, 1, 2)])
    return np.asarray(around.max(axis=0))
