"""Paces and pitches in human terms to espeak-ng's own settings, by what was measured of it."""

from bisect import bisect_left

# Words a minute asked for, and how many times as fast as at 175 the speech then is.
_RATES = (80, 100, 120, 140, 175, 200, 260, 300, 350, 400, 450)
_SPEEDS = (0.495, 0.585, 0.69, 0.806, 1.0, 1.13, 1.44, 1.66, 1.935, 2.23, 2.35)
# Pitch asked for, and the fundamental it gives in semitones from that at 50.
_PITCHES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
_SEMITONES = (-6.4, -5.2, -4.1, -2.8, -1.4, 0.0, 1.6, 3.1, 4.8, 6.6, 8.1)


def rate_setting(speed: float) -> tuple[int, float]:
    """Words a minute to ask for, and the tempo to add, so that speech is ``speed`` times as fast (kept to 0.1 .. 4)."""
    speed = min(4.0, max(0.1, speed))
    own = min(_SPEEDS[-1], max(_SPEEDS[0], speed))
    return round(_interpolate(own, _SPEEDS, _RATES)), (1.0 if own == speed else speed / own)


def pitch_setting(pitch: int, semitones: float) -> int:
    """The pitch to ask for, ``semitones`` away from what ``pitch`` gives, as far as there is any."""
    own = _interpolate(pitch, _PITCHES, _SEMITONES)
    return round(_interpolate(own + semitones, _SEMITONES, _PITCHES))


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """Linear between the points, flat beyond them."""
    x = min(xs[-1], max(xs[0], x))
    index = max(1, bisect_left(xs, x))
    fraction = (x - xs[index - 1]) / (xs[index] - xs[index - 1])
    return ys[index - 1] + fraction * (ys[index] - ys[index - 1])
