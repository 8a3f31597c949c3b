"""Media files of any kind to 16 kHz mono PCM, piece by piece, under caps that hold while decoding.

Files are untrusted. The format is told from the first bytes and must be one of a closed table: playlists and scripts,
which would make libavformat open other files or addresses, are never among them, and no protocol is allowed to open
anything. Seconds and bytes are counted as they come out, never believed from a header: 25 MB of Opus can hold nine
hours, and a header may claim any sample rate.
"""

import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from protocol.errors import Code, VoiceError

RATE = 16000

_MAX_SOURCE_RATE = 192_000
_MAX_CHANNELS = 8
_MAX_BROKEN = 100  # packets that may fail to decode before the file is given up
_PIECE_BYTES = 2 * RATE  # what is yielded at a time, about 1 s
_HEAD_BYTES = 4096
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


def decode_media(source: BinaryIO, limits: DecodeLimits | None = None) -> Iterator[bytes]:
    """Yield the sound of a seekable file as s16le mono at 16 kHz, about a second at a time.

    VoiceError: UNSUPPORTED_MEDIA when it is no format known here, holds no sound or cannot be read; TOO_LARGE past
    ``limits``. What was yielded before an error is sound all the same.
    """
    demuxer = _demuxer(source)
    with _translated(), av.open(source, format=demuxer, metadata_errors="replace", options=_OPTIONS) as container:
        yield from _pieces(_mono(container, limits or DecodeLimits()))


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


def _mono(container: InputContainer, limits: DecodeLimits) -> Iterator[bytes]:
    """The first audio stream, converted; a change of rate or layout in mid-stream begins a new conversion."""
    stream = next((stream for stream in container.streams if isinstance(stream, AudioStream)), None)
    if stream is None:
        raise _unreadable("this file holds no sound")
    if stream.codec_context is None:  # what PyAV gives for a codec that nobody knows
        raise _unreadable("the sound in this file has an unknown format")
    stream.codec_context.thread_count = 1
    resampler, shape, size, samples = av.AudioResampler("s16", "mono", RATE), None, 0, 0
    for frame in _frames(container, stream):
        size += frame.samples * frame.layout.nb_channels * frame.format.bytes
        if size > limits.size:
            raise VoiceError(Code.TOO_LARGE, f"the sound takes more than {limits.size} bytes", maximum=limits.size)
        converted: list[AudioFrame] = []
        if shape != (shape := (frame.format.name, frame.layout.name, frame.sample_rate)):
            converted += resampler.resample(None) if samples else []
            resampler = av.AudioResampler("s16", "mono", RATE)
        frame.pts = None  # a gap in the time stamps is not filled with silence, nor an overlap cut
        converted += resampler.resample(frame)
        for piece in converted:
            samples += piece.samples
            if samples > limits.seconds * RATE:
                message = f"the sound is longer than {limits.seconds:g} seconds"
                raise VoiceError(Code.TOO_LARGE, message, maximum_seconds=limits.seconds)
            yield _samples(piece)
    if not samples:
        raise _unreadable("this file holds no sound that can be decoded")
    yield from map(_samples, resampler.resample(None))


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


def _pieces(parts: Iterator[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for part in parts:
        held += part
        if len(held) >= _PIECE_BYTES:
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


def _samples(frame: AudioFrame) -> bytes:
    return bytes(memoryview(frame.planes[0])[: 2 * frame.samples])


def _unreadable(message: str) -> VoiceError:
    return VoiceError(Code.UNSUPPORTED_MEDIA, message)
