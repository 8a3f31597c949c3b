"""How loud speech is, and how it is brought to the loudness every voice here has, without clicks at its ends.

The loudness is that of espeak-ng's voices (0.08 to 0.11 in several languages), so that a server with several engines
speaks evenly. What would pass full scale is bent smoothly, never cut off.
"""

import numpy as np
from numpy.typing import NDArray

LOUDNESS = 0.09  # root mean square of the speech in a text, of full scale
FADE_S = 0.005

_BLOCK_S = 0.05  # over which loudness is taken
_SPEECH = 0.1  # of the loudest block: what is quieter is a pause
_MOST_GAIN = 30.0  # what is fainter than that is no speech
_KNEE, _TOP = 0.7, 0.98  # of full scale: where bending begins, and what nothing passes

Sound = NDArray[np.float32]


def loudness(sound: Sound, rate: int) -> float:
    """The root mean square of the parts that are not pauses; 0 for silence."""
    size = max(1, min(len(sound), round(_BLOCK_S * rate)))
    blocks = np.sqrt((sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1))
    if not len(blocks) or blocks.max() == 0.0:
        return 0.0
    return float(np.sqrt((blocks[blocks >= _SPEECH * blocks.max()] ** 2).mean()))


def gain_for(sound: Sound, rate: int) -> float:
    """What brings a voice that sounds like ``sound`` to ``LOUDNESS``; 1 for silence."""
    level = loudness(sound, rate)
    return min(_MOST_GAIN, LOUDNESS / level) if level > LOUDNESS / _MOST_GAIN / 10 else 1.0


def levelled(sound: Sound, gain: float) -> Sound:
    """So many times as loud, the peaks bent where they would pass full scale."""
    louder = sound * np.float32(gain)
    size = np.abs(louder)
    bent = _KNEE + (_TOP - _KNEE) * np.tanh((size - _KNEE) / (_TOP - _KNEE))
    return np.where(size > _KNEE, np.sign(louder) * bent, louder).astype(np.float32)


def faded(sound: Sound, rate: int, *, first: bool = True, last: bool = True) -> Sound:
    """A piece of a clause, from silence if it is the ``first`` and to silence if it is the ``last``."""
    count = min(round(FADE_S * rate), len(sound) // 2)
    slope = np.linspace(0.0, 1.0, count, endpoint=False, dtype=np.float32)
    result = sound.copy()
    if first:
        result[:count] *= slope
    if last and count:
        result[-count:] *= slope[::-1]
    return result


def pcm_of(sound: Sound) -> bytes:
    """As s16le."""
    return bytes(np.clip(np.rint(sound * 32767.0), -32768, 32767).astype("<i2").tobytes())
