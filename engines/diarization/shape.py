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
MOST_PIECES = 200  # of one window: more than ten seconds of stutter have

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks when in each of n windows, in m pieces of a second or two without a pause.

    The voices of a window are in no order, and the next window has others. Two people who sound alike may be one voice;
    that their pieces' prints differ tells. Pieces between which there is no pause meet.
    """

    active: Floats  # n x FRAMES x VOICES: how likely each speaks at a moment
    pieces: Counts  # m x 4: window, voice, first moment, the one behind the last; in this order
    prints: Floats  # m x PRINT: how each sounds, of length 1; zeros where too little was heard of it
    heard: Floats  # m: seconds of each that the print was made of


def pack_voices(voices: Voices) -> tuple[bytes, bytes, bytes, bytes]:
    """In the child: as the buffers of an answer."""
    active, prints, heard = (
        np.ascontiguousarray(part, "<f4").tobytes() for part in (voices.active, voices.prints, voices.heard)
    )
    return active, np.ascontiguousarray(voices.pieces, "<i4").tobytes(), prints, heard


def read_voices(buffers: Sequence[bytes], windows: int) -> Voices:
    """An answer about so many windows. Raises WireError for what is none."""
    many = len(buffers[-1]) // 4 if buffers else 0
    shapes = ((windows, FRAMES, VOICES), (many, 4), (many, PRINT), (many,))
    if [len(buffer) for buffer in buffers] != [4 * int(np.prod(shape)) for shape in shapes]:
        raise WireError("not the voices of each window")
    active, prints, heard = (np.frombuffer(buffers[at], "<f4").reshape(shapes[at]) for at in (0, 2, 3))
    pieces = np.frombuffer(buffers[1], "<i4").reshape(shapes[1])
    if many > windows * MOST_PIECES or not all(np.isfinite(part).all() for part in (active, prints, heard)):
        raise WireError("too many pieces, or values that are not numbers")
    if active.min(initial=0.0) < 0.0 or active.max(initial=0.0) > 1.001 or np.abs(prints).max(initial=0.0) > 1.001:
        raise WireError("not probabilities, or prints that are too long")
    most = np.array([windows - 1, VOICES - 1, FRAMES - 1, FRAMES])
    if (pieces < 0).any() or (pieces > most).any() or (pieces[:, 2] >= pieces[:, 3]).any() or (heard < 0).any():
        raise WireError("pieces that are nowhere")
    return Voices(active, pieces, prints, heard)
