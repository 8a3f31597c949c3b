"""Media files of any kind to PCM, 16 kHz mono or another shape, piece by piece, under caps that hold while decoding.

Files are untrusted. The format is told from the first bytes and must be one of a closed table: playlists and scripts,
which would make libavformat open other files or addresses, are never among them, and no protocol is allowed to open
anything. Seconds and bytes are counted as they come out, never believed from a header: 25 MB of Opus can hold nine
hours, and a header may claim any sample rate.
"""

import math
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from engines.conversion import Conversion
from protocol.errors import Code, VoiceError

RATE = 16000

_MAX_SOURCE_RATE = 192_000
_MAX_CHANNELS = 8
_MAX_BROKEN = 100  # packets that may fail to decode before the file is given up
_HEAD_BYTES = 4096
_LAYOUTS = {1: "mono", 2: "stereo"}
_OPTIONS = {"protocol_whitelist": "none"}  # what a file points at is not opened

_DEMUXERS = (  # the first bytes of a file and libavformat's reader for it (C2 and A34 list the names of the formats)
    (re.compile(rb"(RIFF|RIFX|RF64)....WAVE", re.DOTALL), "wav"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "avi"),
    (re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa-\xfd]"), "mp3"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "aac"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"....(ftyp|moov|mdat|wide|free|skip)", re.DOTALL), "mov"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "matroska"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "asf"),
    (re.compile(rb"FLV\x01"), "flv"),
    (re.compile(rb"\x00\x00\x01\xba"), "mpeg"),
    (re.compile(rb"\x47.{187}\x47", re.DOTALL), "mpegts"),
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), "aiff"),
    (re.compile(rb"#!AMR"), "amr"),
    (re.compile(rb"caff"), "caf"),
    (re.compile(rb"\.snd"), "au"),
)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How much a file may hold: ``seconds`` of sound, and ``size`` bytes of PCM as its codec gives it."""

    seconds: float = 2000.0
    size: int = 512 * 1024 * 1024


class MediaFile:
    """An open file: what it is, and its sound."""

    def __init__(self, container: InputContainer, kind: str) -> None:
        self.kind = kind  # libavformat's name for its format
        self.shape = (0, 0)  # rate and channels of what ``sound`` yields, once it does
        self._container = container

    @property
    def has_video(self) -> bool:
        """Whether there are moving pictures in it; the cover of an album is none."""
        videos = [stream for stream in self._container.streams if isinstance(stream, VideoStream)]
        return any(not stream.disposition & Disposition.attached_pic for stream in videos)

    def sound(
        self, limits: DecodeLimits, rate: int = RATE, channels: int = 1, *, lowest: int | None = None
    ) -> Iterator[bytes]:
        """Yield it as interleaved s16le of that shape (one or two channels), about a second at a time; once.

        With a ``lowest`` rate the shape is the most: a rate between the two, and fewer channels, stay as they are.
        """
        with _translated():
            frames = _sounding(self._container)
            first = next(frames, None)
            if first is None:
                raise _silent()
            if lowest is not None:
                rate, channels = min(rate, max(lowest, first.sample_rate)), min(channels, first.layout.nb_channels)
            self.shape = (rate, channels)
            converted = _converted(chain((first,), frames), limits, rate, channels)
            yield from _pieces(converted, 2 * channels * rate)


@contextmanager
def open_media(source: BinaryIO) -> Iterator[MediaFile]:
    """Open a seekable file. VoiceError: UNSUPPORTED_MEDIA when it is no format known here or cannot be read."""
    kind = _demuxer(source)
    with ExitStack() as opened:
        with _translated():
            container = av.open(source, format=kind, metadata_errors="replace", options=_OPTIONS)
            opened.enter_context(container)
        yield MediaFile(container, kind)


@contextmanager
def open_samples(source: BinaryIO, rate: int, channels: int) -> Iterator[MediaFile]:
    """The same for a file of our own: interleaved s16le and nothing else."""
    options = {**_OPTIONS, "sample_rate": str(rate), "ch_layout": _LAYOUTS[channels]}
    with av.open(source, format="s16le", options=options) as container:
        yield MediaFile(container, "s16le")


def decode_media(source: BinaryIO, limits: DecodeLimits | None = None) -> Iterator[bytes]:
    """Yield the sound of a seekable file as s16le mono at 16 kHz, about a second at a time.

    VoiceError: UNSUPPORTED_MEDIA when it is no format known here, holds no sound or cannot be read; TOO_LARGE past
    ``limits``. What was yielded before an error is sound all the same.
    """
    with open_media(source) as media:
        yield from media.sound(limits or DecodeLimits())


def decode_file(path: Path, limits: DecodeLimits | None = None) -> Iterator[bytes]:
    """The same for a file of the user's own, which by default has no limits. OSError when it cannot be opened."""
    with path.open("rb") as file:
        yield from decode_media(file, limits or DecodeLimits(seconds=math.inf, size=sys.maxsize))


def media_kind(head: bytes) -> str | None:
    """libavformat's name for the format ``head``, a file's first bytes, belongs to; None when it is not read here."""
    return next((name for pattern, name in _DEMUXERS if pattern.match(head)), None)


def _demuxer(source: BinaryIO) -> str:
    head = source.read(_HEAD_BYTES)
    source.seek(0)
    demuxer = media_kind(head)
    if demuxer is None:
        raise _unreadable("this is not an audio or video file of a known format")
    return demuxer


def _sounding(container: InputContainer) -> Iterator[AudioFrame]:
    """The frames of the first audio stream."""
    stream = next((stream for stream in container.streams if isinstance(stream, AudioStream)), None)
    if stream is None:
        raise _unreadable("this file holds no sound")
    if stream.codec_context is None:  # what PyAV gives for a codec that nobody knows
        raise _unreadable("the sound in this file has an unknown format")
    stream.codec_context.thread_count = 1
    yield from _frames(container, stream)


def _converted(frames: Iterable[AudioFrame], limits: DecodeLimits, rate: int, channels: int) -> Iterator[bytes]:
    conversion, size, taken = Conversion(rate, channels), 0, 0
    for frame in frames:
        size += frame.samples * frame.layout.nb_channels * frame.format.bytes
        if size > limits.size:
            raise VoiceError(Code.TOO_LARGE, f"the sound takes more than {limits.size} bytes", maximum=limits.size)
        for piece in conversion.push(frame):
            taken += len(piece)
            if taken > limits.seconds * rate * 2 * channels:
                message = f"the sound is longer than {limits.seconds:g} seconds"
                raise VoiceError(Code.TOO_LARGE, message, maximum_seconds=limits.seconds)
            yield piece
    if not taken:
        raise _silent()
    yield from conversion.finish()


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """What decodes; a broken packet is skipped, a file of broken packets is not."""
    broken = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            broken += 1
            if broken > _MAX_BROKEN:
                raise
            continue
        for frame in frames:
            if not isinstance(frame, AudioFrame) or not frame.samples:
                continue
            if not 0 < frame.sample_rate <= _MAX_SOURCE_RATE or frame.layout.nb_channels > _MAX_CHANNELS:
                raise _unreadable(f"{frame.layout.nb_channels} channels at {frame.sample_rate} Hz are not for speech")
            yield frame


def _pieces(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    held = bytearray()
    for part in parts:
        held += part
        if len(held) >= size:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


@contextmanager
def _translated() -> Iterator[None]:
    """libav's errors as ours; its own words may name paths and are left out."""
    try:
        yield
    except (av.error.FFmpegError, UnicodeError) as error:
        raise _unreadable("this file cannot be read: it is damaged, or not what it begins as") from error


def _silent() -> VoiceError:
    return _unreadable("this file holds no sound that can be decoded")


def _unreadable(message: str) -> VoiceError:
    return VoiceError(Code.UNSUPPORTED_MEDIA, message)
