"""The tool that takes the room out of recordings: one distinct echo, and reverberation.

Reverberation is what a moment's sound can be predicted from by that of a tenth of a second and more before (weighted
prediction error, Nakatani 2010, by nara_wpe); what is left of its tail is lowered by how it decays (Lebart 2001).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from nara_wpe.wpe import wpe_v8

from engines.base import Capabilities, Options, Task, Treated
from engines.sound.echo import Echo, cepstrum_of, without_echo
from engines.sound.spectra import Levels, Sound, Spectra, pcm_of, samples_of, sound_of, spectra_of, window_of

_WINDOW_S = 0.032
_DELAY_S = 0.03  # what comes sooner belongs to the sound
_TAPS_S = {1: 0.05, 2: 0.08, 3: 0.11, 4: 0.15, 5: 0.2}  # by intensity: how far back prediction goes
_FLOORS_DB = {1: -3.0, 2: -6.0, 3: -9.0, 4: -14.0, 5: -20.0}  # by intensity: how far a tail is lowered
_OVER = {1: 0.7, 2: 0.9, 3: 1.2, 4: 1.7, 5: 2.5}  # by intensity: how much tail is taken for more than it seems
_HIGHEST_HZ = 8_000.0  # rooms are dull above
_LATE_S = 0.05  # a tail begins so long after its sound
_SMOOTH = 0.8  # of power over time
_AMOUNTS = {1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0, 5: 1.0}  # by intensity: of an echo


class Deecho:
    """``engines.base.SoundTool``. Orders: ``listen`` (the cepstrum), else what is to be taken away."""

    def describe(self) -> Capabilities:
        return Capabilities("deecho", Task.TREAT, note="signal processing, no model")

    def close(self) -> None:
        """Nothing is held."""

    def treat(self, pcm: bytes, rate: int, channels: int, order: Mapping[str, object]) -> Treated:
        """A stretch with less of its room.

        ``intensity`` 1 to 5; ``reverb``: seconds in which the room falls by 60 dB, 0 to leave it; ``delay_s``,
        ``gain`` and ``again`` of an echo.
        """
        sound = samples_of(pcm, channels)
        if order.get("listen"):
            cepstrum, its_rate, windows = cepstrum_of(sound.mean(axis=0), rate)
            heard = {"cepstrum": [round(float(value), 5) for value in cepstrum], "rate": its_rate, "windows": windows}
            return Treated(b"", heard | {"decay_s": decay_of(sound, rate)})
        intensity, reverb_s = int(str(order["intensity"])), float(str(order["reverb_s"]))
        if not sound.any():
            return Treated(pcm)
        if "delay_s" in order:
            gain = _AMOUNTS[intensity] * float(str(order["gain"]))
            echo = Echo(float(str(order["delay_s"])), gain, bool(order["again"]))
            sound = np.stack([without_echo(one, rate, echo) for one in sound])
        if reverb_s:
            sound = _dry(sound, rate, intensity, reverb_s)
        return Treated(pcm_of(sound))


def decay_of(sound: Sound, rate: int) -> float:
    """Seconds in which a room falls by 60 dB, by the slopes at which the sound dies away; 0 where it never does."""
    size = window_of(rate, _WINDOW_S)
    hop_s = size // 4 / rate
    power = np.mean([np.abs(spectra_of(one, size)[:, : size // 4]) ** 2 for one in sound], axis=0)
    span = max(4, round(0.12 / hop_s))
    slopes: list[float] = []
    for band in np.array_split(power, 8, axis=1):
        level = 10 * np.log10(band.mean(axis=1) + 1e-12)
        floor = np.quantile(level, 0.05) + 6.0
        top = np.quantile(level, 0.95) - 25.0
        for start in range(0, len(level) - span, 2):
            part = level[start : start + span]
            if part[0] > max(floor + 12.0, top) and part[-1] > floor and (np.diff(part) < 1.0).all():
                slope = (part[-1] - part[0]) / ((span - 1) * hop_s)
                if slope < -20.0:
                    slopes.append(float(-60.0 / slope))
    return float(np.median(slopes)) if len(slopes) >= 8 else 0.0


def _dry(sound: Sound, rate: int, intensity: int, reverb_s: float) -> Sound:
    size = window_of(rate, _WINDOW_S)
    hop_s = size // 4 / rate
    spectra = [spectra_of(one, size) for one in sound]
    bins = min(spectra[0].shape[1], round(_HIGHEST_HZ / (rate / 2) * spectra[0].shape[1]))
    heard = np.stack([one[:, :bins].T for one in spectra], axis=1).astype(np.complex128)  # bins x channels x moments
    taps, delay = max(2, round(_TAPS_S[intensity] / hop_s)), max(2, round(_DELAY_S / hop_s))
    dry = wpe_v8(heard, taps=taps, delay=delay, iterations=3)
    for index, one in enumerate(spectra):
        one[:, :bins] = dry[:, index].T
    gain = _tail_gains(spectra, hop_s, reverb_s, intensity)
    return np.stack([sound_of(one * gain, sound.shape[1]) for one in spectra])


def _tail_gains(spectra: Sequence[Spectra], hop_s: float, reverb_s: float, intensity: int) -> Levels:
    """What to multiply each bin of each moment with: what came before, decayed, is taken for the tail there now."""
    power = np.mean([np.abs(one) ** 2 for one in spectra], axis=0)
    late = max(1, round(_LATE_S / hop_s))
    smooth = np.empty_like(power)
    held = power[0]
    for index, now in enumerate(power):
        held = _SMOOTH * held + (1 - _SMOOTH) * now
        smooth[index] = held
    tail = np.zeros_like(power)
    tail[late:] = smooth[:-late] * (_OVER[intensity] * 10 ** (-6.0 * late * hop_s / reverb_s))
    ratio = np.maximum(1 - tail / np.maximum(smooth, 1e-12), 0.0)
    return np.asarray(np.maximum(np.sqrt(ratio), 10 ** (_FLOORS_DB[intensity] / 20)), np.float32)


def factory(_options: Options) -> Deecho:
    """Nothing is loaded."""
    return Deecho()
