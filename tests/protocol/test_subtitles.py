"""Subtitles: what is written can be read back, by a reader that is not ours."""

import itertools
import json
from dataclasses import replace

import pysrt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.events import Word
from protocol.subtitles import (
    LINE,
    MAX_CHARACTERS,
    MAX_SECONDS,
    Segment,
    SubtitleFormat,
    Transcript,
    render,
    sentences,
    to_cues,
    to_srt,
)

HELLO = Segment(0.5, 2.25, "Hello there.", (Word("Hello", 0.5, 1.0), Word("there.", 1.2, 2.25)))
LONG = " ".join(f"word{number:02}" for number in range(40))


def transcript(*segments: Segment) -> Transcript:
    return Transcript(segments, "en", 3.0)


def test_srt() -> None:
    assert render(transcript(HELLO, Segment(3661.0, 3662.0, "Bye.")), SubtitleFormat.SRT) == (
        "1\n00:00:00,500 --> 00:00:02,250\nHello there.\n\n2\n01:01:01,000 --> 01:01:02,000\nBye.\n"
    )


def test_vtt_escapes_its_markup() -> None:
    assert render(transcript(Segment(0, 1, "a < b & c --> d")), SubtitleFormat.VTT) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na &lt; b &amp; c --&gt; d\n"
    )


def test_txt() -> None:
    assert render(transcript(HELLO, Segment(3, 4, "Bye.")), SubtitleFormat.TXT) == "Hello there.\nBye.\n"


def test_json_has_the_documented_fields() -> None:
    assert json.loads(render(transcript(HELLO), SubtitleFormat.JSON)) == {
        "text": "Hello there.",
        "language": "en",
        "duration": 3.0,
        "segments": [
            {
                "start": 0.5,
                "end": 2.25,
                "text": "Hello there.",
                "words": [
                    {"word": "Hello", "start": 0.5, "end": 1.0},
                    {"word": "there.", "start": 1.2, "end": 2.25},
                ],
            }
        ],
    }


@pytest.mark.parametrize("form", SubtitleFormat)
def test_nothing_said_is_an_empty_document(form: SubtitleFormat) -> None:
    empty = {"txt": "", "srt": "", "vtt": "WEBVTT\n"}
    written = render(Transcript(()), form)
    assert written == empty[form] if form != "json" else json.loads(written)["segments"] == []


def test_a_long_segment_is_cut_where_its_words_are() -> None:
    words = tuple(Word(f"word{number:02}", float(number), number + 0.5) for number in range(40))
    cues = to_cues([Segment(0.0, 40.0, LONG, words)])
    assert " ".join(cue.text for cue in cues) == LONG
    assert all(len(cue.text) <= MAX_CHARACTERS and cue.end - cue.start <= MAX_SECONDS for cue in cues)
    assert [cue.start for cue in cues] == [cue.words[0].start for cue in cues]


def test_a_cue_ends_where_a_sentence_a_breath_or_a_clause_does() -> None:
    text = "This is the first sentence of it. Then comes another, which goes on, and on for many words without end"
    words = tuple(Word(part, at * 0.3, at * 0.3 + 0.25) for at, part in enumerate(text.split()))
    cues = to_cues([Segment(0.0, 8.0, text, words)])
    assert [cue.text for cue in cues] == [
        "This is the first sentence of it.",
        "Then comes another, which goes on, and on for many words without end",
    ]
    clauses = to_cues([Segment(0.0, 20.0, f"{text[33:].strip()} {text[33:].strip()}")])
    assert clauses[0].text == "Then comes another, which goes on,"
    plain = text.translate(str.maketrans("", "", ".,"))
    breathing = [Word(it.text.strip(".,"), it.start + (at >= 9), it.end + (at >= 9)) for at, it in enumerate(words)]
    assert to_cues([Segment(0.0, 9.0, plain, tuple(breathing))])[0].text.endswith("Then comes")


def test_no_line_is_longer_than_can_be_read() -> None:
    text = "a" * 30 + " " + "b" * 25 + " " + "c" * 25 + " " + "d" * 100
    srt = to_srt(to_cues([Segment(0.0, 20.0, text)]))
    assert max(map(len, srt.split("\n"))) <= LINE
    assert "".join(text.split()) == "".join(line for line in srt.split("\n") if line.isalpha())


def test_a_word_on_its_own_stays_for_a_moment() -> None:
    cues = to_cues([Segment(1.0, 1.2, "Yes."), Segment(1.8, 1.9, "No."), Segment(5.0, 5.1, "Well.")])
    assert [(cue.start, cue.end) for cue in cues] == [(1.0, 1.8), (1.8, 2.8), (5.0, 5.1)]


def test_a_segment_is_told_sentence_by_sentence() -> None:
    words = (Word("Hi.", 0, 1), Word("How", 1.1, 1.4), Word("so?", 1.4, 2), Word("I", 4, 4.1), Word("see", 4.1, 4.5))
    told = list(sentences(Segment(0.0, 5.0, "Hi. How so? I see", words)))
    assert [(it.start, it.end, it.text) for it in told] == [(0, 1, "Hi."), (1.1, 2, "How so?"), (4, 4.5, "I see")]
    unknown = Segment(0.0, 5.0, "Hi. How so?")
    assert list(sentences(unknown)) == [unknown]


def test_running_text_of_a_script_without_spaces_has_none() -> None:
    assert transcript(Segment(0, 1, "今天天气"), Segment(1, 2, "很好")).text == "今天天气很好"
    assert transcript(Segment(0, 1, "Hi."), Segment(1, 2, "Ho.")).text == "Hi. Ho."


def test_a_long_segment_without_word_times_shares_its_time_by_length() -> None:
    cues = to_cues([Segment(10.0, 50.0, LONG)])
    assert " ".join(cue.text for cue in cues) == LONG
    assert cues[0].start == 10.0 and cues[-1].end == pytest.approx(50.0)
    assert all(later.start == pytest.approx(earlier.end) for earlier, later in itertools.pairwise(cues))


def test_scripts_without_spaces_are_cut_between_characters() -> None:
    text = "今天天气很好我们一起去公园散步吧" * 12
    cues = to_cues([Segment(0.0, 30.0, text)])
    assert "".join(cue.text for cue in cues) == text and len(cues) > 2
    assert all("\n" in block or len(block) <= 42 for block in to_srt(cues).split("\n"))


def test_a_line_break_in_the_text_does_not_end_a_cue() -> None:
    srt = render(transcript(Segment(0, 1, "one\n\n2\n00:00:09,000 --> 00:00:10,000\ntwo")), SubtitleFormat.SRT)
    assert len(pysrt.from_string(srt)) == 1


PRINTABLE = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Cn")), max_size=200)
SEGMENTS = st.lists(
    st.tuples(st.floats(0, 86_000), st.floats(0, 30), PRINTABLE).map(
        lambda row: Segment(row[0], row[0] + row[1], row[2])
    ),
    max_size=5,
)


@given(SEGMENTS)
def test_what_is_written_as_srt_is_read_back_by_pysrt(segments: list[Segment]) -> None:
    """F3: parse(render(s)) = s, whatever was said."""
    cues = to_cues(segments)
    items = pysrt.from_string(to_srt(cues))
    assert len(items) == len(cues)
    for item, cue in zip(items, cues, strict=True):
        assert "".join(item.text.split()) == "".join(cue.text.split())
        assert item.start.ordinal == pytest.approx(cue.start * 1000, abs=1)
        assert item.end.ordinal == pytest.approx(cue.end * 1000, abs=1)


def test_who_speaks_stands_before_the_words() -> None:
    talk = transcript(replace(HELLO, speaker="Speaker 1"), Segment(3, 4, "a < b", speaker="A & B"))
    assert render(talk, SubtitleFormat.TXT) == "Speaker 1: Hello there.\nA & B: a < b\n"
    assert render(talk, SubtitleFormat.SRT).splitlines()[2] == "Speaker 1: Hello there."
    assert render(talk, SubtitleFormat.VTT).splitlines()[3::3] == ["<v Speaker 1>Hello there.", "<v A &amp; B>a &lt; b"]
    rows = json.loads(render(talk, SubtitleFormat.JSON))["segments"]
    assert [row["speaker"] for row in rows] == ["Speaker 1", "A & B"]


def test_every_cue_names_its_speaker_and_is_still_readable() -> None:
    cues = to_cues([Segment(0.0, 40.0, LONG, speaker="Speaker 1")])
    assert len(cues) > 1 and {cue.speaker for cue in cues} == {"Speaker 1"}
    for block in to_srt(cues).split("\n\n"):
        lines = block.splitlines()[2:]
        assert lines[0].startswith("Speaker 1: ") and len(lines) <= 2 and all(len(line) <= LINE for line in lines)
