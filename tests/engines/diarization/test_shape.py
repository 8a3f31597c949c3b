"""What a diarizer's process answers is not trusted before it was looked at."""

import numpy as np
import pytest

from engines.diarization.shape import FRAMES, PRINT, VOICES, Voices, pack_voices, read_voices
from engines.frames import WireError

PIECES = np.array([[0, 0, 10, 200], [0, 2, 150, 589], [1, 1, 0, 589]], np.int32)


def voices() -> Voices:
    random = np.random.default_rng(1)
    prints = random.normal(size=(3, PRINT)).astype(np.float32)
    return Voices(
        random.random((2, FRAMES, VOICES), np.float32),
        PIECES.copy(),
        prints / np.linalg.norm(prints, axis=-1, keepdims=True),
        random.random(3, np.float32),
    )


@pytest.mark.parametrize("many", [0, 3])
def test_an_answer_is_read_as_it_was_packed(many: int) -> None:
    it = voices()
    given = Voices(it.active, it.pieces[:many], it.prints[:many], it.heard[:many])
    read = read_voices(pack_voices(given), 2)
    for part in ("active", "pieces", "prints", "heard"):
        assert np.array_equal(getattr(read, part), getattr(given, part))


@pytest.mark.parametrize("part", range(4))
def test_buffers_of_the_wrong_length_or_number_are_nonsense(part: int) -> None:
    buffers = list(pack_voices(voices()))
    with pytest.raises(WireError):
        read_voices(buffers, 3)
    with pytest.raises(WireError):
        read_voices(buffers[:2], 2)
    with pytest.raises(WireError):
        read_voices([], 2)
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


@pytest.mark.parametrize("row", [[2, 0, 0, 9], [0, 3, 0, 9], [0, 0, 9, 9], [0, 0, 580, 590], [-1, 0, 0, 9]])
def test_pieces_that_are_nowhere_are_nonsense(row: list[int]) -> None:
    given = voices()
    given.pieces[1] = row
    with pytest.raises(WireError):
        read_voices(pack_voices(given), 2)
