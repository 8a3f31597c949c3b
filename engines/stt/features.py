"""Log-mel features as Whisper wants them, for an utterance of any length: no longer than it needs.

Whisper was trained on windows of 30 s, and its encoder's cost grows faster than the window. CTranslate2 takes shorter
ones; how much silence must stay behind the last word is ``Window``'s to say.
"""

from dataclasses import dataclass
from math import ceil, log

import numpy as np
import numpy.typing as npt

RATE = 16000
HOP = 160  # samples between frames
_FFT = 400
_ROWS = 16  # of a matrix product: small enough that the BLAS stays in this thread; its others would wait by spinning
FRAMES_A_SECOND = RATE // HOP
FULL_FRAMES = 3000  # 30 s

# Slaney's mel scale: linear up to 1 kHz, logarithmic above.
_BEND_HZ = 1000.0
_HZ_A_MEL = 200.0 / 3
_BEND_MEL = _BEND_HZ / _HZ_A_MEL
_LOG_STEP = log(6.4) / 27

Samples = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """How many frames an utterance is given. Seconds; lengths come in steps so that utterances share a batch."""

    trim: bool = True
    margin_s: float = 1.28  # silence behind the utterance: 64 positions of the encoder
    floor_s: float = 5.0  # shorter windows gain little and cost words
    step_s: float = 0.5

    def frames(self, samples: int) -> int:
        """Frames for so many samples; the full 30 s when trimming is off or would not save anything."""
        if not self.trim:
            return FULL_FRAMES
        seconds = max(samples / RATE + self.margin_s, self.floor_s)
        return min(ceil(seconds / self.step_s - 1e-9) * round(self.step_s * FRAMES_A_SECOND), FULL_FRAMES)


class MelSpectrogram:
    """Samples to log-mel features, in single precision throughout."""

    def __init__(self, mels: int = 80) -> None:
        self._filters = _filter_bank(mels)
        self._window = np.hanning(_FFT + 1)[:-1].astype(np.float32)

    def __call__(self, samples: Samples, frames: int) -> Features:
        """Features of shape (mels, frames) of samples in -1..1 at 16 kHz, as if silence followed them.

        Samples beyond ``frames`` x 10 ms are ignored.
        """
        samples = samples[: frames * HOP]
        sounding = min(len(samples) // HOP + 2, frames)  # frames that see a sample
        half = _FFT // 2
        rows = -(-sounding // _ROWS) * _ROWS
        padded = np.zeros((rows - 1) * HOP + _FFT, np.float32)
        head = samples[1 : half + 1][::-1]  # the first frame is centred on the first sample
        padded[half - len(head) : half] = head
        padded[half : half + len(samples)] = samples[: len(padded) - half]
        cut = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP]
        spectrum = np.fft.rfft(cut * self._window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        mel = (power.reshape(-1, _ROWS, power.shape[1]) @ self._filters).reshape(rows, -1)[:sounding]
        mel = np.log10(np.maximum(mel, np.float32(1e-10)))
        floor = mel.max() - np.float32(8.0)
        features = np.full((self._filters.shape[1], frames), floor, np.float32)
        np.maximum(mel.T, floor, out=features[:, :sounding])
        features += np.float32(4.0)
        features *= np.float32(0.25)
        return features


def samples_of(pcm: bytes) -> Samples:
    """16-bit little-endian samples as floats in -1..1; an odd last byte is dropped."""
    return np.frombuffer(pcm, "<i2", count=len(pcm) // 2).astype(np.float32) / np.float32(32768.0)


def _filter_bank(mels: int) -> npt.NDArray[np.float32]:
    """Triangular filters on Slaney's mel scale, each of area 1: bins x mels."""
    scale = np.linspace(0.0, _mel(RATE / 2), mels + 2)
    edges = np.where(scale < _BEND_MEL, scale * _HZ_A_MEL, _BEND_HZ * np.exp(_LOG_STEP * (scale - _BEND_MEL)))
    bins = np.fft.rfftfreq(_FFT, 1 / RATE)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.ascontiguousarray(np.maximum(slopes, 0.0) * 2 / (high - low), dtype=np.float32)


def _mel(hz: float) -> float:
    return _BEND_MEL + log(hz / _BEND_HZ) / _LOG_STEP if hz >= _BEND_HZ else hz / _HZ_A_MEL
