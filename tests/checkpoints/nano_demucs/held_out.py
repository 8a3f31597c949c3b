"""Mixes the checkpoint never heard: other seeds, other sentences, voices and music drawn for scoring alone."""

import random
from dataclasses import dataclass

import numpy as np

from tests.checkpoints.nano_demucs.music import RATE, Sound, music
from tests.checkpoints.nano_demucs.speakers import utterance

_FIRST_SEED = 1_000_000  # far from any used to train


@dataclass(frozen=True, slots=True)
class Mix:
    """A voice and what is played to it, samples x 2 each; together they are the mix."""

    voice: Sound
    music: Sound

    @property
    def pcm(self) -> bytes:
        """The mix as s16le."""
        return bytes(np.rint((self.voice + self.music) * 32767).astype("<i2").tobytes())


def held_out_mixes(count: int, seconds: float, *, strangers: bool = False) -> list[Mix]:
    """Mixes at 16 kHz, the voice 6 dB softer to 6 dB louder than the music; ``strangers``: voices never heard."""
    return [_mix(_FIRST_SEED + number, seconds, strangers) for number in range(count)]


def si_sdr(true: Sound, estimate: Sound) -> float:
    """Scale-invariant signal to distortion, dB."""
    reference, found = np.float64(true).ravel(), np.float64(estimate).ravel()
    wanted = (found @ reference) / (reference @ reference) * reference
    return float(10 * np.log10((wanted @ wanted) / np.sum((found - wanted) ** 2)))


def gains(mix: Mix, vocals: bytes, instrumental: bytes) -> tuple[float, float]:
    """How many dB of SI-SDR each stem is closer to the truth than the mix is."""
    whole, stems = mix.voice + mix.music, ((mix.voice, vocals), (mix.music, instrumental))
    first, second = (si_sdr(true, _samples(stem)) - si_sdr(true, whole) for true, stem in stems)
    return first, second


def _mix(seed: int, seconds: float, strangers: bool) -> Mix:
    rng, numbers = random.Random(f"held out {seed}"), np.random.default_rng(seed)
    length = round(seconds * RATE)
    spoken: list[Sound] = []
    while sum(map(len, spoken)) < length:
        part = utterance(rng, held_out=strangers)
        spoken += [part / np.float32(np.abs(part).max() + 1e-6), np.zeros(rng.randint(2000, RATE // 2), np.float32)]
    mono = np.concatenate(spoken)[:length]
    voice = np.stack([mono, mono], axis=1)
    played = music(seconds, numbers)
    voice *= np.float32(np.sqrt(np.mean(played**2) / np.mean(voice**2)) * 10 ** (numbers.uniform(-6, 6) / 20))
    level = np.float32(0.7 / np.abs(voice + played).max())
    return Mix(voice * level, played * level)


def _samples(pcm: bytes) -> Sound:
    return np.frombuffer(pcm, "<i2").reshape(-1, 2).astype(np.float32) / np.float32(32767)
