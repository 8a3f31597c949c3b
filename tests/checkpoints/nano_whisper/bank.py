"""The utterances training draws from: synthesised once, kept as one file of samples and one of words."""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.checkpoints.nano_whisper.speech import SAMPLE_RATE, Audio, Utterance, Voice, speak_words
from tests.checkpoints.nano_whisper.vocabulary import training_sentence

#: espeak-ng voices by language, with how often each is drawn.
ACCENTS: dict[str, dict[str, float]] = {
    "en": {"en-us": 0.5, "en": 0.3, "en-gb-x-rp": 0.2},
    "vi": {"vi": 0.65, "vi-vn-x-south": 0.35},
}
#: espeak-ng voice variants heard in training; the plain voice counts three times.
VARIANTS = (
    *("", "", "", "+f1", "+f2", "+f3", "+f5", "+m1", "+m2", "+m3", "+m5", "+m7"),
    *("+Annie", "+Andy", "+Lee", "+linda", "+Michael"),
)
UTTERANCES = {"en": 15000, "vi": 8000}


@dataclass(frozen=True, slots=True)
class Bank:
    """All utterances: 16-bit samples back to back, and where each one lies in them."""

    samples: npt.NDArray[np.int16]
    bounds: npt.NDArray[np.int64]
    texts: list[str]
    spans: list[list[list[float]]]
    by_duration: dict[str, npt.NDArray[np.int64]]

    def duration(self, index: int) -> float:
        """Seconds of one utterance."""
        return float(self.bounds[index + 1] - self.bounds[index]) / SAMPLE_RATE

    def audio(self, index: int) -> Audio:
        """Samples of one utterance, in -1..1."""
        return self.samples[self.bounds[index] : self.bounds[index + 1]].astype(np.float32) / 32768.0

    def draw(self, language: str, longest: float, rng: np.random.Generator) -> int | None:
        """A random utterance of at most ``longest`` seconds, if there is one."""
        indices = self.by_duration[language]
        ends = self.bounds[indices + 1] - self.bounds[indices]
        count = int(np.searchsorted(ends, longest * SAMPLE_RATE))
        return int(indices[rng.integers(count)]) if count else None


def random_voice(language: str, rng: random.Random) -> Voice:
    """A voice of the training distribution."""
    accents = ACCENTS[language]
    accent = rng.choices(list(accents), list(accents.values()))[0]
    return Voice(
        accent + rng.choice(VARIANTS),
        rate=rng.randint(115, 225),
        pitch=rng.randint(20, 85),
        pitch_range=rng.randint(20, 80),
        word_gap=rng.choice((0, 0, 0, 0, 1, 2, 4)),
        tract=rng.uniform(0.9, 1.13) if rng.random() < 0.5 else 1.0,
    )


def _synthesise(seed: int) -> Iterator[tuple[str, Utterance]]:
    rng = random.Random(f"bank {seed}")
    for language, count in UTTERANCES.items():
        for _ in range(count):
            voice = random_voice(language, rng)
            yield language, speak_words(training_sentence(language, rng), voice)


def make_bank(folder: Path, seed: int) -> None:
    """Synthesise all utterances into ``folder`` (about a minute and 700 MB)."""
    total, done, length = sum(UTTERANCES.values()), 0, 0
    index: dict[str, list[object]] = {"language": [], "text": [], "spans": [], "start": []}
    with (folder / "bank.pcm").open("wb") as file:
        for language, utterance in _synthesise(seed):
            pcm = np.clip(utterance.audio * 32767.0, -32768, 32767).astype(np.int16)
            spans = [[round(start, 4), round(end, 4)] for start, end in utterance.spans]
            for key, value in zip(index, (language, utterance.text, spans, length), strict=True):
                index[key].append(value)
            file.write(pcm.tobytes())
            length, done = length + len(pcm), done + 1
            if done % 1000 == 0:
                sys.stdout.write(f"bank {done}/{total} utterances, {length / SAMPLE_RATE / 60:.0f} min\n")
                sys.stdout.flush()
    index["start"].append(length)
    (folder / "bank.json").write_text(json.dumps(index))


def load_bank(folder: Path) -> Bank:
    """The bank ``make_bank`` left; samples are mapped, not read."""
    index = json.loads((folder / "bank.json").read_text())
    bounds = np.asarray(index["start"], dtype=np.int64)
    languages = np.asarray(index["language"])
    by_duration = {}
    for language in UTTERANCES:
        mine = np.flatnonzero(languages == language)
        by_duration[language] = mine[np.argsort(bounds[mine + 1] - bounds[mine], kind="stable")]
    samples = np.memmap(folder / "bank.pcm", dtype=np.int16, mode="r")
    return Bank(samples, bounds, index["text"], index["spans"], by_duration)
