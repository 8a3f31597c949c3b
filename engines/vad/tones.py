"""Tell the tones of a telephone keypad from a voice: a speech detector alone takes some of them for speech."""

import numpy as np
import numpy.typing as npt

_RATE = 16000
_ROWS = (697.0, 770.0, 852.0, 941.0)  # ITU-T Q.23
_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
_LOBE_HZ = 62.5  # half the main lobe of a Hann window of 512 samples
_SHARE = 0.7  # of the energy lies in one row and one column; 2,181 windows of speech stayed below 0.66
_BALANCE = 0.07  # of the energy lies in the weaker of the two (Q.24 allows them 8 dB apart)
_LOWEST_BIN = 3  # below 94 Hz is mains hum, which may lie under a tone

Windows = npt.NDArray[np.float32]
Truths = npt.NDArray[np.bool_]


class KeypadTones:
    """Says which windows hold nothing but a keypad tone."""

    def __init__(self, size: int = 512) -> None:
        self._hann = np.hanning(size + 1)[:-1].astype(np.float32)
        bins = np.fft.rfftfreq(size, 1 / _RATE)
        whole = (np.arange(len(bins)) >= _LOWEST_BIN).astype(np.float32)[:, None]
        # One product for all sums: in a process woken every few hundredths of a second each further step is a cold one.
        self._sums = np.concatenate([_bands(bins, _ROWS), _bands(bins, _COLUMNS), whole], axis=1)

    def __call__(self, windows: Windows) -> Truths:
        """One truth value for each row of ``windows``, n x 512 samples at 16 kHz."""
        spectrum = np.fft.rfft(windows * self._hann, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        sums = power @ self._sums
        row, column, total = sums[:, :4].max(axis=1), sums[:, 4:8].max(axis=1), sums[:, 8] + np.float32(1e-9)
        return np.asarray((row + column > _SHARE * total) & (np.minimum(row, column) > _BALANCE * total), np.bool_)


def _bands(bins: npt.NDArray[np.floating], tones: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """A 0/1 matrix, bins x tones, that sums the power around each tone."""
    return np.asarray(np.abs(bins[:, None] - np.array(tones)) <= _LOBE_HZ, np.float32)
