"""Recordings taken apart: two files that add up, in little memory, by an engine that runs only for that."""

import asyncio
import os
import signal
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from batch.pipelines import separate
from batch.pipelines.base import Produced
from batch.pipelines.separate import OVERLAP_S, RATE, STRETCH_S, plan
from engines import registry
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.work import STEMS, Delivery, Separating
from tests import engines_scripted as scripted
from tests.batch.pipelines.parts import separator
from tests.batch.pipelines.studio import Studio, opened
from tests.engines.hosting import until
from tests.engines.separation.mixes import sdr, song

REPETITION = next(spec for spec in registry.BUILT_IN if spec.name == "repetition")
HALVES = replace(scripted.separator(), on_demand=True)
WAV = Delivery(format="wav")


@pytest.fixture(autouse=True)
def not_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine should not make these tests wait; that such engines give way is for test_batch_lanes."""
    monkeypatch.setattr("engines.batch_lanes.BATCH_NICE", 1)
    monkeypatch.setattr("batch.pipelines.passes.BATCH_NICE", 1)


@asynccontextmanager
async def studio(root: Path, spec: EngineSpec) -> AsyncIterator[Studio]:
    async with opened(root, [spec]) as it:
        it.tools.fleet.lanes.idle_s = 0.0
        it.files.decode = _linking(it)  # type: ignore[method-assign,assignment]
        yield it


def _linking(it: Studio) -> Callable[..., object]:
    """Uploads of these tests are decoded already."""

    async def decode(path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
        assert (rate, channels) == (RATE, 2)
        target = (directory or it.root) / "decoded"
        os.link(path, target)
        return target

    return decode


def upload(it: Studio, pcm: bytes) -> str:
    (it.files.directory / "song").write_bytes(pcm)
    return "song"


async def separated(it: Studio, name: str, **fields: object) -> Produced:
    return await separate.run(Separating(upload=name, seconds=1.0, **fields), it.context(), it.tools)  # type: ignore[arg-type]


def noise(seconds: float) -> bytes:
    rng = np.random.default_rng(1)
    return rng.integers(-20_000, 20_000, (round(seconds * RATE), 2)).astype("<i2").tobytes()


def read(produced: Produced) -> dict[str, np.ndarray]:
    return {file.role: soundfile.read(file.path, dtype="int16")[0] for file in produced.files}


@given(st.integers(0, 5000 * RATE))
def test_stretches_cover_a_recording_and_overlap(frames: int) -> None:
    parts = list(plan(frames))
    assert parts[0][0] == 0 and sum(parts[-1][:2]) == frames
    assert [last for _, _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert all(start + count - after[0] == round(OVERLAP_S * RATE) for (start, count, _), after in pairwise(parts))
    assert all(count <= 1.5 * STRETCH_S * RATE + 1 for _, count, _ in parts)


@pytest.mark.parametrize("seconds", [0.5, STRETCH_S, 2.7 * STRETCH_S])
async def test_what_is_joined_is_what_was_cut(tmp_path: Path, seconds: float) -> None:
    """To the last bit: fading one stretch into the next one loses nothing."""
    async with studio(tmp_path, HALVES) as it:
        pcm = noise(seconds)
        produced = await separated(it, upload(it, pcm), delivery=WAV)
        stems, mix = read(produced), np.frombuffer(pcm, "<i2").reshape(-1, 2)
        assert np.array_equal(stems["vocals"][:, 0], mix[:, 0]) and not stems["vocals"][:, 1].any()
        assert np.array_equal(stems["vocals"] + stems["instrumental"], mix)
        assert produced.engine == "halves"
        assert produced.seconds == pytest.approx(seconds, abs=0.01)
        assert it.shares == sorted(it.shares) and it.shares[-1] == 1.0
        assert not (it.root / "job-1" / "decoded").exists()


async def test_only_the_stems_that_were_asked_for_as_mp3(tmp_path: Path) -> None:
    """A58-A60: mode chooses; MP3 of 192 kbit/s in stereo."""
    async with studio(tmp_path, HALVES) as it:
        (file,) = (await separated(it, upload(it, noise(20.0)), stems=("instrumental",))).files
        assert (file.role, file.path.name, file.media_type) == ("instrumental", "instrumental.mp3", "audio/mpeg")
        info = soundfile.info(file.path)
        assert (info.channels, info.samplerate) == (2, RATE)
        assert file.path.stat().st_size * 8 / 20.0 == pytest.approx(192_000, rel=0.02)


@pytest.mark.parametrize("count", [4, 5, 6])
async def test_as_many_stems_as_were_asked_for_add_up(tmp_path: Path, count: int) -> None:
    """D14: what is not asked for is in "other"."""
    stems = STEMS[count]
    async with studio(tmp_path, separator("drums", "bass", "other", "vocals", "guitar", "piano")) as it:
        pcm = noise(0.5)
        parts = read(await separated(it, upload(it, pcm), stems=stems, delivery=WAV))
        assert tuple(parts) == stems
        mix = np.frombuffer(pcm, "<i2").reshape(-1, 2)
        assert np.array_equal(np.sum(list(parts.values()), axis=0), mix)
        assert np.array_equal(parts["drums"], mix // 3)


@pytest.mark.parametrize(("count", "install"), [(4, "htdemucs"), (6, "htdemucs_6s")])
async def test_stems_that_nothing_here_knows_are_named_with_what_does(tmp_path: Path, count: int, install: str) -> None:
    async with studio(tmp_path, HALVES) as it:
        with pytest.raises(VoiceError) as caught:
            await separated(it, upload(it, noise(0.1)), stems=STEMS[count])
    assert caught.value.code is Code.NOT_INSTALLED
    assert caught.value.facts["install"] == f"voxline models pull {install}"


async def test_a_song_becomes_its_voice_and_its_music(tmp_path: Path) -> None:
    it_is = song(18.0)
    async with studio(tmp_path, REPETITION) as it:
        produced = await separated(it, upload(it, it_is.pcm))
        assert produced.engine == "repetition"
        for file, true in zip(produced.files, (it_is.voice, it_is.music), strict=True):
            sound = soundfile.read(file.path)[0][: len(true)]
            lag = _lag(true, sound)  # of the codec
            assert sdr(true[: len(true) - lag], sound[lag:]) - sdr(true, it_is.mix) > 3.0


def _lag(true: np.ndarray, sound: np.ndarray) -> int:
    """How many samples later it is."""
    part, span = true[:, 0], 4 * RATE
    score = [float(part[span : 2 * span] @ sound[span + lag : 2 * span + lag, 0]) for lag in range(3000)]
    return int(np.argmax(score))


async def test_an_engine_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    async with studio(tmp_path, HALVES.with_options(latency_s=0.1)) as it:
        pcm = noise(3.9 * STRETCH_S)
        working = asyncio.ensure_future(separated(it, upload(it, pcm), delivery=WAV))
        await until(lambda: len(it.shares) >= 1)
        for pid in it.tools.fleet.pids():
            os.kill(pid, signal.SIGKILL)
        stems = read(await working)
        assert (stems["vocals"] + stems["instrumental"]).tobytes() == pcm


async def test_cancelled_it_leaves_no_file(tmp_path: Path) -> None:
    async with studio(tmp_path, HALVES.with_options(latency_s=0.3)) as it:
        working = asyncio.ensure_future(separated(it, upload(it, noise(3.9 * STRETCH_S))))
        await until(lambda: len(it.shares) >= 1)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert not list((it.root / "job-1").iterdir())


async def test_without_a_separator_it_cannot_be_done(tmp_path: Path) -> None:
    async with studio(tmp_path, scripted.detector()) as it:
        with pytest.raises(VoiceError) as caught:
            await separated(it, upload(it, noise(1.0)))
        assert caught.value.code is Code.NOT_INSTALLED


@pytest.mark.nightly
async def test_twenty_minutes_take_little_memory(tmp_path: Path) -> None:
    async with studio(tmp_path, REPETITION) as it:
        pcm = song(60.0).pcm
        with (it.files.directory / "song").open("wb") as file:
            for _ in range(20):
                file.write(pcm)
        del pcm
        tracemalloc.start()
        working = asyncio.ensure_future(separated(it, "song"))
        resident = 0
        while not working.done():
            await asyncio.wait([working], timeout=0.5)
            for pid in it.tools.fleet.pids():
                resident = max(resident, psutil.Process(pid).memory_info().rss)
        produced = await working
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert produced.seconds == 1200.0
    assert peak < 160 << 20  # a stretch of a minute, its stems and their way over the pipe
    assert resident < 700 << 20
    assert len(it.shares) >= 20 and it.shares == sorted(it.shares)
