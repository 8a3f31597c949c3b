"""Uploads that are sound already, as a recording is kept for its job, for the pipelines that work on sound."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from batch.media import sound_of
from engines import registry
from engines.registry import EngineSpec
from engines.sound.spectra import Sound, pcm_of
from tests.batch.pipelines.studio import Studio, opened


def tool(name: str) -> EngineSpec:
    """The spec of a tool for sound."""
    return next(spec for spec in registry.BUILT_IN if spec.name == name)


@asynccontextmanager
async def studio(root: Path, specs: Sequence[EngineSpec]) -> AsyncIterator[Studio]:
    """A studio that decodes no more than WAV; its tools end when they are not used."""
    async with opened(root, specs) as it:
        it.tools.fleet.lanes.idle_s = 0.0
        decoded = 0

        async def decode(path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
            nonlocal decoded
            decoded += 1
            sound, target = sound_of(path), (directory or it.root) / f"decoded-{decoded}"
            if sound is not None and (sound.rate, sound.channels) == (rate, channels):
                os.link(path, target)
                return target
            if sound is None:
                samples, own = soundfile.read(path, dtype="int16", always_2d=True)
            else:
                samples, own = np.fromfile(path, "<i2").reshape(-1, sound.channels), sound.rate
            mixed = np.repeat(samples.astype(np.float32).mean(axis=1, keepdims=True), channels, axis=1)
            np.rint(soxr.resample(mixed, own, rate)).astype("<i2").tofile(target)
            return target

        it.files.decode = decode  # type: ignore[method-assign]
        yield it


def upload(it: Studio, sound: Sound, rate: int) -> str:
    """Keep a sound, of one channel or channels x samples; returns its name."""
    rows = np.atleast_2d(sound)
    name = f"{'x' * 22}.{rate}.{len(rows)}"
    (it.files.directory / name).write_bytes(pcm_of(rows))
    return name


def probed(path: Path) -> tuple[str, int, int, float, float]:
    """A file as FFmpeg sees it: codec, rate, channels, seconds of sound that decode, bits a second."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        context = stream.codec_context
        seconds = samples / context.sample_rate
        return context.name, context.sample_rate, context.layout.nb_channels, seconds, 8 * path.stat().st_size / seconds
