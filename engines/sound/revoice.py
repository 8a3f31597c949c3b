"""The tool that has one voice speak as another: pitch, range, formants and tone moved, words and timing kept.

It has no model of voices, so nobody will take the result for the other person; it is as high, as lively and about as
bright as they are, and says what was said, in any language.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from engines.base import Capabilities, Options, Task, Treated
from engines.sound.pitch_marks import Course, course_of, sung
from engines.sound.spectra import pcm_of, samples_of, sound_of, spectra_of, window_of
from engines.sound.timbre import Timbre, bands_of, moved, tone_gains, warp_between
from engines.tts.hearing import melody_of

_WINDOW_S = 0.032


class Revoice:
    """``engines.base.SoundTool``, of one channel. Orders: ``listen``, else the two voices."""

    def describe(self) -> Capabilities:
        return Capabilities("revoice", Task.TREAT, note="signal processing, no model")

    def close(self) -> None:
        """Nothing is held."""

    def treat(self, pcm: bytes, rate: int, channels: int, order: Mapping[str, object]) -> Treated:
        """A stretch as the other voice says it.

        ``source`` and ``target`` (the fields of ``Timbre``), ``semitones`` and ``wider`` as in ``timbre.moved``.
        When it is to ``listen``: the ``pitches`` of voiced moments, and the power of ``bands``.
        """
        mono = samples_of(pcm, channels).mean(axis=0)
        melody = melody_of(pcm_of(mono[None]), rate)
        if melody is None:
            return Treated(b"", {"pitches": [], "bands": []}) if order.get("listen") else Treated(pcm_of(mono[None]))
        if order.get("listen"):
            power, _ = bands_of(mono, rate)
            pitches = [round(float(pitch), 1) for pitch in melody.pitch[melody.voiced]]
            return Treated(b"", {"pitches": pitches, "bands": [float(level) for level in power]})
        source, target = _timbre(order["source"]), _timbre(order["target"])
        course = course_of(melody.pitch, melody.voiced)
        wanted = moved(
            course.pitch,
            source,
            target,
            semitones=float(str(order["semitones"])),
            wider=float(str(order["wider"])),
        )
        spoken = sung(mono, rate, course, Course(wanted), warp_between(source, target))
        spectra = spectra_of(spoken, window_of(rate, _WINDOW_S))
        toned = sound_of(spectra * tone_gains(spoken, rate, spectra.shape[1], target), len(spoken))
        return Treated(pcm_of(toned[None]))


def _timbre(fields: object) -> Timbre:
    given = cast(Mapping[str, object], fields)
    bands = cast(Sequence[float], given["bands"])
    return Timbre(float(str(given["pitch"])), float(str(given["spread"])), tuple(np.asarray(bands, float).tolist()))


def factory(_options: Options) -> Revoice:
    """Nothing is loaded."""
    return Revoice()
