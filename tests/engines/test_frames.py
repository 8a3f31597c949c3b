"""Frames survive any cutting of the byte stream, and nothing but a WireError comes of other bytes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.frames import BUFFER_BYTES, BUFFERS, HEAD_BYTES, Frame, FrameReader, Kind, WireError, pack

values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
frames = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 0xFFFF_FFFF),
    st.dictionaries(st.text(max_size=8), values, max_size=4),
    st.lists(st.binary(max_size=300), max_size=5).map(tuple),
)


def read(data: bytes, sizes: list[int]) -> list[Frame]:
    reader, at, found = FrameReader(), 0, []
    steps = iter(sizes)
    while at < len(data):
        space = reader.space()
        count = min(len(space), len(data) - at, next(steps, len(data)))
        space[:count] = data[at : at + count]
        at += count
        reader.filled(count)
        while (frame := reader.frame()) is not None:
            found.append(frame)
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(frames, min_size=1, max_size=5), st.lists(st.integers(1, 700), max_size=60))
def test_any_cutting_gives_the_same_frames(sent: list[Frame], sizes: list[int]) -> None:
    assert read(b"".join(piece for frame in sent for piece in pack(frame)), sizes) == sent


def test_large_frames_and_the_small_ones_after_them() -> None:
    large = Frame(Kind.RECOGNIZE, 1, {"a": 1}, (b"x" * 5_000_000, b"", b"y" * 300_000))
    small = [Frame(Kind.BEAT), Frame(Kind.DONE, 2, {}, (b"z",))]
    data = b"".join(piece for frame in [large, *small, large, *small] for piece in pack(frame))
    assert read(data, [65_000] * 1000) == [large, *small, large, *small]


def test_a_reader_gives_a_large_frame_s_memory_back() -> None:
    reader = FrameReader()
    data = b"".join(pack(Frame(Kind.DONE, 1, {}, (b"x" * 8_000_000,))))
    at = 0
    while at < len(data):
        space = reader.space()
        count = min(len(space), len(data) - at)
        space[:count] = data[at : at + count]
        reader.filled(count)
        at += count
        frame = reader.frame()
    assert frame is not None
    assert len(reader.space()) < 1_000_000


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Kind.DONE, 1, {"text": "x" * HEAD_BYTES}),
        Frame(Kind.DONE, 1, {}, (bytes(BUFFER_BYTES + 1),)),
        Frame(Kind.DONE, 1, {}, (b"",) * (BUFFERS + 1)),
        Frame(Kind.DONE, 1, {}, (bytes(BUFFER_BYTES),) * 5),
    ],
    ids=["head", "buffer", "buffers", "frame"],
)
def test_a_frame_over_a_limit_is_not_packed(frame: Frame) -> None:
    with pytest.raises(WireError):
        pack(frame)


def test_a_length_over_a_limit_is_refused_before_its_bytes_are_waited_for() -> None:
    data = bytearray(b"".join(pack(Frame(Kind.DONE, 1, {}, (b"x",)))))
    data[12:16] = b"\xff\xff\xff\xff"
    with pytest.raises(WireError):
        read(bytes(data), [])


@pytest.mark.parametrize("head", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"1"])
def test_a_head_that_is_no_object(head: bytes) -> None:
    good = pack(Frame(Kind.DONE, 1, {"a": 1}))[0]
    data = good[:8] + len(head).to_bytes(4, "little") + head
    with pytest.raises(WireError):
        read(data, [])


def test_mutated_bytes_give_frames_or_a_wire_error() -> None:
    chance = random.Random(7)
    sound = b"".join(pack(Frame(Kind.DONE, 3, {"batch": [{"text": "a"}]}, (b"abcd", b"efgh"))))
    for _ in range(10_000):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(bytes(data), [])
        except WireError:
            continue
