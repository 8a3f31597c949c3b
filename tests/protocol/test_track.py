"""Sound that waits: frames of one length from bytes, pieces from an encoder, and seconds that add up."""

import pytest

from protocol.track import Track


def test_bytes_come_out_in_frames_and_in_order() -> None:
    track = Track(bytes_per_second=1000, frame_s=0.04)
    track.add(b"a" * 30, 9.0)
    assert not track.ready, "a frame is 40 bytes, and more is to come"
    track.add(b"b" * 30, 9.0)
    assert track.ready and track.made == pytest.approx(0.06)
    assert track.take() == b"a" * 30 + b"b" * 10
    assert track.sent == pytest.approx(0.04) and track.waiting == pytest.approx(0.02)
    assert not track.ready
    track.settled = True
    assert track.ready and track.take() == b"b" * 20
    assert not track.ready and track.sent == track.made == pytest.approx(0.06)


@pytest.mark.parametrize("rate", [8013, 11025, 22051, 44100, 47999])
def test_frames_are_whole_samples_at_any_rate(rate: int) -> None:
    track = Track(bytes_per_second=2 * rate, frame_s=0.04)
    track.add(bytes(2 * rate), 0.0)
    while track.ready:
        assert len(track.take()) % 2 == 0


def test_seconds_are_exact_after_hours() -> None:
    """S12: three hours of 40 ms frames, no drift."""
    track = Track(bytes_per_second=44_100, frame_s=0.04)
    for _ in range(1000):
        track.add(bytes(1764 * 270), 0.0)
        for _ in range(270):
            track.take()
    assert track.sent == 1000 * 270 * 0.04


def test_compressed_pieces_stay_whole() -> None:
    track = Track(bytes_per_second=0, frame_s=0.04)
    track.add(b"", 0.0)
    assert not track.ready and track.settled
    track.add(b"", 0.06)  # the encoder keeps it for now
    track.add(b"abc", 0.06)
    track.add(b"tail", 0.0)
    assert track.waiting == pytest.approx(0.12) == track.made
    assert track.take() == b"" and track.sent == pytest.approx(0.06)
    assert track.take() == b"abc" and track.sent == pytest.approx(0.12)
    assert track.take() == b"tail" and track.waiting == 0.0 and not track.ready


@pytest.mark.parametrize("rate", [0, 1000])
def test_clear_drops_what_waits(rate: int) -> None:
    track = Track(bytes_per_second=rate, frame_s=0.04)
    track.add(b"a" * 100, 0.1)
    track.clear()
    assert not track.ready and track.waiting == 0.0 and track.settled
    track.add(b"b" * 40, 0.04)
    assert track.take() == b"b" * 40
