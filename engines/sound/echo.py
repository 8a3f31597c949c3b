"""One distinct echo: found in the cepstrum of a whole recording, undone by the inverse of the filter that made it.

An echo of gain g after d seconds multiplies the spectrum by 1 + g exp(-jwd); in the mean of the logarithm of many long
spectra that ripple stands alone, a peak of height g at d. An echo that is fed back has a second peak of the same sign
at 2d, one that comes once has one of the other sign.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from engines.sound.spectra import Levels, Sound

LONGEST_S, SHORTEST_S = 0.7, 0.045  # shorter is timbre, and the pitch of voices
_WINDOW_S = 2.7
_RATE = 16_000
_SHARPNESS = 9.0  # times the middle height of its surroundings: below that a peak is chance
_LEAST, _MOST = 0.1, 0.9  # of a gain; a room's first reflections can look like a fainter one


@dataclass(frozen=True, slots=True)
class Echo:
    """When an echo comes and how loud, of the sound; ``again``: it has echoes itself."""

    delay_s: float
    gain: float
    again: bool


def cepstrum_of(sound: Sound, rate: int) -> tuple[Levels, int, int]:
    """The mean cepstrum of one channel up to ``LONGEST_S`` twice over, its rate, and of how many windows it is.

    It is taken at no more than ``_RATE``: what lies above is often empty, and says that there is no echo.
    """
    if rate > _RATE:
        sound, rate = np.asarray(soxr.resample(sound, rate, _RATE, quality="HQ"), np.float32), _RATE
    size = int(2 ** round(np.log2(rate * _WINDOW_S)))
    window, total, count = np.hanning(size).astype(np.float32), np.zeros(size // 2 + 1), 0
    for start in range(0, max(1, len(sound) - size // 2), size // 2):
        piece = np.zeros(size, np.float32)
        part = sound[start : start + size]
        piece[: len(part)] = part
        spectrum = np.abs(np.fft.rfft(piece * window)) ** 2
        if spectrum.max() > 1e-6:
            total += np.log(spectrum + 1e-4 * spectrum.mean())  # empty bins must not speak louder than the others
            count += 1
    cepstrum = np.fft.irfft(total / max(count, 1))[: round(2 * LONGEST_S * rate)]
    return cepstrum, rate, count


def find_echo(cepstrum: Levels, rate: int) -> Echo | None:
    """The echo in a mean cepstrum; None where none stands out."""
    first, last = round(SHORTEST_S * rate), min(round(LONGEST_S * rate), len(cepstrum) - 2)
    if last <= first:
        return None
    heard = cepstrum[first:last]
    middle = float(np.median(np.abs(heard))) + 1e-9
    at = first + int(np.argmax(heard))
    before, peak, after = (float(cepstrum[at + step]) for step in (-1, 0, 1))
    bend = before - 2 * peak + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    # A delay between two samples leaves its height on both.
    height = max(peak, peak - 0.25 * (before - after) * shift, before + peak if before > 0.5 * peak else 0.0)
    if after > 0.5 * peak:
        height = max(height, peak + after)
    gain = height / (1 - at / rate / _WINDOW_S)  # the window's end hides some of the echo
    if peak < _SHARPNESS * middle or gain < _LEAST:
        return None
    second = cepstrum[2 * at - 2 : 2 * at + 3] if 2 * at + 3 <= len(cepstrum) else np.zeros(1)
    again = float(second[np.argmax(np.abs(second))]) > max(2.5 * middle, 0.2 * gain**2)
    return Echo((at + shift) / rate, min(gain, _MOST), again)


def without_echo(sound: Sound, rate: int, echo: Echo) -> Sound:
    """One channel without an echo. What it begins with may still hold that of what came before."""
    tail = round(rate * echo.delay_s * 12)
    size = 1 << int(np.ceil(np.log2(len(sound) + tail)))
    spectrum: NDArray[np.complex128] = np.fft.rfft(sound, size)
    turn = echo.gain * np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / rate) * echo.delay_s)
    spectrum = spectrum * (1 - turn) if echo.again else spectrum / (1 + turn)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(sound)], np.float32)
