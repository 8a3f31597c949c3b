"""Features as Whisper was trained on them, at any length."""

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from engines.stt.features import FULL_FRAMES, HOP, RATE, MelSpectrogram, Window, samples_of


@pytest.mark.parametrize("mels", [80, 128])
def test_they_are_those_of_faster_whisper(mels: int) -> None:
    rng = np.random.default_rng(0)
    for seconds in (0.5, 2.0, 7.3):
        size = round(seconds * RATE)
        sound = (rng.standard_normal(size) * np.linspace(0, 0.3, size)).astype(np.float32)
        theirs = FeatureExtractor(feature_size=mels)(sound)
        ours = MelSpectrogram(mels)(sound, 1000)
        heard = len(sound) // HOP
        assert ours.shape == (mels, 1000)
        assert ours.dtype == np.float32
        assert np.abs(ours[:, :heard] - theirs[:, :heard]).max() < 1e-5


def test_silence_follows_the_sound() -> None:
    """As in training, where the audio was padded, not the features."""
    sound = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    padded = np.concatenate([sound, np.zeros(RATE, np.float32)])
    mel = MelSpectrogram()
    assert np.array_equal(mel(sound, 200), mel(padded, 200))
    assert np.unique(mel(sound, 500)[:, 110:]).size == 1


@pytest.mark.parametrize("samples", [0, 1, 3, 159, 160, 161, 399, 400, 401, 16 * 160])
def test_any_length_has_features(samples: int) -> None:
    features = MelSpectrogram()(np.full(samples, 0.1, np.float32), 500)
    assert features.shape == (80, 500)
    assert np.isfinite(features).all()


def test_sound_beyond_the_window_is_ignored() -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)
    features = MelSpectrogram()(sound, 100)
    assert features.shape == (80, 100)
    assert np.allclose(features[:, :98], MelSpectrogram()(sound[: 100 * HOP], 100)[:, :98])


def test_a_window_has_room_behind_the_utterance_and_comes_in_steps() -> None:
    window = Window()
    lengths = [window.frames(samples) for samples in range(0, 31 * RATE, RATE // 7)]
    assert min(lengths) == 500
    assert max(lengths) == FULL_FRAMES
    assert all(frames % 50 == 0 for frames in lengths)
    assert lengths == sorted(lengths)
    for samples in range(0, 28 * RATE, RATE // 7):
        assert window.frames(samples) * HOP - samples >= 1.28 * RATE - 1


def test_a_model_may_want_the_full_window_or_a_wider_margin() -> None:
    assert Window(trim=False).frames(RATE) == FULL_FRAMES
    assert Window(margin_s=2.56).frames(4 * RATE) == 700
    assert Window(floor_s=30.0).frames(RATE) == FULL_FRAMES


def test_samples_are_floats_of_whole_samples() -> None:
    assert samples_of(b"\x00\x80\xff\x7f\x01").tolist() == [-1.0, 32767 / 32768]
    assert samples_of(b"").size == 0
