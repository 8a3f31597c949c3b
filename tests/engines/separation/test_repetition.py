"""Separation is measured against the truth: songs made of a voice and of music that are known."""

import time

import numpy as np
import pytest

from engines.base import Task
from engines.separation.repetition import RATE, Repetition, factory
from protocol.errors import Code, VoiceError
from tests.engines.separation.mixes import Song, samples, song

SECONDS = 18.0


@pytest.fixture(scope="module")
def engine() -> Repetition:
    return factory({})


def gains(engine: Repetition, it: Song) -> tuple[float, float]:
    stems = engine.separate(it.pcm, RATE, it.mix.shape[1])
    return it.gain(stems["vocals"], stems["instrumental"])


def test_it_says_what_it_is(engine: Repetition) -> None:
    described = engine.describe()
    assert (described.task, described.rate) == (Task.SEPARATE, RATE)
    assert "no model" in described.note
    engine.close()


@pytest.mark.parametrize(
    ("seed", "louder_db", "speaker", "least"),
    [(0, 0.0, "en-us", (5.0, 5.0)), (1, -5.0, "en-us+f3", (6.0, 2.5)), (2, 5.0, "en+m3", (4.0, 7.0))],
)
def test_both_stems_are_much_closer_to_the_truth_than_the_mix(
    engine: Repetition, seed: int, louder_db: float, speaker: str, least: tuple[float, float]
) -> None:
    """In dB of SDR; the quieter a stem is in the mix, the more there is to gain for it."""
    gained = gains(engine, song(SECONDS, seed=seed, louder_db=louder_db, speaker=speaker))
    assert gained[0] > least[0] and gained[1] > least[1], gained


def test_without_a_stereo_image_it_still_helps(engine: Repetition) -> None:
    gained = gains(engine, song(SECONDS).mono())
    assert min(gained) > 3.0, gained


@pytest.mark.parametrize("channels", [1, 2])
def test_the_stems_add_up_to_the_mix(engine: Repetition, channels: int) -> None:
    part = Song(song(SECONDS).voice[: 5 * RATE], song(SECONDS).music[: 5 * RATE])
    mix = part.pcm if channels == 2 else part.mono().pcm
    stems = engine.separate(mix, RATE, channels)
    whole = samples(stems["vocals"], channels) + samples(stems["instrumental"], channels)
    assert np.abs(whole - samples(mix, channels)).max() <= 1 / 32767


def test_music_alone_gives_little_voice_and_silence_gives_silence(engine: Repetition) -> None:
    music = (song(SECONDS).music * 32767).astype("<i2").tobytes()
    vocals = samples(engine.separate(music, RATE, 2)["vocals"], 2)
    assert (vocals**2).mean() < 0.2 * (samples(music, 2) ** 2).mean()
    assert engine.separate(bytes(4 * RATE), RATE, 2) == {"vocals": bytes(4 * RATE), "instrumental": bytes(4 * RATE)}


@pytest.mark.parametrize("frames", [0, 1, 2, 1000, 4096, 50_000])
def test_scraps_come_back_whole(engine: Repetition, frames: int) -> None:
    mix = np.random.default_rng(frames).integers(-32768, 32767, (frames, 2), np.int16, endpoint=True)
    stems = engine.separate(mix.astype("<i2").tobytes(), RATE, 2)
    assert {len(stem) for stem in stems.values()} == {4 * frames}


@pytest.mark.parametrize(("pcm", "channels"), [(bytes(6), 2), (bytes(12), 3), (bytes(3), 1), (bytes(4), 0)])
def test_what_is_no_sound_is_refused(engine: Repetition, pcm: bytes, channels: int) -> None:
    with pytest.raises(VoiceError) as caught:
        engine.separate(pcm, RATE, channels)
    assert caught.value.code is Code.BAD_REQUEST


def test_it_has_no_options() -> None:
    with pytest.raises(VoiceError) as caught:
        factory({"shifts": 2})
    assert caught.value.facts["field"] == "shifts"


@pytest.mark.nightly
def test_it_is_much_faster_than_the_sound(engine: Repetition) -> None:
    it = song(60.0)
    began = time.thread_time()
    engine.separate(it.pcm, RATE, 2)
    assert time.thread_time() - began < 0.5 * 60.0
