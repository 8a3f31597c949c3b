"""Pipelines with what they need: real engines, and voices, uploads and decoding that a test can see into."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile

from batch.pipelines.base import JobContext, Produced, Tools
from engines import registry
from engines.catalogue import Catalogue
from engines.decode import decode_file
from engines.fleet import Fleet
from engines.registry import EngineSpec
from engines.resample import resample_file
from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from tests.engines.hosting import nothing_left
from tests.engines.sound import Samples

ESPEAK = replace(next(spec for spec in registry.BUILT_IN if spec.name == "espeak-ng"), processes=1)


@dataclass
class Kept:
    """A saved voice."""

    type: str
    language: str = "auto"
    design: str = ""
    sound: bytes | None = None


@dataclass
class Voices:
    """Users' saved voices, by user and id."""

    kept: dict[tuple[int, int], Kept] = field(default_factory=dict)

    async def get(self, user_id: int, voice_id: int) -> Kept:
        try:
            return self.kept[user_id, voice_id]
        except KeyError:
            raise VoiceError(Code.NOT_FOUND, "there is no such voice", field="voice_id") from None

    async def reference(self, user_id: int, voice_id: int) -> bytes | None:
        return (await self.get(user_id, voice_id)).sound


@dataclass
class Files:
    """Uploads that are files in a directory, decoded in this process."""

    directory: Path
    decoded: int = 0

    def path(self, name: str) -> Path:
        if not (self.directory / name).exists():
            raise VoiceError(Code.GONE, "the upload is no longer there")
        return self.directory / name

    async def decode(self, path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
        self.decoded += 1
        target = (directory or self.directory) / f"decoded-{self.decoded}"
        target.write_bytes(resample_file(b"".join(decode_file(path)), 16_000, rate))
        return target


@dataclass
class Studio:
    """Everything a pipeline is given, for jobs of user 1."""

    tools: Tools
    voices: Voices
    files: Files
    root: Path
    shares: list[float] = field(default_factory=list)
    jobs: int = 0

    def context(self, priority: Priority = Priority.SYNCHRONOUS) -> JobContext:
        """Another job's. Somebody waits for it, so that a busy machine does not make the test wait instead."""
        self.jobs += 1
        directory = self.root / f"job-{self.jobs}"
        directory.mkdir()
        self.shares.clear()
        return JobContext(f"job-{self.jobs}", 1, 1, directory, self.shares.append, priority)


@asynccontextmanager
async def opened(root: Path, specs: Sequence[EngineSpec] = (ESPEAK,)) -> AsyncIterator[Studio]:
    """A studio with these engines running."""
    with nothing_left():
        fleet = Fleet(specs)
        try:
            await fleet.start()
            uploads = root / "uploads"
            uploads.mkdir(exist_ok=True)
            voices, files = Voices(), Files(uploads)
            tools = Tools(fleet, Catalogue.load(), voices, files, files)
            yield Studio(tools, voices, files, root)
        finally:
            await fleet.aclose()


def heard(produced: Produced) -> tuple[Samples, int]:
    """The sound of the one file a job made, and its rate."""
    (file,) = produced.files
    sound, rate = soundfile.read(file.path, dtype="float64")
    assert sound.ndim == 1
    return sound, rate


def onsets(sound: Samples, rate: int, gap_s: float) -> list[float]:
    """When sound begins after at least ``gap_s`` of silence, seconds."""
    loud = np.flatnonzero(np.abs(sound) > 0.004)
    if not len(loud):
        return []
    starts = [loud[0], *(loud[1:][np.diff(loud) > gap_s * rate])]
    return [float(start) / rate for start in starts]


def s16(sound: Samples) -> bytes:
    """Numbers as s16le."""
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
