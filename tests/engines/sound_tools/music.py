"""Music made here: chords in a key over drums at a tempo."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 22_050

Sound = NDArray[np.float32]

_MAJOR = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7))
_MINOR = ((0, 3, 7), (8, 12, 15), (7, 11, 14), (0, 3, 7))


def chords(tonic: int, scale: str, bpm: float, bars: int, beats: int = 4, rate: int = RATE) -> Sound:
    """A cadence on an instrument with overtones; ``tonic`` in semitones from C."""
    bar = beats * 60 / bpm
    sound = np.zeros(round(bars * bar * rate) + rate, np.float32)
    for number in range(bars):
        chord = (_MAJOR if scale == "Major" else _MINOR)[number % 4]
        at = round(number * bar * rate)
        for midi, level in [*((48 + tonic + step, 0.12) for step in chord), (36 + tonic + chord[0], 0.2)]:
            tone = level * _note(midi, bar, rate)
            sound[at : at + len(tone)] += tone[: len(sound) - at]
    return sound[: round(bars * bar * rate)]


def drums(bpm: float, bars: int, beats: int = 4, rate: int = RATE) -> Sound:
    """A kick on the first beat (and the third of four), snares on the others, a hat on every half of one."""
    beat, rng = 60 / bpm, np.random.default_rng(1)
    sound = np.zeros(round(bars * beats * beat * rate) + rate, np.float32)
    times = np.arange(round(0.15 * rate)) / rate
    kick = np.sin(2 * np.pi * (50 + 80 * np.exp(-40 * times)) * times) * np.exp(-25 * times)
    snare = 0.5 * rng.standard_normal(len(times)) * np.exp(-30 * times)
    hat = 0.2 * np.diff(rng.standard_normal(len(times)), prepend=0) * np.exp(-120 * times)
    for number in range(bars * beats):
        place = number % beats
        heard = 1.2 * kick if place == 0 else 0.9 * kick if beats == 4 and place == 2 else snare
        for drum, at in ((heard, number * beat), (hat, number * beat), (0.6 * hat, (number + 0.5) * beat)):
            start = round(at * rate)
            sound[start : start + len(drum)] += 0.6 * drum[: len(sound) - start]
    return sound[: round(bars * beats * beat * rate)]


def song(tonic: int, scale: str, bpm: float, bars: int, beats: int = 4, rate: int = RATE) -> Sound:
    """Both."""
    return chords(tonic, scale, bpm, bars, beats, rate) + drums(bpm, bars, beats, rate)


@cache
def _note(midi: int, seconds: float, rate: int) -> Sound:
    times, hertz = np.arange(round(seconds * rate)) / rate, 440 * 2 ** ((midi - 69) / 12)
    tone = sum(np.sin(2 * np.pi * hertz * n * times) / n**1.3 for n in range(1, 7))
    return np.asarray(tone * np.exp(-2 * times / seconds) * np.minimum(times / 0.005, 1), np.float32)
