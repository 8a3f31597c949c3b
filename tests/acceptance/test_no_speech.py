"""What is not speech yields no text: a minute each of silence, noise, hum, dial tones and music.

Most of it the detector keeps from the recogniser. Where it is switched off, Whisper itself must not make words of it.
"""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from loadtest.recordings import RATE, record
from loadtest.subject import Subject
from tests.acceptance.listening import Heard, hear
from tests.checkpoints.nano_demucs.music import music
from tests.checkpoints.nano_whisper.held_out import held_out_sentences

SECONDS = 60
Sound = NDArray[np.float64]
TIMES = np.arange(SECONDS * RATE) / RATE
DTMF = {
    "1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "4": (770, 1209), "5": (770, 1336), "6": (770, 1477),
    "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "*": (941, 1209), "0": (941, 1336), "#": (941, 1477),
}  # fmt: skip


def silence() -> Sound:
    """Digital silence: all zeroes."""
    return np.zeros(len(TIMES))


def noise() -> Sound:
    """White noise at -40 dBFS (root mean square against a full-scale sine's)."""
    level = 10 ** (-40 / 20) / np.sqrt(2)
    return np.random.default_rng(1).normal(0, level, len(TIMES))


def hum() -> Sound:
    """50 Hz from the mains, with harmonics, at about -20 dBFS."""
    strengths = {1: 0.1, 2: 0.05, 3: 0.04, 4: 0.02, 5: 0.02, 6: 0.01, 7: 0.01}
    lines = (level * np.sin(2 * np.pi * 50 * order * TIMES + order) for order, level in strengths.items())
    return sum(lines, silence())


def dial_tones() -> Sound:
    """A telephone's keys, each 100 ms with 100 ms between, then long presses; -10 dBFS together."""
    sound = silence()
    for index in range(SECONDS * 5):
        key = "1234567890*#"[index * 7 % 12]
        length = 0.1 if index % 25 else 0.6
        start = round(index * 0.2 * RATE)
        here = TIMES[start : start + round(length * RATE)]
        sound[start : start + len(here)] = sum(0.16 * np.sin(2 * np.pi * tone * here) for tone in DTMF[key])
    return sound


def chords() -> Sound:
    """Music without a voice: a minute of I-V-vi-IV, four decaying notes a chord with their overtones."""
    sound, length = silence(), 0.75
    progression = ([261.6, 329.6, 392.0, 523.3], [196.0, 246.9, 293.7, 392.0], [220.0, 261.6, 329.6, 440.0],
                   [174.6, 220.0, 261.6, 349.2])  # fmt: skip
    for index in range(int(SECONDS / length)):
        start = round(index * length * RATE)
        here = np.arange(round(length * RATE)) / RATE
        for note in progression[index % 4]:
            for order in (1, 2, 3, 4):
                wave = np.sin(2 * np.pi * note * order * here) * np.exp(-here * (2 + order)) * (1 - np.exp(-here * 200))
                sound[start : start + len(here)] += 0.08 / order * wave
    return sound


def band() -> Sound:
    """Chords, bass, melodies and drums, ten seconds of each of six pieces."""
    pieces = (music(SECONDS / 6, np.random.default_rng(seed)).mean(axis=1) for seed in range(6))
    return np.asarray(0.5 * np.concatenate(list(pieces)), np.float64)


SOUNDS = {sound.__name__: sound for sound in (silence, noise, hum, dial_tones, chords, band)}


def pcm(sound: Sound) -> bytes:
    """As 16-bit samples."""
    assert np.abs(sound).max() <= 1
    return (sound * 32767).astype("<i2").tobytes()


async def then_speech(live: Subject, sound: Sound, sentence: str) -> tuple[Heard, float]:
    """A minute of it, and then somebody speaks: proof that somebody was listening; and when speech begins."""
    speech = record([sentence], pause=1.0)
    answer = await hear(live.ws, live.key, [pcm(sound), speech.pcm], config={"language": "en", "events": True})
    return answer.check(), SECONDS + speech.utterances[0].start


@pytest.mark.parametrize("names", [("silence", "noise", "hum"), ("dial_tones", "chords", "band")], ids=" ".join)
async def test_a_minute_of_it_yields_no_text(live: Subject, names: tuple[str, ...]) -> None:
    (sentence,) = held_out_sentences("en", 1, seed=21)
    answers = await asyncio.gather(*(then_speech(live, SOUNDS[name](), sentence) for name in names))
    for name, (heard, speech_at) in zip(names, answers, strict=True):
        early = [one for one in [*heard.partials, *heard.finals] if one["start"] < speech_at - 0.5]
        assert not early, f"{name} was taken for speech: {early}"
        assert [final["text"] for final in heard.finals] == [sentence], name
        assert heard.finals[0]["start"] == pytest.approx(speech_at, abs=0.3), name


async def test_whisper_itself_makes_no_words_of_it(live: Subject) -> None:
    """Eight seconds of each are an utterance because the client says so. (What a band plays is the detector's to know:
    so small a model takes half of it for speech.)"""
    sounds = {name: sound()[5 * RATE : 13 * RATE] for name, sound in SOUNDS.items() if name != "band"}
    config: dict[str, object] = {"language": "en", "vad": False}
    answers = await asyncio.gather(
        *(hear(live.ws, live.key, [pcm(sound), {"action": "finalize"}], config=config) for sound in sounds.values())
    )
    said = {name: heard.check().text or heard.partials for name, heard in zip(sounds, answers, strict=True)}
    assert not any(said.values()), said
