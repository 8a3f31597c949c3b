"""Recordings taken apart by Demucs, stretch by stretch: progress that moves, cancelling, the choice of an engine."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from batch.pipelines import separate
from batch.pipelines.base import Produced
from batch.pipelines.separate import RATE
from engines import registry
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.work import Delivery, Separating
from tests import engines_scripted as scripted
from tests.batch.pipelines.studio import Studio, opened
from tests.checkpoints.nano_demucs.shape import FOLDER
from tests.engines.hosting import until
from tests.engines.separation.mixes import song

DEMUCS = next(spec for spec in registry.BUILT_IN if spec.name == "demucs")
NANO = DEMUCS.with_options(directory=str(FOLDER), threads=1)
HALVES = replace(scripted.separator(), on_demand=True)
STRETCH_S, PATIENCE_S = 6.5, 120.0


@pytest.fixture(autouse=True)
def not_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine should not make these tests wait; that such engines give way is for test_batch_lanes."""
    monkeypatch.setattr("engines.batch_lanes.BATCH_NICE", 0)
    monkeypatch.setattr("batch.pipelines.passes.BATCH_NICE", 0)


@asynccontextmanager
async def studio(root: Path, *specs: EngineSpec) -> AsyncIterator[Studio]:
    async with opened(root, specs) as it:
        it.tools.fleet.lanes.idle_s = 0.0

        async def decode(path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
            target = (directory or root) / "decoded"
            os.link(path, target)
            return target

        it.files.decode = decode  # type: ignore[method-assign]
        yield it


def separating(it: Studio, pcm: bytes) -> "asyncio.Future[Produced]":
    (it.files.directory / "song").write_bytes(pcm)
    work = Separating(upload="song", seconds=1.0, delivery=Delivery(format="wav"))
    return asyncio.ensure_future(separate.run(work, it.context(), it.tools))


async def test_a_minute_is_taken_apart_segment_by_segment(tmp_path: Path) -> None:
    """The model's segments set the pace, so progress moves all the time, and the stems still add up."""
    mix = np.frombuffer(song(15.0).pcm, "<i2").reshape(-1, 2)
    mix = np.concatenate([mix, mix])
    async with studio(tmp_path, HALVES, NANO) as it:
        produced = await separating(it, mix.tobytes())
        stems = [soundfile.read(file.path, dtype="int16")[0].astype(int) for file in produced.files]
        assert [file.role for file in produced.files] == ["vocals", "instrumental"]
        assert np.abs(stems[0] + stems[1] - mix).max() <= 2
        assert produced.engine == "demucs", "it is preferred to engines that need no model"
        assert len(it.shares) >= 30.0 / STRETCH_S - 1 and it.shares == sorted(it.shares) and it.shares[-1] == 1.0


async def test_cancelled_between_segments_it_leaves_no_file_and_the_next_job_is_done(tmp_path: Path) -> None:
    pcm = song(15.0).pcm
    async with studio(tmp_path, NANO) as it:
        working = separating(it, pcm * 4)
        await until(lambda: len(it.shares) >= 1, PATIENCE_S)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert 0 < it.shares[-1] < 0.5
        assert not list((it.root / "job-1").iterdir())
        assert (await separating(it, pcm[: 4 * RATE])).seconds == pytest.approx(1.0)


async def test_without_weights_the_engine_without_a_model_does_it(tmp_path: Path) -> None:
    assert DEMUCS.missing() == ("directory",)
    specs = [spec for spec in (DEMUCS, HALVES) if not spec.missing()]
    async with studio(tmp_path, *specs) as it:
        assert (await separating(it, song(15.0).pcm[: 4 * RATE])).engine == "halves"


async def test_damaged_weights_fail_the_job_with_their_name(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "nano.safetensors").write_bytes((FOLDER / "nano.safetensors").read_bytes()[:-9])
    async with studio(tmp_path, DEMUCS.with_options(directory=str(weights)), HALVES) as it:
        with pytest.raises(VoiceError) as caught:
            await separating(it, bytes(4 * RATE))
        assert caught.value.code is Code.ENGINE_FAILED and "nano.safetensors is damaged" in caught.value.message
        assert str(tmp_path) not in caught.value.message


@pytest.mark.nightly
async def test_memory_is_the_same_after_many_minutes(tmp_path: Path) -> None:
    pcm = song(60.0).pcm * 10
    sizes: list[int] = []
    async with studio(tmp_path, NANO) as it:
        working = separating(it, pcm)
        while not working.done():
            sizes += [psutil.Process(pid).memory_info().rss for pid in it.tools.fleet.pids()]
            await asyncio.wait([working], timeout=0.5)
        assert (await working).seconds == pytest.approx(600.0)
    quarter = len(sizes) // 4
    assert max(sizes[-quarter:]) < max(sizes[quarter : 2 * quarter]) + (40 << 20)
