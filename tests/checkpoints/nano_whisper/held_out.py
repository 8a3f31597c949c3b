"""Sentences the nano checkpoint never saw in training, and a voice to say them with. Light: imports no torch."""

import random

import numpy as np

from tests.checkpoints.nano_whisper.speech import Audio, Voice, speak_words
from tests.checkpoints.nano_whisper.vocabulary import command, is_held_out

#: Voices used in training, for tests that want the checkpoint at its best.
KNOWN_VOICES: dict[str, tuple[str, ...]] = {
    "en": ("en-us", "en-us+f3", "en+m3", "en+f2", "en-us+m1"),
    "vi": ("vi", "vi+f3", "vi+m3", "vi-vn-x-south+f2"),
}


def held_out_sentences(language: str, count: int, seed: int = 0) -> list[str]:
    """``count`` different sentences of the grammar, three to seven words each, none of them ever trained on."""
    rng = random.Random(f"held out {language} {seed}")
    sentences: dict[str, None] = {}
    while len(sentences) < count:
        sentence = command(language, rng)
        if is_held_out(sentence) and 3 <= len(sentence.split()) <= 7:
            sentences[sentence] = None
    return list(sentences)


def speak(text: str, voice: str, rate: int = 165, pitch: int = 50, pitch_range: int = 50) -> Audio:
    """The text said by an espeak-ng voice such as ``en-us+f3``: 16 kHz mono samples in -1..1 at about -6 dB peak,
    without silence around them. ``rate`` is in words a minute, ``pitch`` and ``pitch_range`` are 0..100."""
    audio = speak_words(text, Voice(voice, rate, pitch, pitch_range)).audio
    return np.asarray(audio * (0.5 / max(float(np.abs(audio).max()), 1e-6)), dtype=np.float32)
