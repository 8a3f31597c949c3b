"""Training clips put together from the bank: silence, speech, cut-off speech, noise, a telephone, hum and tones."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tests.checkpoints.nano_whisper.bank import Bank
from tests.checkpoints.nano_whisper.speech import SAMPLE_RATE, Audio

Rng = np.random.Generator

#: A cut-off word counts as said when this much of it was heard; between the two nobody can tell, so nothing is cut
#: there.
_HARDLY_SAID, _SAID = 0.55, 0.92


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its start and end in seconds from the start of the clip."""

    text: str
    start: float
    end: float


@dataclass(slots=True)
class Clip:
    """Audio with its words by utterance. ``speech`` tells whether anybody speaks, be it half a word; ``cut_off`` is
    the start of an utterance the window's end interrupts."""

    audio: Audio
    language: str
    speech: bool = True
    utterances: list[list[Word]] = field(default_factory=list)
    cut_off: float | None = None

    @property
    def words(self) -> list[Word]:
        """All words in order."""
        return [word for utterance in self.utterances for word in utterance]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the clips of one batch have in common. ``window`` is in seconds; the shares are in 0..1."""

    window: float
    several: float
    cut: float
    silent: float = 0.05
    vietnamese: float = 0.36


def make_clip(bank: Bank, recipe: Recipe, rng: Rng) -> Clip:
    """One clip; its audio is at most as long as the window, the rest is up to the features' padding."""
    language = "vi" if rng.random() < recipe.vietnamese else "en"
    if rng.random() < recipe.silent:
        length = int(SAMPLE_RATE * recipe.window * (1.0 if rng.random() < 0.5 else rng.uniform(0.1, 1.0)))
        return Clip(_without_speech(length, rng), language, speech=False)
    clip = _with_speech(bank, recipe, language, rng)
    if rng.random() < recipe.cut:
        _cut(clip, rng)
    elif rng.random() < 0.5:
        rest = int(recipe.window * SAMPLE_RATE) - len(clip.audio)
        clip.audio = np.concatenate([clip.audio, np.zeros(max(rest, 0), np.float32)])
    clip.audio = _distort(clip.audio, rng)
    return clip


def _with_speech(bank: Bank, recipe: Recipe, language: str, rng: Rng) -> Clip:
    lead = rng.uniform(0.0, 0.45) if rng.random() < 0.85 else rng.uniform(0.3, min(recipe.window / 3, 3.0))
    tail = rng.uniform(0.03, 0.5)
    clip = Clip(np.zeros(int(lead * SAMPLE_RATE), np.float32), language)
    while True:
        room = recipe.window - len(clip.audio) / SAMPLE_RATE
        index = bank.draw(language, room - min(tail, 0.1), rng)
        if index is None:
            break
        _append(clip, bank, index)
        if rng.random() >= recipe.several:
            break
        clip.audio = np.concatenate([clip.audio, np.zeros(int(rng.uniform(0.15, 1.6) * SAMPLE_RATE), np.float32)])
    size = int(recipe.window * SAMPLE_RATE)
    if recipe.several > rng.random() and len(clip.audio) < size - SAMPLE_RATE // 2:
        _append_interrupted(clip, bank, size, rng)
    clip.audio = np.concatenate([clip.audio, np.zeros(int(tail * SAMPLE_RATE), np.float32)])[:size]
    return clip


def _append(clip: Clip, bank: Bank, index: int) -> None:
    start = len(clip.audio) / SAMPLE_RATE
    spans = bank.spans[index]
    texts = bank.texts[index].split()
    words = [Word(text, start + a, start + b) for text, (a, b) in zip(texts, spans, strict=True)]
    clip.utterances.append(words)
    clip.audio = np.concatenate([clip.audio, bank.audio(index)])


def _append_interrupted(clip: Clip, bank: Bank, size: int, rng: Rng) -> None:
    """An utterance that does not fit in the window: only where it starts is told."""
    gap = np.zeros(int(rng.uniform(0.15, 0.8) * SAMPLE_RATE), np.float32)
    index = bank.draw(clip.language, 99.0, rng)
    if index is None or len(clip.audio) + len(gap) + bank.duration(index) * SAMPLE_RATE <= size:
        return
    clip.audio = np.concatenate([clip.audio, gap])
    if len(clip.audio) < size - SAMPLE_RATE // 5:
        clip.cut_off = len(clip.audio) / SAMPLE_RATE
        clip.audio = np.concatenate([clip.audio, bank.audio(index)])


def _cut(clip: Clip, rng: Rng) -> None:
    """End the audio inside or just after a random word of the last utterance, and drop what was not said."""
    if clip.cut_off is not None or not clip.utterances:
        return
    words = clip.utterances[-1]
    index = int(rng.integers(len(words)))
    word = words[index]
    share = rng.uniform(0.0, _HARDLY_SAID) if rng.random() < 0.6 else rng.uniform(_SAID, 1.0)
    end = word.start + share * (word.end - word.start)
    kept = words[: index + 1] if share >= _SAID else words[:index]
    clip.utterances[-1] = [Word(w.text, w.start, min(w.end, end)) for w in kept]
    if not clip.utterances[-1]:
        clip.utterances.pop()
    clip.audio = clip.audio[: max(int(end * SAMPLE_RATE), 160)]


def _distort(audio: Audio, rng: Rng) -> Audio:
    peak = max(float(np.abs(audio).max()), 1e-4)
    audio = audio * np.float32(10 ** rng.uniform(-1.5, -0.03) / peak)
    level = float(np.abs(audio).max())
    draw = rng.random()
    if draw < 0.75:
        below = rng.uniform(36, 65) if draw < 0.6 else rng.uniform(26, 36)
        audio = audio + _noise(len(audio), rng) * np.float32(level * 10 ** (-below / 20))
    if rng.random() < 0.14:
        audio = _telephone(audio, rng)
    return audio


def _noise(length: int, rng: Rng) -> Audio:
    white = rng.standard_normal(length, dtype=np.float32)
    if rng.random() < 0.6:
        return white
    smooth = np.convolve(white, np.full(8, 0.35, np.float32), mode="same")
    return np.asarray(smooth, dtype=np.float32)


def _telephone(audio: Audio, rng: Rng) -> Audio:
    """300 to 3400 Hz and mu-law steps."""
    spectrum = np.fft.rfft(audio)
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    spectrum[hertz > rng.uniform(3300, 3950)] = 0
    spectrum[hertz < rng.uniform(20, 300)] = 0
    narrow = np.clip(np.fft.irfft(spectrum, len(audio)), -1, 1)
    steps = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255, dtype=np.float32)


def _without_speech(length: int, rng: Rng) -> Audio:
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    level = np.float32(10 ** rng.uniform(-4.0, -0.4))
    kind: Literal["zero", "noise", "hum", "tones", "clicks"] = rng.choice(["zero", "noise", "hum", "tones", "clicks"])
    audio = np.zeros(length, np.float32)
    if kind == "noise":
        audio = _noise(length, rng) * level * np.float32(0.3)
    elif kind == "hum":
        base = rng.choice([50.0, 60.0, rng.uniform(80, 400)])
        for harmonic in range(1, 6):
            audio += np.sin(2 * np.pi * base * harmonic * time + rng.uniform(0, 6)) * level / harmonic**1.5
    elif kind == "tones":
        low, high = rng.choice([697, 770, 852, 941, 350, 440]), rng.choice([1209, 1336, 1477, 1633, 440, 480])
        gate = (time % rng.uniform(0.15, 0.8)) < rng.uniform(0.08, 0.5)
        audio = (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)) * level * 0.5 * gate
    elif kind == "clicks":
        for place in rng.integers(0, max(length - 80, 1), 1 + length // 8000):
            audio[place : place + 80] += (rng.standard_normal(80) * level)[: max(length - place, 0)]
    if rng.random() < 0.5:
        audio = audio + rng.standard_normal(length, dtype=np.float32) * np.float32(10 ** rng.uniform(-5, -2.3))
    return np.asarray(audio, dtype=np.float32)
