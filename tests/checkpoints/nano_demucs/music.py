"""What is played: chords, bass, arpeggios, melodies and drums of random tempo, key, timbre and place, in stereo."""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

RATE = 16_000
Sound = npt.NDArray[np.float32]
_Line = npt.NDArray[np.float64]

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 6, 7, 9, 11))
_PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (1, 4, 0, 0), (0, 2, 3, 4), (0, 6, 5, 4))


def music(seconds: float, rng: np.random.Generator) -> Sound:
    """A piece of music, samples x 2, its peak at 1."""
    length, beat = round(seconds * RATE), 60 / rng.uniform(65, 160)
    root, scale = rng.uniform(36, 48), _SCALES[rng.integers(len(_SCALES))]
    degrees = list(_PROGRESSIONS[rng.integers(len(_PROGRESSIONS))])
    if rng.random() < 0.3:
        degrees = [int(degree) for degree in rng.integers(0, 7, 8)]
    bars = int(seconds / (4 * beat)) + 2
    chords = [degrees[bar % len(degrees)] for bar in range(bars)]
    piece = np.zeros((length, 2), np.float32)
    parts: tuple[tuple[float, float, Callable[..., _Line]], ...] = (
        (0.9, 0.5, _chords), (0.8, 0.6, _bass), (0.4, 0.35, _arpeggio), (0.6, 0.45, _melody), (0.75, 0.9, _drums),
    )  # fmt: skip
    played = [part for part in parts if rng.random() < part[0]] or [parts[0]]
    for _, level, play in played:
        line = play(length, beat, [(root, scale, chord) for chord in chords], rng)
        loud = float(np.sqrt(np.mean(line**2))) + 1e-6
        pan = rng.uniform(0.15, 0.85) if play not in (_bass,) else 0.5
        if line.ndim == 1:
            line = line[:, None] * 2 * np.array([1 - pan, pan])
        piece += (line / loud * level * rng.uniform(0.5, 1.5)).astype(np.float32)
    return np.asarray(piece / (np.abs(piece).max() + 1e-6), np.float32)


def _pitch(key: tuple[float, tuple[int, ...], int], step: int) -> float:
    root, scale, degree = key
    octave, index = divmod(degree + step, 7)
    return float(440.0 * 2 ** ((root + 12 * octave + scale[index] - 69) / 12))


def _timbre(rng: np.random.Generator) -> Callable[[float, float], _Line]:
    """An instrument: a function from pitch and duration to sound."""
    kind = rng.integers(4)
    slope, odd, attack, decay = rng.uniform(0.6, 2.2), rng.random() < 0.3, rng.choice([0.003, 0.01, 0.06]), 0.0
    decay = rng.uniform(1.5, 8) if rng.random() < 0.6 else rng.uniform(0.0, 0.8)
    vibrato, rate, detune = rng.choice([0.0, 0.0, 0.004, 0.01]), rng.uniform(4, 7), rng.choice([0.0, 0.003, 0.007])
    ratio, index = rng.choice([1.0, 1.41, 2.0, 3.5]), rng.uniform(0.5, 4)

    @cache  # music repeats itself
    def play(hertz: float, seconds: float) -> _Line:
        times = np.arange(round(seconds * RATE)) / RATE
        phase = 2 * np.pi * hertz * times + vibrato * hertz / rate * np.sin(2 * np.pi * rate * times)
        if kind == 0:
            wave = np.sin(phase + index * np.exp(-2 * times) * np.sin(ratio * phase))
        else:
            wave = np.zeros_like(times)
            for k in range(1, min(14, int(7600 / hertz)) + 1):
                if odd and k % 2 == 0:
                    continue
                wave += (np.sin(k * phase) + np.sin(k * (1 + detune) * phase + k)) / k**slope
        envelope = np.minimum(1, times / attack) * np.exp(-decay * times)
        return np.asarray(wave * envelope * np.minimum(1, (seconds - times) / 0.02))

    return play


def _put(line: _Line, at: float, sound: _Line) -> None:
    start = round(at * RATE)
    if start < len(line):
        line[start : start + len(sound)] += sound[: len(line) - start]


def _chords(
    length: int, beat: float, keys: list[tuple[float, tuple[int, ...], int]], rng: np.random.Generator
) -> _Line:
    play, often, up = _timbre(rng), int(rng.choice([1, 2, 4])), 7 * int(rng.integers(1, 3))
    line = np.zeros((length, 2))
    for bar, key in enumerate(keys):
        for voice, step in enumerate((0, 2, 4, 6)[: 3 + int(rng.random() < 0.3)]):
            note, pan = play(_pitch(key, step + up), 4 * beat / often), 0.2 + 0.2 * voice
            for stroke in range(often):
                at = (4 * bar + 4 * stroke / often) * beat
                _put(line[:, 0], at, 2 * (1 - pan) * note)
                _put(line[:, 1], at, 2 * pan * note)
    return line


def _bass(length: int, beat: float, keys: list[tuple[float, tuple[int, ...], int]], rng: np.random.Generator) -> _Line:
    play, line = _timbre(rng), np.zeros(length)
    pattern = [(at, int(rng.choice([0, 0, 4, 7]))) for at in range(8) if at == 0 or rng.random() < 0.45]
    for bar, key in enumerate(keys):
        for at, step in pattern:
            _put(line, (4 * bar + at / 2) * beat, play(_pitch(key, step), beat * rng.choice([0.5, 0.9])))
    return line


def _arpeggio(
    length: int, beat: float, keys: list[tuple[float, tuple[int, ...], int]], rng: np.random.Generator
) -> _Line:
    play, line, per = _timbre(rng), np.zeros(length), int(rng.choice([2, 4]))
    order = [int(step) for step in rng.choice([7, 9, 11, 14, 16, 18], 4)]
    for bar, key in enumerate(keys):
        notes = [play(_pitch(key, step), 1.2 * beat / per) for step in order]
        for index in range(4 * per):
            _put(line, (4 * bar + index / per) * beat, notes[index % 4])
    return line


def _melody(
    length: int, beat: float, keys: list[tuple[float, tuple[int, ...], int]], rng: np.random.Generator
) -> _Line:
    play, line, step = _timbre(rng), np.zeros(length), 14
    for bar, key in enumerate(keys):
        at = 0.0
        while at < 4:
            step = int(np.clip(step + rng.integers(-3, 4), 9, 23))
            lasts = float(rng.choice([0.5, 0.5, 1.0, 1.0, 2.0]))
            if rng.random() < 0.8:
                _put(line, (4 * bar + at) * beat, play(_pitch(key, step), 0.95 * lasts * beat))
            at += lasts
    return line


def _drums(length: int, beat: float, keys: list[tuple[float, tuple[int, ...], int]], rng: np.random.Generator) -> _Line:
    times, line = np.arange(RATE // 3) / RATE, np.zeros((length, 2))
    hertz, drop, dull = rng.uniform(45, 80), rng.uniform(2, 30), rng.uniform(10, 25)
    kick = np.sin(2 * np.pi * (hertz * times + 4 * (1 - np.exp(-drop * times)) / drop * 10)) * np.exp(-dull * times)
    noise = rng.standard_normal(len(times))
    snare = 0.5 * noise * np.exp(-rng.uniform(12, 30) * times) + 0.4 * np.sin(2 * np.pi * 190 * times) * np.exp(
        -25 * times
    )
    hat = np.diff(rng.standard_normal(len(times) + 1)) * np.exp(-rng.uniform(20, 80) * times)
    eighths, hats = 8 * len(keys), rng.uniform(0.05, 0.4)
    kicks, snares = {0, int(rng.integers(1, 8)), 4 if rng.random() < 0.6 else 0}, {2, 6} if rng.random() < 0.8 else {4}
    lean = rng.uniform(0.6, 1.4)
    for eighth in range(eighths):
        at, place = eighth * beat / 2, eighth % 8
        hit = np.zeros_like(times)
        if place in kicks:
            hit = hit + kick
        if place in snares:
            hit = hit + rng.uniform(0.4, 0.8) * snare
        tick = hats * rng.uniform(0.5, 1) * hat
        _put(line[:, 0], at, hit + lean * tick)
        _put(line[:, 1], at, hit + (2 - lean) * tick)
    return line
