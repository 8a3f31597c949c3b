"""Recordings with known words and known times: espeak-ng says sentences the demonstration model never saw."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.checkpoints.nano_whisper.held_out import held_out_sentences, speak

RATE = 16000
# The demonstration recogniser; a server uses it only when it is told to, by VOXLINE_WHISPER_MODEL.
CHECKPOINT = Path(__file__).resolve().parent.parent / "tests" / "checkpoints" / "nano_whisper" / "model"


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is said from ``start`` to ``end`` (seconds into the recording)."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Recording:
    """16 kHz mono s16le, and where its utterances are."""

    pcm: bytes
    utterances: tuple[Utterance, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / (2 * RATE)


def _audible(sound: np.ndarray) -> tuple[int, int]:
    """The first and last sample above -40 dB of the peak: where a listener hears speech begin and end."""
    loud = np.flatnonzero(np.abs(sound) > 0.01 * float(np.abs(sound).max()))
    return int(loud[0]), int(loud[-1])


def record(sentences: list[str], *, voice: str = "en-us", pause: float = 1.2, lead: float = 0.5) -> Recording:
    """The sentences one after another, with ``pause`` seconds of near-silence after each."""
    noise = np.random.default_rng(7)
    parts: list[np.ndarray] = [np.zeros(int(lead * RATE), np.float32)]
    utterances: list[Utterance] = []
    at = lead
    for sentence in sentences:
        sound = speak(sentence, voice)
        first, last = _audible(sound)
        utterances.append(Utterance(sentence, at + first / RATE, at + last / RATE))
        parts += [sound, np.zeros(int(pause * RATE), np.float32)]
        at += len(sound) / RATE + int(pause * RATE) / RATE
    whole = np.concatenate(parts)
    whole = whole + noise.normal(0, 10 ** (-66 / 20), len(whole)).astype(np.float32)
    return Recording((np.clip(whole, -1, 1) * 32767).astype("<i2").tobytes(), tuple(utterances))


def recordings(count: int, *, utterances: int = 3, pause: float = 1.2) -> list[Recording]:
    """``count`` different recordings of held-out English sentences; the same ones every time."""
    sentences = held_out_sentences("en", count * utterances, seed=11)
    voices = ("en-us", "en-us+f3", "en+m3", "en-us+m1")
    return [
        record(sentences[i * utterances : (i + 1) * utterances], voice=voices[i % len(voices)], pause=pause)
        for i in range(count)
    ]
