"""Recordings of users: read once, when they arrive, in a process of their own; jobs work on the sound that came out.

What a recording lasts is what decoding yields, so it has to be decoded before it can be priced. Its sound is then kept
as the job's upload in place of the file: a stranger's file is read once, and never by a worker. The name of such an
upload ends in its shape (``.16000.1``: 16 kHz, one channel); it holds interleaved s16le and nothing else.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from batch.disk import room_needed
from batch.form_limits import is_video
from batch.uploads import Upload, Uploads
from engines.media.order import Answer, Order
from engines.media.readers import Readers
from protocol.errors import Code, VoiceError

_SHAPE = re.compile(r"\.(\d{4,6})\.([12])", re.ASCII)
_DECODED_BYTES = 4 << 30  # as codecs give it, before it is resampled: no memory, but a bound on work
_FORESEEN_BYTES = 512 << 20  # for which there must be room before decoding begins
_SECONDS = 2000.0


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Seconds a recording may last (A42); a file is video by its name (A34), or when it has moving pictures.

    ``size`` bounds the work: the bytes of its sound as the codec gives them.
    """

    audio_s: float = _SECONDS
    video_s: float = 1800.0
    size: int = _DECODED_BYTES


@dataclass(frozen=True, slots=True)
class Media:
    """What a file was found to be. ``container`` is libavformat's name for it."""

    kind: Literal["audio", "video"]
    seconds: float
    container: str


@dataclass(frozen=True, slots=True)
class Recording(Media):
    """The same, and the name of the upload that holds its sound."""

    upload: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A file of samples: interleaved s16le."""

    path: Path
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.path.stat().st_size / (2 * self.channels * self.rate)


def sound_of(path: Path) -> Sound | None:
    """The sound an upload holds by its name; None for a file that is to be decoded."""
    shape = _SHAPE.fullmatch(path.name[path.name.find(".") :]) if "." in path.name else None
    return Sound(path, int(shape[1]), int(shape[2])) if shape else None


class MediaReader:
    """Reads recordings by way of ``readers``; its files lie with the uploads."""

    def __init__(self, readers: Readers, uploads: Uploads) -> None:
        self._readers = readers
        self._uploads = uploads

    @asynccontextmanager
    async def take(
        self, upload: Upload, limits: MediaLimits, *, rate: int = 16000, channels: int = 1, keep: bool = False
    ) -> AsyncIterator[Recording]:
        """Decode an upload for a job that is submitted within, under ``Uploads.kept(recording.upload)``.

        With ``keep`` that shape is the most: a recording of a lower rate, or of one channel, stays as it is.

        A recording that is not kept is removed afterwards. UNSUPPORTED_MEDIA when the file cannot be read or holds no
        sound, TOO_LARGE when it lasts longer than the limit of its kind; STORAGE_FULL, BUSY.
        """
        order = replace(_order(upload.filename, limits, rate, channels), keep=keep)
        name, target = self._uploads.reserve(min(order.most, _FORESEEN_BYTES), shape=f".{rate}.{channels}")
        try:
            answer, size = await self._write(order, upload.path, target)
            if keep:
                rate, channels = min(rate, answer.rate), min(channels, answer.channels)
                name = f"{name.partition('.')[0]}.{rate}.{channels}"
                target = target.rename(target.with_name(name))
            yield Recording(answer.kind, size / (2 * channels * rate), answer.container, name)
        finally:
            target.unlink(missing_ok=True)

    async def probe(self, path: Path, filename: str, limits: MediaLimits) -> Media:
        """What a file is and how long it lasts, found by decoding it; the sound is thrown away. Errors as ``take``."""
        order = _order(filename, limits, 16000, 1)
        with path.open("rb") as file:
            answer = await self._readers.read(order, file.fileno())
        return Media(answer.kind, answer.samples / order.rate, answer.container)

    async def decode(self, path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
        """The sound of a file as interleaved s16le of that shape, in a new file that the caller removes.

        It lies in ``directory`` (a job's own) or with the uploads. A sound that has the shape already is not copied.
        """
        sound = sound_of(path)
        name, target = self._uploads.reserve(shape=f".{rate}.{channels}")
        target = target if directory is None else directory / name
        if sound is not None and (sound.rate, sound.channels) == (rate, channels) and _linked(path, target):
            return target
        seconds = _SECONDS if sound is None else sound.seconds + 1
        raw = None if sound is None else (sound.rate, sound.channels)
        order = Order(seconds, seconds, _DECODED_BYTES, rate=rate, channels=channels, raw=raw)
        try:
            await self._write(order, path, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    async def _write(self, order: Order, source: Path, target: Path) -> tuple[Answer, int]:
        """The bytes written are what counts, not what is said of them."""
        order = replace(order, room=max(0, self._uploads.spare()))
        with room_needed(), source.open("rb") as file, target.open("xb") as written:
            answer = await self._readers.read(order, file.fileno(), written.fileno())
            size = os.fstat(written.fileno()).st_size
        if not size:
            raise VoiceError(Code.UNSUPPORTED_MEDIA, "this file holds no sound that can be decoded")
        return answer, size


def _order(filename: str, limits: MediaLimits, rate: int, channels: int) -> Order:
    return Order(limits.audio_s, limits.video_s, limits.size, rate=rate, channels=channels, video=is_video(filename))


def _linked(path: Path, target: Path) -> bool:
    """A second name for a file; False where the two places are on different disks."""
    try:
        os.link(path, target)
    except OSError:
        return False
    return True
