"""Voices apart from what repeats: a classical method, without a model (REPET-SIM, Rafii and Pardo 2012).

Accompaniment says the same again and again, a voice does not. Of each moment of a mix the most similar other moments
are looked up, and what they have in common, the median of their spectra, is taken for accompaniment; what a moment has
beyond it is taken for voice. Three things were added, each measured on mixes with known stems (``tests/engines/
separation``): moments are compared mostly by what a voice has little of (the bass, the cymbals, the sides of a stereo
mix), a voice is looked for in the middle of the stereo image only, and never below 100 Hz.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engines.base import Capabilities, Options, Task
from protocol.errors import Code, VoiceError

RATE = 44_100
_SIZE = 4096  # of a spectrum's window: 93 ms
_HOP = _SIZE // 4
_SIMILAR = 40  # moments that are looked up
_APART_S = 1.0  # a moment is not compared with what is so near
_LOWEST_VOICE_HZ = 100.0
_VOICE_HZ = (200.0, 5000.0)  # where a voice has most of its sound
_VOICE_WEIGHT = 0.15  # of that band when moments are compared
_SIDE_WEIGHT = 2.0  # of what differs between left and right
_CENTRED = 2.0  # how sharply sound off the middle is kept from the voice
_ROWS = 64  # moments worked on at a time, which bounds the memory
_FAINT = np.float32(1e-9)

Spectra = npt.NDArray[np.complex64]  # bins x moments
Levels = npt.NDArray[np.float32]


class Repetition:
    """A separator. Stretches of half a minute or more serve it best: it can only find repeats of what it is given."""

    def __init__(self) -> None:
        self._window = np.hanning(_SIZE + 1)[:-1].astype(np.float32)

    def describe(self) -> Capabilities:
        return Capabilities(
            engine="repetition",
            task=Task.SEPARATE,
            rate=RATE,
            note="classical, no model: finds voices over music that repeats; far from what Demucs does",
        )

    def close(self) -> None:
        """Nothing is held."""

    def separate(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]:
        """``engines.base.Separator``."""
        if channels not in (1, 2) or len(pcm) % (2 * channels):
            raise VoiceError(Code.BAD_REQUEST, "sound is separated as whole samples of one or two channels")
        mix = np.frombuffer(pcm, "<i2").reshape(-1, channels)
        vocals = np.zeros_like(mix)
        if len(mix) and mix.any():
            spectra = [self._spectra(mix[:, channel]) for channel in range(channels)]
            mask = _voice(spectra, rate)
            for channel, spectrum in enumerate(spectra):
                sound = self._sound(spectrum * mask, len(mix))
                np.clip(np.rint(sound), -32768, 32767, out=sound)
                vocals[:, channel] = sound
        rest = np.clip(mix.astype(np.int32) - vocals, -32768, 32767).astype("<i2")
        return {"vocals": vocals.tobytes(), "instrumental": rest.tobytes()}

    def _spectra(self, samples: npt.NDArray[np.int16]) -> Spectra:
        moments = -(-len(samples) // _HOP) + _SIZE // _HOP - 1
        padded = np.zeros((moments - 1) * _HOP + _SIZE, np.float32)
        padded[_SIZE - _HOP : _SIZE - _HOP + len(samples)] = samples
        cut = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::_HOP]
        spectra = np.empty((_SIZE // 2 + 1, moments), np.complex64)
        for row in range(0, moments, _ROWS):
            spectra[:, row : row + _ROWS] = np.fft.rfft(cut[row : row + _ROWS] * self._window, axis=1).T
        return spectra

    def _sound(self, spectra: Spectra, length: int) -> Levels:
        """The inverse of ``_spectra``: overlapping windows, the squares of which add up to 1.5."""
        moments = spectra.shape[1]
        padded = np.zeros((moments - 1) * _HOP + _SIZE, np.float32)
        for row in range(0, moments, _ROWS):
            pieces = np.fft.irfft(spectra[:, row : row + _ROWS].T, _SIZE, axis=1) * (self._window / np.float32(1.5))
            for index, piece in enumerate(pieces, row):
                padded[index * _HOP : index * _HOP + _SIZE] += piece
        return padded[_SIZE - _HOP : _SIZE - _HOP + length]


def factory(options: Options) -> Repetition:
    """It has no options; VoiceError(BAD_REQUEST) names one that is given."""
    for name in options:
        raise VoiceError(Code.BAD_REQUEST, f"the separator has no option {name}", field=name)
    return Repetition()


def _voice(spectra: list[Spectra], rate: int) -> Levels:
    """How much of each bin of each moment is voice, 0 to 1."""
    levels: Levels = np.abs(spectra[0])
    if len(spectra) == 2:
        levels = (levels + np.abs(spectra[1])) / np.float32(2)
    hertz = np.fft.rfftfreq(_SIZE, 1 / rate).astype(np.float32)
    similar = _similar(_looks(spectra, levels, hertz), round(_APART_S * rate / _HOP))
    common = np.minimum(_common(levels, similar), levels)
    mask = (levels - common) / (levels + _FAINT)
    if len(spectra) == 2:
        left, right = np.abs(spectra[0]), np.abs(spectra[1])
        mask *= (2 * np.abs(spectra[0] * spectra[1].conj()) / (left**2 + right**2 + _FAINT)) ** np.float32(_CENTRED)
    mask[hertz < _LOWEST_VOICE_HZ] = 0.0
    return mask


def _looks(spectra: list[Spectra], levels: Levels, hertz: Levels) -> Levels:
    """What moments are compared by: the roots of their levels, so that not the loudest bin decides, of length 1."""
    in_band = (hertz > _VOICE_HZ[0]) & (hertz < _VOICE_HZ[1])
    looks = np.sqrt(levels) * np.where(in_band, _VOICE_WEIGHT, 1.0).astype(np.float32)[:, None]
    if len(spectra) == 2:
        looks = np.concatenate([looks, np.float32(_SIDE_WEIGHT) * np.sqrt(np.abs(spectra[0] - spectra[1]))])
    looks /= np.linalg.norm(looks, axis=0) + _FAINT
    return looks


def _similar(looks: Levels, apart: int) -> npt.NDArray[np.intp]:
    """The moments most similar to each; fewer, down to itself alone, where the sound is too short to have them."""
    moments = looks.shape[1]
    most = min(_SIMILAR, max(1, (moments - 2 * apart) // 4))
    similar = np.empty((moments, most), np.intp)
    for row in range(0, moments, _ROWS):
        some = np.arange(row, min(row + _ROWS, moments))
        alike = looks[:, some].T @ looks
        near = np.abs(some[:, None] - np.arange(moments)) < apart
        alike[near] = -1.0
        similar[some] = np.argpartition(-alike, most - 1, axis=1)[:, :most]
    return similar


def _common(levels: Levels, similar: npt.NDArray[np.intp]) -> Levels:
    """The median of the levels of similar moments."""
    middle = similar.shape[1] // 2
    common = np.empty_like(levels)
    for row in range(0, len(similar), _ROWS):
        of_these = levels[:, similar[row : row + _ROWS]]
        common[:, row : row + _ROWS] = np.partition(of_these, middle, axis=2)[:, :, middle]
    return common
