"""Songs with known stems: espeak-ng speaks over chords, bass and drums that repeat, in stereo."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import soxr

from tests.checkpoints.nano_whisper.held_out import held_out_sentences, speak

RATE = 44_100
_BEAT = RATE * 3 // 5  # 100 a minute
_CHORDS = ((220.0, 277.2, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7), (164.8, 207.7, 246.9))
_PANS = (0.3, 0.5, 0.7)
_PAUSE_S = 0.7

Sound = npt.NDArray[np.float64]  # samples x channels


@dataclass(frozen=True)
class Song:
    """What is sung, and what is played to it; the two add up to the mix."""

    voice: Sound
    music: Sound

    @property
    def mix(self) -> Sound:
        return self.voice + self.music

    @property
    def pcm(self) -> bytes:
        """The mix as s16le."""
        return (self.mix * 32767).astype("<i2").tobytes()

    def gain(self, vocals: bytes, instrumental: bytes) -> tuple[float, float]:
        """How many dB closer each stem is to the truth than the mix is: the improvement of the SDR."""
        stems = ((self.voice, vocals), (self.music, instrumental))
        return tuple(sdr(true, samples(pcm, true.shape[1])) - sdr(true, self.mix) for true, pcm in stems)  # type: ignore[return-value]

    def mono(self) -> "Song":
        """The same with one channel."""
        return Song(self.voice.mean(axis=1, keepdims=True), self.music.mean(axis=1, keepdims=True))


def samples(pcm: bytes, channels: int) -> Sound:
    """s16le as numbers in -1..1."""
    return np.frombuffer(pcm, "<i2").reshape(-1, channels) / 32767


def sdr(true: Sound, estimate: Sound) -> float:
    """Signal to distortion, dB."""
    return float(10 * np.log10((true**2).sum() / ((true - estimate) ** 2).sum()))


@lru_cache(maxsize=8)
def song(seconds: float, *, seed: int = 0, louder_db: float = 0.0, speaker: str = "en-us") -> Song:
    """A song whose voice is ``louder_db`` louder than its music."""
    voice, music = _voice(seconds, seed, speaker), _music(seconds, seed)
    voice = voice * np.sqrt((music**2).mean() / (voice**2).mean()) * 10 ** (louder_db / 20)
    gain = 0.6 / np.abs(voice + music).max()
    return Song(voice * gain, music * gain)


def _voice(seconds: float, seed: int, speaker: str) -> Sound:
    length, parts, total = round(seconds * RATE), [], 0
    language = speaker[:2]
    for sentence in held_out_sentences(language, 40, seed=seed):
        spoken = soxr.resample(speak(sentence, speaker), 16_000, RATE)
        parts += [spoken, np.zeros(round(_PAUSE_S * RATE))]
        total += len(spoken) + len(parts[-1])
        if total > length:
            break
    whole = np.concatenate(parts)
    whole = np.tile(whole, -(-length // len(whole)))[:length]
    return np.stack([whole, whole], axis=1)


def _music(seconds: float, seed: int) -> Sound:
    random, length = np.random.default_rng(seed), round(seconds * RATE)
    order = random.permutation(len(_CHORDS))
    music = np.zeros((length + 4 * _BEAT, 2))
    for beat, at in enumerate(range(0, length, _BEAT)):
        if beat % 4 == 0:
            music[at : at + 4 * _BEAT] += _bar(_CHORDS[order[beat // 4 % 4]])
        music[at : at + _BEAT] += _drums(random, snare=beat % 2 == 1)
    return music[:length]


@cache
def _bar(chord: tuple[float, ...]) -> Sound:
    bar = 0.2 * _note(chord[0] / 2, 3)[:, None] * np.ones(2)
    for hertz, pan in zip(chord, _PANS, strict=True):
        bar += 0.25 * _note(hertz, 6)[:, None] * np.array([1 - pan, pan])
    return bar


def _note(hertz: float, harmonics: int) -> npt.NDArray[np.float64]:
    times = np.arange(4 * _BEAT) / RATE
    waves = [np.sin(2 * np.pi * hertz * k * times) / k**1.3 for k in range(1, harmonics + 1)]
    return np.asarray(np.sum(waves, axis=0) * np.exp(-1.5 * times))


def _drums(random: np.random.Generator, *, snare: bool) -> Sound:
    times = np.arange(_BEAT) / RATE
    hit = 0.6 * np.sin(2 * np.pi * 60 * times * np.exp(-3 * times)) * np.exp(-18 * times)
    if snare:
        hit = hit + 0.25 * random.standard_normal(_BEAT) * np.exp(-25 * times)
    hat = np.zeros((_BEAT, 2))
    for at in (0, _BEAT // 2):
        tick = np.diff(random.standard_normal(_BEAT // 2 + 1)) * np.exp(-60 * times[: _BEAT // 2])
        hat[at : at + _BEAT // 2] += 0.06 * tick[:, None] * np.array([1.2, 0.8])
    return hit[:, None] + hat
