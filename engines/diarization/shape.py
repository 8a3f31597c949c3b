"""The shape of what a diarizer is asked and of what it answers (``engines.base.Diarizer``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.frames import WireError

RATE = 16_000
WINDOW = 10 * RATE  # samples that are looked at together
VOICES = 3  # at most that are told apart in a window
FRAMES = 589  # moments of a window
HOP = 270  # samples from one moment to the next
CENTRE = 495  # the sample the first moment is centred on
PRINT = 192  # numbers that say how a voice sounds
MOST_WINDOWS = 32  # of one call

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks when in each of n windows. The voices of a window are in no order; the next window has others."""

    active: Floats  # n x FRAMES x VOICES: how likely each speaks at a moment
    prints: Floats  # n x VOICES x PRINT: how each sounds, of length 1; zeros where too little was heard of it
    heard: Floats  # n x VOICES: seconds of each that the print was made of


def pack_voices(voices: Voices) -> tuple[bytes, bytes, bytes]:
    """In the child: as the buffers of an answer."""
    active, prints, heard = (
        np.ascontiguousarray(part, "<f4").tobytes() for part in (voices.active, voices.prints, voices.heard)
    )
    return active, prints, heard


def read_voices(buffers: Sequence[bytes], windows: int) -> Voices:
    """An answer about so many windows. Raises WireError for what is none."""
    shapes = ((windows, FRAMES, VOICES), (windows, VOICES, PRINT), (windows, VOICES))
    if [len(buffer) for buffer in buffers] != [4 * int(np.prod(shape)) for shape in shapes]:
        raise WireError("not the voices of each window")
    active, prints, heard = (
        np.frombuffer(buffer, "<f4").reshape(shape) for buffer, shape in zip(buffers, shapes, strict=True)
    )
    if not all(np.isfinite(part).all() for part in (active, prints, heard)):
        raise WireError("voices that are not numbers")
    if active.size and not (active.min() >= 0.0 and active.max() <= 1.001 and np.abs(prints).max() <= 1.001):
        raise WireError("not probabilities, or prints that are too long")
    return Voices(active, prints, heard)
