"""Files of subtitles: what people really send, read without losing a word, or refused with the line."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.subtitle_files import parse_subtitles, read_subtitles
from protocol.errors import Code, VoiceError
from protocol.work import Cue

PLAIN = """1
00:00:01,000 --> 00:00:02,500
Hello there.

2
00:00:03,000 --> 00:00:04,000
How are you?
"""


def words(text: str) -> list[str]:
    return [cue.text for cue in parse_subtitles(text.encode())]


def one(text: str) -> str:
    (only,) = words(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n")
    return only


def test_a_plain_file() -> None:
    assert parse_subtitles(PLAIN.encode()) == (
        Cue(start=1.0, end=2.5, text="Hello there."),
        Cue(start=3.0, end=4.0, text="How are you?"),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, ending: str) -> None:
    text = PLAIN.replace("Hello", "Xin chào").replace("\n", ending)
    assert [cue.text for cue in parse_subtitles(text.encode(encoding))] == ["Xin chào there.", "How are you?"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<i>Hello</i> <b>there</b>", "Hello there"),
        ('<font color="#ff0000">Red</font>', "Red"),
        (r"{\an8}On top", "On top"),
        (r"{\pos(10,20)\b1}Placed", "Placed"),
        ("{y:i}Slanted", "Slanted"),
        ("two\nlines", "two lines"),
        (r"one\Ntwo\hthree", "one two three"),
        ("- Who?\n- Me.", "Who? Me."),
        ("♪ La la ♪", "La la"),
        ("Tom &amp; Jerry&nbsp;&lt;3", "Tom & Jerry <3"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("{keep me}", "{keep me}"),
        ("a well-known fact - really", "a well-known fact - really"),
        ("an empty\n\nline in it", "an empty line in it"),
        ("<v Roger>Hi", "Hi"),
    ],
)
def test_the_words_alone(text: str, said: str) -> None:
    assert one(text) == said


def test_cues_are_sorted_and_a_backward_one_has_no_length() -> None:
    text = "2\n00:00:09,000 --> 00:00:08,000\nlate\n\n1\n00:00:01,000 --> 00:00:02,000\nearly\n"
    assert parse_subtitles(text.encode()) == (
        Cue(start=1.0, end=2.0, text="early"),
        Cue(start=9.0, end=9.0, text="late"),
    )


def test_numbers_may_be_missing_and_times_may_be_followed_by_places() -> None:
    text = "00:00:01,000 --> 00:00:02,000 X1:0 X2:100\nhi\n\n00:00:03.000 --> 00:00:04.000 line:0%\nyou"
    assert words(text) == ["hi", "you"]


def test_webvtt_with_short_times() -> None:
    text = "WEBVTT - a file\n\nNOTE\nnot spoken\n\nSTYLE\n::cue {}\n\nid-1\n00:01.500 --> 00:02.000\nhi\n"
    assert parse_subtitles(text.encode()) == (Cue(start=1.5, end=2.0, text="hi"),)


def test_a_cue_without_words_keeps_its_time() -> None:
    text = PLAIN + "\n3\n00:00:10,000 --> 00:00:12,000\n\n4\n00:00:12,000 --> 00:00:13,000\n<i> </i>\n"
    cues = parse_subtitles(text.encode())
    assert [cue.text for cue in cues] == ["Hello there.", "How are you?", "", ""]
    assert cues[-1].end == 13.0


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no words"),
        (b"\n\n", "no words"),
        (b"just some text\n", "line 1"),
        (PLAIN.replace("00:00:03,000 -->", "00:00:3 ->").encode(), "line 5"),
        (PLAIN.replace("00:00:03,000 -->", "aa:bb:cc,ddd -->").encode(), "line 5"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n\n", "no words"),
        ("tiếng Việt".encode("utf-16")[2:] + b"\xd8", "UTF-8"),
        (PLAIN.encode() + b"\xff\xfe", "UTF-8"),
        (bytes(range(256)), "UTF-8"),
    ],
)
def test_what_is_no_such_file_is_said(data: bytes, why: str) -> None:
    with pytest.raises(VoiceError, match=why) as caught:
        parse_subtitles(data)
    assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, "srt_file")


def test_a_file_that_would_last_for_days() -> None:
    with pytest.raises(VoiceError, match="4 hours") as caught:
        parse_subtitles(PLAIN.replace("00:00:04,000", "99:00:04,000").encode())
    assert caught.value.code is Code.TOO_LARGE


async def test_more_cues_than_there_may_be(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text(PLAIN)
    assert len(await read_subtitles(path)) == len(await read_subtitles(path, 2)) == 2
    with pytest.raises(VoiceError, match="holds 2 cues; 1 are allowed") as caught:
        await read_subtitles(path, 1)
    assert caught.value.code is Code.TOO_LARGE


def test_half_a_megabyte_of_anything_takes_no_time() -> None:
    began = time.monotonic()
    for text in ("1\n" * 250_000, "<" * 500_000, "a-->b" * 100_000, "0:" * 250_000, "{\\" * 250_000, "\n" * 500_000):
        with pytest.raises(VoiceError):
            parse_subtitles(text.encode())
        parse_subtitles(PLAIN.encode() + text.replace("->", "").encode())
    assert time.monotonic() - began < 10


@settings(max_examples=150)
@given(st.text(st.sampled_from("01:,.-> \n<i>{\\an8}♪x"), max_size=120))
def test_any_text_is_cues_or_a_bad_request(text: str) -> None:
    try:
        cues = parse_subtitles(text.encode())
    except VoiceError as error:
        assert error.facts["field"] == "srt_file"
        return
    assert all(cue.end >= cue.start >= 0 for cue in cues)
