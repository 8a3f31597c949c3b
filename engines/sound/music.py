"""The tool that listens to music: the notes and the onsets of a stretch, from which key and tempo are told."""

from collections.abc import Mapping

import numpy as np
import soxr

from engines.base import Capabilities, Options, Task, Treated
from engines.sound.key import RATE, chroma_of
from engines.sound.spectra import Levels, samples_of
from engines.sound.tempo import onsets_of


class Listen:
    """``engines.base.SoundTool``. It returns no sound."""

    def describe(self) -> Capabilities:
        return Capabilities("analyze", Task.TREAT, note="signal processing, no model")

    def close(self) -> None:
        """Nothing is held."""

    def treat(self, pcm: bytes, rate: int, channels: int, order: Mapping[str, object]) -> Treated:
        """``chroma`` (``engines.sound.key``), ``onsets`` and ``low`` (``engines.sound.tempo``) of a stretch."""
        sound = samples_of(pcm, channels).mean(axis=0)
        if rate != RATE:
            sound = np.asarray(soxr.resample(sound, rate, RATE, quality="HQ"), np.float32)
        onsets, low = onsets_of(sound)
        chroma = [float(value) for value in chroma_of(sound)]
        return Treated(b"", {"chroma": chroma, "onsets": _short(onsets), "low": _short(low)})


def _short(values: Levels) -> list[float]:
    return [round(float(value), 4) for value in values]


def factory(_options: Options) -> Listen:
    """Nothing is loaded."""
    return Listen()
