"""A model that is damaged, and memory that ends: typed errors, nobody hangs, and the next call is answered."""

import asyncio
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from engines.host import EngineHost
from engines.registry import EngineSpec, find
from engines.stt.faster_whisper import factory
from loadtest.recordings import CHECKPOINT
from protocol.errors import Code, VoiceError
from protocol.requests import Decode
from tests.checkpoints.nano_whisper.held_out import speak
from tests.engines.hosting import QUICK, Notes, hosting

RATE = 16_000
PATIENT = replace(QUICK, start_s=60.0, grace_s=30.0, missed_beats=100)
SENTENCE = "please open the window"
SOUND = (np.pad(speak(SENTENCE, "en-us"), (4800, 4800)) * 32767).astype("<i2").tobytes()

Harm = Callable[[bytes], bytes]


def spec(directory: Path) -> EngineSpec:
    found = find("faster-whisper")
    assert found is not None
    return found.with_options(directory=str(directory), languages=["en", "vi"], threads=1)


def harmed(directory: Path, name: str, harm: Harm | None) -> Path:
    """A copy of the demonstration model with one file changed, or without it."""
    copy = directory / "model"
    shutil.copytree(CHECKPOINT, copy)
    if harm is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(harm((CHECKPOINT / name).read_bytes()))
    return copy


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "harm", "code"),
    [
        ("model.bin", None, Code.NOT_INSTALLED),
        ("model.bin", half, Code.ENGINE_FAILED),
        ("model.bin", lambda content: b"\xff" * 64 + content[64:], Code.ENGINE_FAILED),
        ("tokenizer.json", None, Code.NOT_INSTALLED),
        ("tokenizer.json", half, Code.ENGINE_FAILED),
        ("vocabulary.json", None, Code.NOT_INSTALLED),
        ("vocabulary.json", half, Code.ENGINE_FAILED),
        ("config.json", half, Code.ENGINE_FAILED),
        ("preprocessor_config.json", half, Code.ENGINE_FAILED),
    ],
)
def test_what_is_damaged_is_said(tmp_path: Path, name: str, harm: Harm | None, code: Code) -> None:
    directory = harmed(tmp_path, name, harm)
    with pytest.raises(VoiceError) as caught:
        factory({"directory": str(directory), "threads": 1})
    assert caught.value.code is code
    assert str(directory) in caught.value.message


async def test_flipped_bytes_are_an_error_or_a_wrong_answer_and_never_the_end(tmp_path: Path) -> None:
    """Nothing in the file says that they are wrong; ``voxline models verify`` does, where it was pulled."""
    random = np.random.default_rng(3)

    def flipped(content: bytes) -> bytes:
        data = np.frombuffer(content, np.uint8).copy()
        places = random.integers(len(data) // 10, len(data), 2000)
        data[places] ^= 0xFF
        return data.tobytes()

    engine = EngineHost(spec(harmed(tmp_path, "model.bin", flipped)), limits=PATIENT)
    try:
        async with asyncio.timeout(60):
            await engine.start()
            (answer,) = await engine.recognize([Decode(SOUND, "en", word_timestamps=True)])
        assert isinstance(answer.text, str)
    except VoiceError as error:
        assert error.code in (Code.ENGINE_FAILED, Code.ENGINE_RESTARTED)
    finally:
        await engine.aclose()


async def test_memory_that_ends_costs_one_call(tmp_path: Path) -> None:
    """The system gives the process no more: what it was asked fails by name, and its successor answers."""
    notes = Notes()
    async with hosting(spec(CHECKPOINT), notes, PATIENT) as host:
        assert host.pid is not None
        (before,) = await host.recognize([Decode(SOUND, "en")])
        used = psutil.Process(host.pid).memory_info().vms
        resource.prlimit(host.pid, resource.RLIMIT_AS, (used + (4 << 20),) * 2)
        noise = np.random.default_rng(0).integers(-9000, 9000, 28 * RATE, np.int16)
        long = (noise * np.abs(np.sin(np.arange(len(noise)) / 3000))).astype("<i2").tobytes()
        with pytest.raises(VoiceError) as caught:
            async with asyncio.timeout(60):
                await host.recognize([Decode(long, "en", beam_size=5, word_timestamps=True)] * 8)
        assert caught.value.code in (Code.ENGINE_FAILED, Code.ENGINE_RESTARTED)
        async with asyncio.timeout(60):
            answers = [await answered(host) for _ in range(2)]
        assert [answer for answer in answers if answer] == [before.text] * len([a for a in answers if a])
        assert answers[-1] == before.text == SENTENCE


async def answered(host: EngineHost) -> str:
    """What is recognised; "" if the process that failed was only then found to be at its end."""
    try:
        return (await host.recognize([Decode(SOUND, "en")]))[0].text
    except VoiceError as error:
        assert error.code in (Code.ENGINE_FAILED, Code.ENGINE_RESTARTED)
        return ""
