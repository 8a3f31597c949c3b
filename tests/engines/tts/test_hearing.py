"""What is heard in speech of known pitch and pace, and in what is no speech."""

import numpy as np
import pytest

from engines.tts.espeak import factory
from engines.tts.hearing import Heard, hear
from protocol.requests import Speak
from tests.engines.sound import fundamental, samples, tone

RATE = 22050
ENGLISH = "The quick brown fox jumps over the lazy dog near the river bank."
SYLLABLES = 16


def spoken(voice: str, speed: float = 1.0, text: str = ENGLISH) -> bytes:
    return b"".join(chunk.pcm for chunk in factory({}).speak(Speak(text, voice, speed)))


def heard(pcm: bytes, rate: int = RATE) -> Heard:
    found = hear(pcm, rate)
    assert found is not None
    return found


@pytest.mark.parametrize("voice", ["en-us/male-1", "en-us/male-3", "en-us/female-1", "en-us/girl", "vi/female-1"])
def test_the_pitch_is_that_of_another_measure(voice: str) -> None:
    pcm = spoken(voice)
    assert heard(pcm).pitch == pytest.approx(fundamental(pcm, RATE), rel=0.04)


def test_the_pitch_is_that_of_a_library() -> None:
    librosa = pytest.importorskip("librosa")
    pcm = spoken("en-us/female-2")
    track = librosa.yin(samples(pcm).astype(np.float32), fmin=80, fmax=400, sr=RATE)
    assert heard(pcm).pitch == pytest.approx(float(np.median(track)), rel=0.06)


def test_syllables_are_counted() -> None:
    for speed in (0.8, 1.0, 1.3):
        assert heard(spoken("en-us/male-1", speed)).pace == pytest.approx(4.9 * speed, rel=0.2)


def test_pauses_are_no_slow_speech() -> None:
    flowing, halting = heard(spoken("en-us/female-1")), heard(spoken("en-us/female-1") + bytes(3 * RATE * 2))
    assert halting.pace == pytest.approx(flowing.pace, rel=0.1)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_any_rate_will_do(rate: int) -> None:
    from engines.resample import resample_file

    pcm = resample_file(spoken("en-us/male-1"), RATE, rate)
    assert heard(pcm, rate).pitch == pytest.approx(101, rel=0.05)


def test_noise_behind_a_voice_changes_little() -> None:
    clean = samples(spoken("en-us/female-1"))
    noise = np.random.default_rng(3).standard_normal(len(clean)) * 0.01
    noisy = ((clean + noise) * 32000).astype("<i2").tobytes()
    assert heard(noisy).pitch == pytest.approx(heard(spoken("en-us/female-1")).pitch, rel=0.04)


def test_a_quiet_recording_is_heard_all_the_same() -> None:
    quiet = (samples(spoken("en-us/male-1")) * 1500).astype("<i2").tobytes()
    assert heard(quiet).pitch == pytest.approx(101, rel=0.05)


def _noise(level: float) -> bytes:
    return (np.random.default_rng(1).standard_normal(3 * RATE) * level).astype("<i2").tobytes()


@pytest.mark.parametrize(
    "pcm",
    [b"", bytes(100), bytes(6 * RATE), _noise(3000), _noise(2), tone(200, 3.0, RATE), spoken("en-us/male-1")[:6000]],
    ids=["nothing", "a moment", "silence", "noise", "faint noise", "tone", "a tenth of a second"],
)
def test_what_is_nobody_speaking(pcm: bytes) -> None:
    assert hear(pcm, RATE) is None


def test_a_word_is_too_short_to_tell_a_pace() -> None:
    assert heard(spoken("en-us/male-1", 0.8, "yes")).pace == 0.0
