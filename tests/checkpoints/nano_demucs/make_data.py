"""Speech and music to train on, made once and kept in two files; and mixes drawn from them, step by step."""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.checkpoints.nano_demucs.music import RATE, Sound, music
from tests.checkpoints.nano_demucs.speakers import utterance

UTTERANCES, PIECES = 700, 200
_PIECE_S = 12.0
_QUIETEST_DB, _LOUDEST_DB = -9.0, 9.0  # speech against music


@dataclass(frozen=True, slots=True)
class Material:
    """All speech back to back (mono) and all music (stereo), s16, mapped rather than read."""

    speech: npt.NDArray[np.int16]
    music: npt.NDArray[np.int16]

    def mixes(self, count: int, seconds: float, rng: np.random.Generator) -> tuple[Sound, Sound]:
        """Voices and what is played to them: two arrays of count x 2 x samples, which add up to the mixes."""
        length = round(seconds * RATE)
        voices, played = np.zeros((2, count, 2, length), np.float32)
        for index in range(count):
            voices[index] = _placed(_cut(self.speech, length, rng), rng)
            played[index] = _cut(self.music, length, rng).T
            if rng.random() < 0.25:  # two pieces that have nothing to do with each other
                played[index] += _cut(self.music, length, rng).T
            _balance(voices[index], played[index], rng)
        return voices, played


def make(folder: Path, seed: int) -> None:
    """Write the material into ``folder``: about two minutes on an idle core, 190 MB."""
    rng, numbers = random.Random(f"speech {seed}"), np.random.default_rng(seed)
    with (folder / "speech.pcm").open("wb") as file:
        for index in range(UTTERANCES):
            spoken = utterance(rng)
            file.write(_pcm(spoken / (np.abs(spoken).max() + 1e-6)))
            file.write(bytes(2 * rng.randint(800, RATE)))
            _say(index, UTTERANCES, "utterances")
    with (folder / "music.new").open("wb") as file:
        for index in range(PIECES):
            file.write(_pcm(music(_PIECE_S, numbers)))
            _say(index, PIECES, "pieces")
    (folder / "music.new").rename(folder / "music.pcm")


def load(folder: Path) -> Material:
    """What ``make`` left; made first where it is not there."""
    if not (folder / "music.pcm").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, seed=1)
    speech = np.memmap(folder / "speech.pcm", np.int16, "r")
    return Material(speech, np.memmap(folder / "music.pcm", np.int16, "r").reshape(-1, 2))


def batches(material: Material, size: int, seconds: float, seed: int, first: int) -> Iterator[tuple[Sound, Sound]]:
    """The mixes of every step from ``first`` on; a step's depend on its number and the seed only."""
    step = first
    while True:
        yield material.mixes(size, seconds, np.random.default_rng((seed, step)))
        step += 1


def _cut(sound: npt.NDArray[np.int16], length: int, rng: np.random.Generator) -> Sound:
    start = int(rng.integers(len(sound) - length))
    return np.asarray(sound[start : start + length] / np.float32(32768), np.float32)


def _placed(voice: Sound, rng: np.random.Generator) -> Sound:
    """Mono to stereo: in the middle mostly, sometimes aside, sometimes in a room."""
    pan = 0.5 if rng.random() < 0.75 else rng.uniform(0.3, 0.7)
    placed = voice * 2 * np.array([[1 - pan], [pan]], np.float32)
    if rng.random() < 0.25:
        delay = int(rng.integers(RATE // 200, RATE // 12))
        placed[0, delay:] += np.float32(rng.uniform(0.1, 0.35)) * voice[:-delay]
        placed[1, delay + 90 :] += np.float32(rng.uniform(0.1, 0.35)) * voice[: -delay - 90]
    return np.asarray(placed, np.float32)


def _balance(voice: Sound, played: Sound, rng: np.random.Generator) -> None:
    """How loud each is; now and then one of them is not there at all."""
    louder = rng.uniform(_QUIETEST_DB, _LOUDEST_DB)
    voice *= np.sqrt((np.mean(played**2) + 1e-8) / (np.mean(voice**2) + 1e-5)) * np.float32(10 ** (louder / 20))
    absent = rng.random()
    if absent < 0.05:
        voice *= 0
    elif absent < 0.08:
        played *= 0
    level = np.float32(10 ** (rng.uniform(-20, 0) / 20) / (np.abs(voice + played).max() + 1e-3))
    voice *= level
    played *= level


def _pcm(sound: Sound) -> bytes:
    return np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2").tobytes()


def _say(index: int, count: int, what: str) -> None:
    if (index + 1) % 100 == 0 or index + 1 == count:
        sys.stdout.write(f"{index + 1}/{count} {what}\n")
        sys.stdout.flush()
