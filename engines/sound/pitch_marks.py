"""Speech at another pitch with the same vowels: pulses of the voice, cut out and set closer or farther (PSOLA)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.sound.spectra import Levels, Sound

_FRAME_S, _FIRST_S = 0.01, 0.025  # of a melody
_UNVOICED_S = 0.006  # between marks where there is no pitch
_REACH = 0.22  # of a period: how far a mark is moved to where its pulse is
_LEVEL_S = 0.03  # over which loudness is kept
_MOST_LOUDER = 2.0

Marks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Course:
    """The pitch of a stretch of speech every 10 ms, Hz; 0 where there is none."""

    pitch: Levels

    def at(self, seconds: float) -> float:
        """The pitch then."""
        index = round((seconds - _FIRST_S) / _FRAME_S)
        return float(self.pitch[index]) if 0 <= index < len(self.pitch) else 0.0


def course_of(pitch: Levels, voiced: NDArray[np.bool_]) -> Course:
    """A melody without its slips: what is an octave off its surroundings for a moment, and gaps of a frame or two."""
    course = np.where(voiced, pitch, 0.0)
    for index in np.flatnonzero(course):
        around = course[max(0, index - 4) : index + 5]
        middle = float(np.median(around[around > 0]))
        if not 0.7 < course[index] / middle < 1.4:
            course[index] = middle
    gaps = np.flatnonzero((course[1:-1] == 0) & (course[:-2] > 0) & (course[2:] > 0)) + 1
    course[gaps] = (course[gaps - 1] + course[gaps + 1]) / 2
    return Course(course)


def sung(sound: Sound, rate: int, source: Course, wanted: Course, warp: float) -> Sound:
    """One channel at the ``wanted`` pitch; formants ``warp`` times as high. As long and as loud as before."""
    marks, periods = _marks(sound, rate, source)
    result = np.zeros(len(sound) + 4 * rate // 50, np.float32)
    at = 0.0
    while at < len(sound):
        index = int(np.clip(np.searchsorted(marks, at), 1, len(marks) - 1))
        index -= int(at - marks[index - 1] < marks[index] - at)
        pitch = wanted.at(at / rate) if source.at(at / rate) else 0.0
        _add(result, sound, round(at), int(marks[index]), int(periods[index]), warp)
        at += rate / pitch if pitch else _UNVOICED_S * rate
    return _as_loud(result[: len(sound)], sound, rate)


def _marks(sound: Sound, rate: int, course: Course) -> tuple[Marks, Marks]:
    """Where the pulses are, and the distance between them there."""
    smooth = np.convolve(sound, np.hanning(max(3, rate // 900)), "same")
    marks: list[int] = [0]
    periods: list[int] = [round(_UNVOICED_S * rate)]
    while marks[-1] < len(sound) - 1:
        pitch = course.at(marks[-1] / rate)
        period = round(rate / pitch) if pitch else round(_UNVOICED_S * rate)
        near = marks[-1] + period
        if pitch:
            reach = max(1, round(_REACH * period))
            part = smooth[max(0, near - reach) : near + reach + 1]
            if len(part):
                near = max(marks[-1] + 1, max(0, near - reach) + int(np.argmax(part)))
        marks.append(min(near, len(sound)))
        periods.append(period)
        if marks[-1] == len(sound):
            break
    return np.array(marks), np.array(periods)


def _add(result: Sound, sound: Sound, at: int, mark: int, period: int, warp: float) -> None:
    """A pulse, cut out at ``mark``, set at ``at``."""
    half = max(2, round(period / warp))
    places = mark + np.arange(-half, half + 1) * warp
    known = np.arange(max(0, mark - 2 * period), min(len(sound), mark + 2 * period))
    pulse = np.interp(places, known, sound[known]) * np.hanning(2 * half + 1)
    first = at - half
    begin, end = max(0, first), min(len(result), first + len(pulse))
    result[begin:end] += pulse[begin - first : end - first].astype(np.float32)


def _as_loud(sound: Sound, as_it_was: Sound, rate: int) -> Sound:
    window = np.hanning(round(_LEVEL_S * rate) | 1)
    window /= window.sum()
    now, before = (
        np.sqrt(np.maximum(np.convolve(one.astype(np.float64) ** 2, window, "same"), 0.0) + 1e-9)
        for one in (sound, as_it_was)
    )
    return np.asarray(sound * np.clip(before / now, 1 / _MOST_LOUDER, _MOST_LOUDER), np.float32)
