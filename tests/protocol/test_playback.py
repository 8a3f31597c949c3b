"""The pace at which sound is handed out, and what is told at its places. Virtual time throughout."""

import math

import pytest

from protocol.playback import Kind, Playback

RATE = 1000  # bytes a second; a frame is 40 bytes


def playback(lead_s: float = 0.2) -> Playback:
    return Playback(bytes_per_second=RATE, frame_s=0.04, lead_s=lead_s)


def taken(out: Playback, now: float) -> float:
    """Seconds of sound handed out at ``now``."""
    before = out.sent
    while out.take(now) is not None:
        pass
    return out.sent - before


def test_sound_leaves_a_bounded_lead_ahead() -> None:
    out = playback()
    out.add(bytes(2000), 0.0)
    assert taken(out, 10.0) == pytest.approx(0.24), "the lead, and the frame that reaches it"
    assert out.take(10.03) is None and out.due(10.03) == pytest.approx(10.04)
    assert taken(out, 10.04) == pytest.approx(0.04)
    now = 10.04
    while (due := out.due(now)) is not None:
        now = due
        taken(out, now)
        assert out.sent - (now - 10.0) <= 0.24 + 1e-6
    assert out.sent == pytest.approx(2.0) and now == pytest.approx(11.76)


def test_without_pace_it_leaves_at_once() -> None:
    out = playback(math.inf)
    out.add(bytes(2000), 0.0)
    out.settle()
    assert taken(out, 10.0) == pytest.approx(2.0)
    out.add(bytes(100), 0.0)
    assert out.due(10.0) == 10.0


def test_playback_that_ran_dry_begins_anew() -> None:
    """After a pause of the text the client plays at once what comes, so the whole lead may be sent again."""
    out = playback()
    out.add(bytes(400), 0.0)
    out.settle()
    taken(out, 0.0)
    taken(out, 1.0)
    assert out.idle and not out.playing(1.3) and out.playing(1.1)
    assert out.due(5.0) is None
    out.add(bytes(2000), 0.0)
    assert out.playing(5.0)
    assert out.due(5.0) == 5.0
    assert taken(out, 5.0) == pytest.approx(0.24)


def test_clear_gives_the_lead_anew_and_keeps_the_count() -> None:
    out = playback()
    out.add(bytes(2000), 0.0)
    out.place(1.0, Kind.MARK, "m")
    taken(out, 0.0)
    out.clear(0.1)
    assert out.sent == out.made == pytest.approx(0.24) and out.idle
    out.add(bytes(400), 0.0)
    assert taken(out, 0.1) == pytest.approx(0.24)


def test_what_an_encoder_gives_last_comes_before_what_follows_it() -> None:
    playback = Playback(bytes_per_second=0, frame_s=0.04, lead_s=1.0)
    playback.add(b"sound", 0.5)
    playback.add(b"rest", 0.0)
    playback.place(playback.made, Kind.DONE, "done")
    assert [piece.what for piece in iter(lambda: playback.take(0.0), None)] == [b"sound", b"rest", "done"]


def test_places_are_told_in_order_when_the_sound_has_come_there() -> None:
    out = playback(math.inf)
    out.place(0.08, Kind.TEXT, "text")
    out.place(0.08, Kind.MARK, "mark")
    out.place(0.08, Kind.DONE, "done")
    out.place(0.06, Kind.WORD, "word")  # with the frame it begins in
    out.place(0.0, Kind.MARK, "first")
    out.add(bytes(80), 0.0)
    told = []
    while (piece := out.take(0.0)) is not None:
        told.append(piece.what if isinstance(piece.what, str) else piece.at)
    assert told == ["first", 0.0, "word", pytest.approx(0.04), "text", "mark", "done"]
    assert out.idle
    out.place(0.0, Kind.MARK, "late")
    assert out.due(3.0) == 3.0 and not out.idle
