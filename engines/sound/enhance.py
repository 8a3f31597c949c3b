"""The tool that makes recordings of speech better to listen to: noise, clarity, bandwidth. Levels are its caller's."""

from collections.abc import Mapping

import numpy as np
import soxr

from engines.base import Capabilities, Options, Task, Treated
from engines.sound import bandwidth
from engines.sound.denoise import denoised
from engines.sound.spectra import Levels, Sound, frequencies, pcm_of, samples_of, sound_of, spectra_of, window_of

_WINDOW_S = 0.032
_PRESENCE_DB = {1: 2.0, 2: 4.0, 3: 6.0}  # by strength
_PRESENCE_HZ, _PRESENCE_OCTAVES = 3_200.0, 1.0  # consonants are told apart by what lies there
_MUD_DB, _MUD_HZ, _MUD_OCTAVES = -2.0, 280.0, 0.7
_RUMBLE_HZ = 75.0  # no voice is below


class Enhance:
    """``engines.base.SoundTool``. Orders: ``listen`` (how far up the sound reaches), else what is to be done."""

    def describe(self) -> Capabilities:
        return Capabilities("enhance", Task.TREAT, note="signal processing, no model")

    def close(self) -> None:
        """Nothing is held."""

    def treat(self, pcm: bytes, rate: int, channels: int, order: Mapping[str, object]) -> Treated:
        """A stretch made better; its rate is 48 kHz if bandwidth was to be widened.

        ``denoise``, ``clarity``, ``strength`` 1 to 3, and ``reach``: up to which frequency the whole recording has
        sound, from an earlier pass; 0 leaves the bandwidth alone.
        """
        sound = samples_of(pcm, channels)
        if order.get("listen"):
            mean = np.mean([np.abs(spectra_of(one, window_of(rate, _WINDOW_S))) ** 2 for one in sound], axis=(0, 1))
            return Treated(b"", {"reach": bandwidth.reach_of(mean, rate)})
        strength, reach = int(str(order["strength"])), float(str(order.get("reach", 0.0)))
        if not sound.any():
            widened = np.zeros((channels, sound.shape[1] * bandwidth.RATE // rate), np.float32) if reach else sound
            return Treated(pcm_of(widened), {"taken_db": 0.0})
        size = window_of(rate, _WINDOW_S)
        spectra, taken = [spectra_of(one, size) for one in sound], 0.0
        if order["denoise"]:
            spectra, taken = denoised(spectra, strength)
        if order["clarity"]:
            spectra = [one * clarity(one.shape[1], rate, strength) for one in spectra]
        better = np.stack([sound_of(one, sound.shape[1]) for one in spectra])
        if reach:
            better = np.stack([_widened(one, rate, reach) for one in better])
        return Treated(pcm_of(better), {"taken_db": taken})


def clarity(bins: int, rate: int, strength: int) -> Levels:
    """What to multiply each bin with so that speech comes forward."""
    hertz = np.maximum(frequencies(bins, rate), 1.0)
    curve = _PRESENCE_DB[strength] * _bell(hertz, _PRESENCE_HZ, _PRESENCE_OCTAVES)
    curve += _MUD_DB * _bell(hertz, _MUD_HZ, _MUD_OCTAVES)
    curve += 24.0 * np.minimum(np.log2(hertz / _RUMBLE_HZ), 0.0)
    return np.asarray(10 ** (np.maximum(curve, -60.0) / 20), np.float32)


def _bell(hertz: Levels, centre: float, octaves: float) -> Levels:
    return np.asarray(np.exp(-0.5 * (np.log2(hertz / centre) / octaves) ** 2))


def _widened(sound: Sound, rate: int, reach: float) -> Sound:
    length = len(sound) * bandwidth.RATE // rate
    if rate != bandwidth.RATE:
        sound = np.asarray(soxr.resample(sound, rate, bandwidth.RATE, quality="HQ"), np.float32)
    fitted = np.zeros(length, np.float32)
    fitted[: len(sound)] = sound[:length]
    size = window_of(bandwidth.RATE, _WINDOW_S)
    return sound_of(bandwidth.extended(spectra_of(fitted, size), reach), length)


def factory(_options: Options) -> Enhance:
    """Nothing is loaded."""
    return Enhance()
