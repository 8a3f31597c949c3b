"""Long recordings are read piece by piece, and judged as if they had been heard from beginning to end."""

from pathlib import Path

import numpy as np
import pytest

from batch.pipelines.listening import RATE, Recording, speech
from batch.pipelines.stretches import LONGEST_S, Stretch, stretches
from engines import registry
from engines.vad.silero import factory
from loadtest.recordings import record
from protocol.errors import Code, VoiceError
from tests import engines_scripted as scripted
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.engines.hosting import hosting

SILERO = next(spec for spec in registry.BUILT_IN if spec.name == "silero-vad")


def kept(pcm: bytes, directory: Path) -> Recording:
    path = directory / "sound.pcm"
    path.write_bytes(pcm)
    return Recording(path)


def test_only_what_is_asked_for_and_zeros_around_it(tmp_path: Path) -> None:
    recording = kept(np.arange(100, dtype="<i2").tobytes(), tmp_path)
    assert recording.read(-2, 4).tolist() == [0, 0, 0, 1]
    assert recording.read(98, 4).tolist() == [98, 99, 0, 0]
    assert recording.read(200, 2).tolist() == [0, 0]
    assert recording.seconds == 100 / RATE
    assert len(recording.pcm(Stretch(0.0, 1.0))) == 200


def test_without_a_detector_it_is_cut_where_it_is_quiet(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = rng.integers(-3000, 3000, 70 * RATE).astype("<i2")
    for at in (20, 41):
        sound[at * RATE : at * RATE + RATE // 5] = 0
    cuts = list(kept(sound.tobytes(), tmp_path).quiet_cuts())
    assert [cuts[0].end, cuts[1].end] == pytest.approx([20.1, 41.1], abs=0.1)
    assert cuts[0].start == 0.0 and cuts[-1].end == 70.0
    assert all(it.seconds <= LONGEST_S for it in cuts)


async def test_side_by_side_it_is_judged_as_from_beginning_to_end(tmp_path: Path) -> None:
    made = record(held_out_sentences("en", 40, seed=5), pause=0.8)
    recording = kept(made.pcm, tmp_path)
    assert recording.seconds > 60
    told: list[float] = []
    async with hosting(SILERO) as host:
        side_by_side = await speech(recording, host, told.append)
    assert told == sorted(told) and told[-1] == 1.0
    alone = _from_the_beginning(recording)
    assert len(side_by_side) == len(alone)
    differ = np.abs(np.array(side_by_side) - np.array(alone)) > 0.3
    assert differ.mean() < 0.01
    cut = stretches(side_by_side, recording.seconds)
    for utterance in made.utterances:
        middle = (utterance.start + utterance.end) / 2
        assert any(it.start <= middle <= it.end for it in cut), utterance


def _from_the_beginning(recording: Recording) -> list[float]:
    detector, state, found = factory({}), bytes(4 * 2 * 128), []
    for at in range(0, recording.samples, 512):
        window = recording.read(at - 64, 576).astype(np.float32) / np.float32(32768)
        answer, state = detector.detect(window.tobytes(), state)
        found.append(float(np.frombuffer(answer, np.float32)[0]))
    return found


async def test_a_detector_that_falls_is_waited_for(tmp_path: Path) -> None:
    recording = kept(scripted.tone(1.0) + scripted.silence(1.0), tmp_path)
    async with hosting(scripted.detector(fail="exit", once=str(tmp_path / "once"))) as host:
        likely = await speech(recording, host, lambda share: None)
    assert likely[:31] == pytest.approx([0.97] * 31)
    assert likely[33:] == pytest.approx([0.03] * (len(likely) - 33))


async def test_a_detector_that_always_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch.pipelines.patience._BACK_OFF_S", (0.0, 0.0))
    recording = kept(scripted.tone(1.0), tmp_path)
    async with hosting(scripted.detector(fail="raise")) as host:
        with pytest.raises(VoiceError) as caught:
            await speech(recording, host, lambda share: None)
    assert caught.value.code is Code.ENGINE_FAILED
