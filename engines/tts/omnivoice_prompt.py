"""What OmniVoice keeps of a voice, as bytes and back: safetensors, so that reading them runs nothing.

The bytes come from a store and through pipes, so all of them is checked: whose they are, the shape, every code.
"""

import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from protocol.errors import Code, VoiceError

VERSION = 1
LONGEST_S = 60  # of a reference

_ENGINE = "omnivoice"
_FRAMES_A_SECOND = 25
_TEXT = 2_000  # code points
_ABOUT = "voice"  # the one entry: the order of several would differ from run to run
_HEAD = 8  # bytes that say how long the header is


@dataclass(frozen=True, slots=True)
class KeptVoice:
    """The codes of a recording (codebooks by frames), what is said in it, and how loud it was."""

    codes: NDArray[np.int16]
    text: str
    loudness: float


def to_bytes(voice: KeptVoice) -> bytes:
    """As ``Speak.prompt`` carries it."""
    about = {"engine": _ENGINE, "version": VERSION, "text": voice.text, "loudness": voice.loudness}
    return bytes(save({"codes": np.ascontiguousarray(voice.codes)}, metadata={_ABOUT: json.dumps(about)}))


def from_bytes(data: bytes, codebooks: int, codes: int) -> KeptVoice:
    """The same again; a codebook has ``codes``. VoiceError(BAD_REQUEST) naming ``prompt`` for anything else."""
    try:
        size = int.from_bytes(data[:_HEAD], "little")
        about = json.loads(json.loads(data[_HEAD : _HEAD + size])["__metadata__"][_ABOUT])
        kept = load(data)["codes"]
        level = float(about["loudness"])
        whose = (about["engine"], about["version"]) == (_ENGINE, VERSION)
        shaped = kept.dtype == np.int16 and kept.ndim == 2 and kept.shape[0] == codebooks
        long = shaped and 0 < kept.shape[1] <= LONGEST_S * _FRAMES_A_SECOND and len(about["text"]) <= _TEXT
        if whose and long and math.isfinite(level) and kept.min() >= 0 and kept.max() < codes:
            return KeptVoice(kept, str(about["text"]), level)
    except (SafetensorError, ValueError, TypeError, KeyError, OverflowError):
        pass  # whatever it is, it is none of ours
    raise VoiceError(Code.BAD_REQUEST, "the voice prompt was not made by this engine", field="prompt")
