"""Key, tempo and time signature of music whose own are known."""

import numpy as np
import pytest

from engines.sound.key import chroma_of, key_of
from engines.sound.music import factory
from engines.sound.spectra import pcm_of
from engines.sound.tempo import meter_of, onsets_of, tempo_of
from protocol.music import KEYS, SCALES
from tests.engines.sound_tools.music import RATE, chords, drums, song


@pytest.mark.parametrize("scale", SCALES)
def test_every_key_is_known(scale: str) -> None:
    for tonic, name in enumerate(KEYS):
        assert key_of(chroma_of(chords(tonic, scale, 200, 4)))[:2] == (name, scale)


def test_drums_do_not_hide_a_key() -> None:
    assert key_of(chroma_of(song(9, "Minor", 110, 8)))[:2] == ("A", "Minor")


@pytest.mark.parametrize("beats", [3, 4])
@pytest.mark.parametrize("bpm", [80, 92.5, 110, 128, 155])
def test_tempo_and_time_signature(bpm: float, beats: int) -> None:
    onsets, low = onsets_of(song(0, "Major", bpm, round(20 * bpm / 60 / beats), beats))
    assert tempo_of(onsets, low) == pytest.approx(bpm, abs=0.3)
    assert meter_of(onsets, low, bpm) == beats


def test_drums_alone_have_a_tempo() -> None:
    onsets, low = onsets_of(drums(100, 10))
    assert tempo_of(onsets, low) == pytest.approx(100, abs=0.3)


def test_a_tone_has_none() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(10 * RATE) / RATE).astype(np.float32)
    assert tempo_of(*onsets_of(tone)) == 0.0
    assert tempo_of(np.zeros(0), np.zeros(0)) == 0.0


def test_the_tool_hears_any_rate_and_both_ears() -> None:
    heard = song(4, "Minor", 120, 6, rate=44_100)
    facts = factory({}).treat(pcm_of(np.stack([heard, 0.5 * heard])), 44_100, 2, {}).facts
    chroma, onsets, low = (np.array(facts[name]) for name in ("chroma", "onsets", "low"))
    assert key_of(chroma)[:2] == ("E", "Minor")
    assert tempo_of(onsets, low) == pytest.approx(120, abs=0.5)
    assert len(onsets) == pytest.approx(len(heard) / 441, abs=2)
