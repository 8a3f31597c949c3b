"""Frames on the pipe to an engine's process: a small JSON head and binary buffers, never pickle.

Layout, little-endian: magic u16, kind u8, number of buffers u8, call u32, head length u32, one u32 length for each
buffer, then the head (UTF-8 JSON object, or nothing) and the buffers. Sans I/O: bytes in, ``Frame`` out.
"""

import json
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct, unpack_from

HEAD_BYTES = 1 << 20  # longest JSON head
BUFFER_BYTES = 16 << 20  # longest single buffer: 8 minutes at 16 kHz
FRAME_BYTES = 64 << 20  # longest frame
BUFFERS = 64  # most buffers, so the most requests a batch can hold

_MAGIC = 0x5658
_HEADER = Struct("<HBBII")
_SPACE = 1 << 17  # bytes asked of the socket at a time; two detector calls of 16 streams

Head = dict[str, object]


class Kind(IntEnum):
    """What a frame says; the first five and those from 11 on go to the child, the others come from it."""

    BUILD = 1  # make the engine
    RECOGNIZE = 2
    SPEAK = 3
    DETECT = 4
    CANCEL = 5  # stop the speak call of this number
    READY = 6  # the engine is made; its capabilities
    CHUNK = 7  # some of an answer, more follows
    DONE = 8  # the answer, or the end of one
    FAILED = 9  # the call raised
    BEAT = 10  # the process is alive
    SEPARATE = 11  # take a stretch of sound apart
    CLONE = 12  # make a prompt of a reference
    DIARIZE = 15  # tell the voices in some windows of sound apart
    TEXT = 13  # do something to texts
    TREAT = 14  # have a tool treat a stretch of sound


class WireError(Exception):
    """Bytes or values on the pipe that no sound engine process sends."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; ``call`` numbers the call it belongs to (0: none)."""

    kind: Kind
    call: int = 0
    head: Head = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()


def pack(frame: Frame) -> list[bytes]:
    """The frame as pieces to write one after the other. Raises WireError when it is over a limit."""
    head = json.dumps(frame.head, separators=(",", ":"), allow_nan=False).encode() if frame.head else b""
    lengths = [len(buffer) for buffer in frame.buffers]
    _check(len(head), lengths)
    header = _HEADER.pack(_MAGIC, frame.kind, len(lengths), frame.call, len(head))
    return [header + b"".join(length.to_bytes(4, "little") for length in lengths) + head, *frame.buffers]


class FrameReader:
    """Cuts the byte stream into frames: receive into ``space()``, tell ``filled(n)``, take ``frame()`` until None."""

    def __init__(self) -> None:
        self._data = bytearray(_SPACE)
        self._start = 0  # first byte not yet taken
        self._end = 0  # first byte not yet received
        self._need = 0  # length of the frame that begins at _start, once known

    def space(self) -> memoryview:
        """Where the next bytes go; never empty."""
        pending = self._end - self._start
        size = max(_SPACE, self._need, 2 * pending)
        if self._start + size > len(self._data) or (not pending and len(self._data) > size):
            # A new array rather than a resize: a loop may still hold a view of the old one.
            data = bytearray(size)
            data[:pending] = self._data[self._start : self._end]
            self._data, self._start, self._end = data, 0, pending
        elif not pending:
            self._start = self._end = 0
        return memoryview(self._data)[self._end :]

    def filled(self, count: int) -> None:
        """``count`` bytes were put at the beginning of the last ``space()``."""
        self._end += count

    def frame(self) -> Frame | None:
        """The next whole frame, or None. Raises WireError for bytes that are none; nothing after that is sound."""
        available = self._end - self._start
        if available < max(_HEADER.size, self._need):
            return None
        magic, kind, count, call, head_length = _HEADER.unpack_from(self._data, self._start)
        if magic != _MAGIC:
            raise WireError("not a frame")
        at = self._start + _HEADER.size
        if available < _HEADER.size + 4 * count:
            return None
        lengths = unpack_from(f"<{count}I", self._data, at)
        _check(head_length, lengths)
        self._need = _HEADER.size + 4 * count + head_length + sum(lengths)
        if available < self._need:
            return None
        at += 4 * count
        view = memoryview(self._data)
        head = _head(bytes(view[at : at + head_length])) if head_length else {}
        at += head_length
        buffers = []
        for length in lengths:
            buffers.append(bytes(view[at : at + length]))
            at += length
        self._start += self._need
        self._need = 0
        try:
            return Frame(Kind(kind), call, head, tuple(buffers))
        except ValueError:
            raise WireError(f"unknown frame kind {kind}") from None


def _check(head: int, buffers: tuple[int, ...] | list[int]) -> None:
    if head > HEAD_BYTES or len(buffers) > BUFFERS or max(buffers, default=0) > BUFFER_BYTES:
        raise WireError("a frame is over its limits")
    if head + sum(buffers) > FRAME_BYTES:
        raise WireError("a frame is too long")


def _head(data: bytes) -> Head:
    try:
        head = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("a frame's head is not JSON") from None
    if not isinstance(head, dict):
        raise WireError("a frame's head is not an object")
    return head
