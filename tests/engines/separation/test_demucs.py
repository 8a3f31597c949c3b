"""Demucs in its own process, on the small checkpoint: whole stems, no clicks, bounded memory, typed failures."""

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import pytest_asyncio

from engines import registry
from engines.base import Task
from engines.host import EngineHost
from engines.supervisor import HostLimits
from protocol.errors import Code, VoiceError
from tests.checkpoints.nano_demucs.shape import FOLDER as CHECKPOINT
from tests.checkpoints.nano_demucs.shape import KEYWORDS, SOURCES
from tests.engines.hosting import Notes, hosting, until

RATE, STRETCH_S = 16_000, 6.5
_SPEC = next(spec for spec in registry.BUILT_IN if spec.name == "demucs")
SPEC = _SPEC.with_options(directory=str(CHECKPOINT), threads=1)
PATIENT = HostLimits(start_s=120.0, grace_s=60.0, wait_s=60.0, check_s=0.05)

Pcm = npt.NDArray[np.int16]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[EngineHost]:
    async with hosting(SPEC, limits=PATIENT) as it:
        yield it


def noise(frames: int, channels: int = 2, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).integers(-9000, 9000, (frames, channels), np.int16)


def total(stems: dict[str, bytes], channels: int) -> npt.NDArray[np.int64]:
    whole = np.zeros((0, channels), np.int64)
    for stem in stems.values():
        part = np.frombuffer(stem, "<i2").reshape(-1, channels).astype(np.int64)
        whole = whole + part if len(whole) else part
    return whole


async def test_it_says_what_it_is(host: EngineHost) -> None:
    able = host.capabilities
    assert (able.engine, able.task, able.model, able.rate) == ("demucs", Task.SEPARATE, "nano", RATE)
    assert able.stems == SOURCES and able.stretch_s == STRETCH_S
    assert "0.6 million parameters" in able.note and "cpu" in able.note


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
async def test_stems_are_as_long_as_the_mix_and_add_up_to_it(host: EngineHost, rate: int) -> None:
    """Whatever rate the model has; of one channel or two, all stems or two, shorter than a segment or not."""
    for frames, channels, every in [(0, 2, False), (1, 1, False), (777, 2, True), (round(3.1 * rate), 1, False)]:
        mix = noise(frames, channels)
        stems = await host.separate(mix.tobytes(), rate, channels, every=every)
        assert set(stems) == ({"vocals", "other"} if every else {"vocals", "instrumental"})
        assert np.array_equal(total(stems, channels), mix)


async def test_silence_stays_silent(host: EngineHost) -> None:
    stems = await host.separate(bytes(4 * RATE), RATE, 2)
    assert stems == {"vocals": bytes(4 * RATE), "instrumental": bytes(4 * RATE)}


async def test_what_the_model_cannot_hear_is_left_to_the_instruments(host: EngineHost) -> None:
    """A model of 16 kHz knows nothing above 8 kHz; a cymbal there must not get lost."""
    times = np.arange(44_100) / 44_100
    cymbal = np.stack([9000 * np.sin(2 * np.pi * 12_000 * times)] * 2, axis=1).astype("<i2")
    stems = await host.separate(cymbal.tobytes(), 44_100, 2)
    inner = slice(2 * 4410, -2 * 4410)
    assert np.abs(np.frombuffer(stems["vocals"], "<i2")[inner].astype(int)).max() < 90
    assert np.abs(np.frombuffer(stems["instrumental"], "<i2")[inner].astype(int)).max() > 8800


async def test_where_segments_meet_there_is_no_click(host: EngineHost) -> None:
    """The steepest step near a border is one that sound without borders has too."""
    from engines.separation.demucs import OVERLAP

    times = np.arange(round(11 * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * times + hertz) for hertz in (220, 277, 330, 1234))
    mix = np.stack([2500 * chord, 2000 * chord], axis=1).astype("<i2")
    stems = await host.separate(mix.tobytes(), RATE, 2)
    vocals = np.frombuffer(stems["vocals"], "<i2").reshape(-1, 2)[:, 0].astype(float)
    bends = np.abs(np.diff(vocals, 2))
    segment = 2 * RATE
    starts = range(0, len(mix) - segment, round((1 - OVERLAP) * segment))
    borders = [at for start in starts for at in (start, start + segment) if 200 < at < len(bends) - 200]
    near = np.concatenate([bends[at - 20 : at + 20] for at in borders])
    assert len(borders) > 8 and near.max() <= 1.5 * np.percentile(bends, 99.9) + 2


@pytest.mark.parametrize(("pcm", "channels"), [(bytes(6), 2), (bytes(12), 3), (bytes(3), 1), (bytes(4), 0)])
async def test_what_is_no_sound_is_refused(host: EngineHost, pcm: bytes, channels: int) -> None:
    with pytest.raises(VoiceError) as caught:
        await host.separate(pcm, RATE, channels)
    assert caught.value.code is Code.BAD_REQUEST


async def test_memory_does_not_grow_with_the_recording(host: EngineHost) -> None:
    stretch, process = noise(round(STRETCH_S * 44_100)).tobytes(), psutil.Process(host.pid)
    sizes = []
    for _ in range(12):  # over a minute of sound
        await host.separate(stretch, 44_100, 2)
        sizes.append(process.memory_info().rss)
    assert sizes[-1] < sizes[3] + (30 << 20)
    assert max(sizes) < 1 << 30


async def test_out_of_memory_is_told_and_the_process_replaced() -> None:
    """After a failed allocation nothing in the process is sure."""
    starving = replace(SPEC, factory="tests.engines.separation.starving:factory")
    notes = Notes()
    async with hosting(starving, notes, PATIENT) as host:
        with pytest.raises(VoiceError) as caught:
            await host.separate(noise(RATE).tobytes(), RATE, 2)
        assert caught.value.code is Code.ENGINE_FAILED and "memory" in caught.value.message
        await until(lambda: host.generation == 2 and host.alive, 60.0)
    assert len(notes.restarts) == 1


async def test_a_damaged_checkpoint_does_not_start(tmp_path: Path) -> None:
    content = (CHECKPOINT / "nano.safetensors").read_bytes()
    (tmp_path / "nano.safetensors").write_bytes(content[: len(content) // 2])
    broken = EngineHost(SPEC.with_options(directory=str(tmp_path)), limits=PATIENT)
    with pytest.raises(VoiceError) as caught:
        await broken.start()
    assert caught.value.code is Code.ENGINE_FAILED and "nano.safetensors is damaged" in caught.value.message


async def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demucs' own loader asks the hub for what it does not find."""
    import torch

    from engines.separation import demucs

    def denied(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", denied)
    monkeypatch.setattr(socket.socket, "connect", denied)
    engine = demucs.factory({"directory": str(CHECKPOINT), "threads": torch.get_num_threads()})
    assert set(engine.separate(noise(100).tobytes(), RATE, 2)) == {"vocals", "instrumental"}


async def test_options_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from engines.separation import demucs

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name, value, code in [("shifts", 2, Code.BAD_REQUEST), ("device", "cuda", Code.NOT_INSTALLED)]:
        with pytest.raises(VoiceError) as caught:
            demucs.factory({"directory": str(CHECKPOINT), "threads": torch.get_num_threads(), name: value})
        assert (caught.value.code, caught.value.facts["field"]) == (code, name)


async def test_a_bag_lets_each_model_say_what_it_is_for() -> None:
    """htdemucs_ft has a model for each stem; that for voices alone is asked when only voices are wanted."""
    import torch
    from demucs.htdemucs import HTDemucs

    from engines.separation import demucs
    from engines.separation.checkpoints import Checkpoint

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    models = [HTDemucs(list(SOURCES), **KEYWORDS) for _ in SOURCES]
    bag = Checkpoint("bag", (), ((1.0, 0.0), (0.0, 1.0)))
    whole = demucs.Demucs(models, bag, demucs.Settings("", threads=threads))
    alone = demucs.Demucs(models[1:], Checkpoint("one", ()), demucs.Settings("", threads=threads))
    calls: list[int] = []
    models[0].register_forward_hook(lambda *_: calls.append(0))
    mix = noise(3 * RATE).tobytes()
    assert whole.separate(mix, RATE, 2) == alone.separate(mix, RATE, 2)
    assert calls == []
    assert set(whole.take_apart(mix, RATE, 2)) == {"vocals", "other"}
