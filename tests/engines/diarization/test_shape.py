"""What a diarizer's process answers is not trusted before it was looked at."""

import numpy as np
import pytest

from engines.diarization.shape import FRAMES, PRINT, VOICES, Voices, pack_voices, read_voices
from engines.frames import WireError


def voices(windows: int = 2) -> Voices:
    random = np.random.default_rng(1)
    prints = random.normal(size=(windows, VOICES, PRINT)).astype(np.float32)
    return Voices(
        random.random((windows, FRAMES, VOICES), np.float32),
        prints / np.linalg.norm(prints, axis=-1, keepdims=True),
        random.random((windows, VOICES), np.float32),
    )


def test_an_answer_is_read_as_it_was_packed() -> None:
    given = voices()
    read = read_voices(pack_voices(given), 2)
    for part in ("active", "prints", "heard"):
        assert np.array_equal(getattr(read, part), getattr(given, part))


@pytest.mark.parametrize("part", range(3))
def test_buffers_of_the_wrong_length_or_number_are_nonsense(part: int) -> None:
    buffers = list(pack_voices(voices()))
    with pytest.raises(WireError):
        read_voices(buffers, 3)
    with pytest.raises(WireError):
        read_voices(buffers[:2], 2)
    buffers[part] += b"\0\0\0\0"
    with pytest.raises(WireError):
        read_voices(buffers, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0, -3.0])
@pytest.mark.parametrize("part", ["active", "prints"])
def test_values_that_cannot_be_are_nonsense(part: str, value: float) -> None:
    given = voices()
    getattr(given, part).flat[7] = value
    with pytest.raises(WireError):
        read_voices(pack_voices(given), 2)
