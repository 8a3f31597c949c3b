"""What seed C's API answers."""

import json
from typing import Any

import pytest

from protocol.dialects.stt_ai import account, texts, transcripts
from protocol.job_view import JobView, State
from protocol.subtitles import SubtitleFormat
from protocol.texts import (
    Analysis,
    AnalysisType,
    Answered,
    Embedded,
    Source,
    SummaryStyle,
    Translated,
    WritingType,
    Written,
)
from protocol.work import Outcome, Segment, SegmentWord, Transcribing

WORK = Transcribing(upload="u", seconds=125.4)
HEARD = Outcome(
    engine="faster-whisper",
    seconds=125.404,
    text="Hello, welcome to the meeting. Thanks.",
    language="en",
    segments=(
        Segment(
            start=0.0,
            end=3.2,
            text="Hello, welcome to the meeting.",
            speaker=0,
            confidence=0.95,
            words=(SegmentWord(word="Hello,", start=0.0, end=0.4, confidence=0.9),),
        ),
        Segment(start=3.2, end=4.0004, text="Thanks.", speaker=1),
    ),
    speakers=2,
)


def test_a_transcript() -> None:
    """C6: the document's own example."""
    body = transcripts.transcript(HEARD)
    assert transcripts.TranscriptReply.model_validate(body)
    assert body == {
        "text": "Hello, welcome to the meeting. Thanks.",
        "language": "en",
        "duration": 125.4,
        "segments": [
            {
                "start": 0.0,
                "end": 3.2,
                "text": "Hello, welcome to the meeting.",
                "speaker": "Speaker 1",
                "confidence": 0.95,
                "words": [{"word": "Hello,", "start": 0.0, "end": 0.4}],
            },
            {"start": 3.2, "end": 4.0, "text": "Thanks.", "speaker": "Speaker 2", "confidence": None, "words": []},
        ],
        "speakers": ["Speaker 1", "Speaker 2"],
    }


def test_a_transcript_without_speakers() -> None:
    body = transcripts.transcript(Outcome(text="a", segments=(Segment(start=0, end=1, text="a"),)))
    assert body["speakers"] == [] and "speaker" not in body["segments"][0]


@pytest.mark.parametrize(
    ("form", "named"), [(SubtitleFormat.TXT, "Speaker 2: Thanks."), (SubtitleFormat.VTT, "<v Speaker 2>Thanks.")]
)
def test_speakers_are_named_where_there_are_several(form: SubtitleFormat, named: str) -> None:
    assert named in transcripts.render(HEARD, form)
    assert "Speaker" not in transcripts.render(HEARD.model_copy(update={"speakers": 1}), form)


def test_what_is_written() -> None:
    assert json.loads(transcripts.written_as("json", HEARD)) == transcripts.transcript(HEARD)
    assert transcripts.written_as("srt", HEARD) == transcripts.render(HEARD, SubtitleFormat.SRT)


def test_rows_and_details() -> None:
    """C22; a job that is not over has no words, and a picked one is processing."""
    said: dict[str, Any] = {"filename": "a.mp3", "duration_secs": 125.4, "model": "small", "origin": "x"}
    done = JobView("7", State.COMPLETED, WORK, 1_700_000_000.0, credits=3.0, details=said, outcome=HEARD)
    row = transcripts.row(done, finished_at=1_700_000_060.0)
    assert row == {
        "id": "7", "title": "a.mp3", "status": "completed", "language": "en", "duration": 125.4, "speakers": 2,
        "model": "small", "engine": "faster-whisper", "credits_used": 3.0, "error": "",
        "created_at": "2023-11-14T22:13:20Z", "completed_at": "2023-11-14T22:14:20Z",
    }  # fmt: skip
    detail = transcripts.detail(done, finished_at=1_700_000_060.0)
    assert transcripts.TranscriptDetail.model_validate(detail) and detail["text"] == HEARD.text
    assert detail["segments"] == transcripts.transcript(HEARD)["segments"]
    begun = transcripts.detail(JobView("7", State.PICKED, WORK, 0.0, details=said), finished_at=None)
    assert (begun["status"], begun["text"], begun["segments"], begun["completed_at"]) == ("processing", "", [], None)


def test_texts() -> None:
    """C7, C13-C15, C18."""
    assert texts.summary(Written("S", "m"), SummaryStyle.BRIEF) == {"summary": "S", "style": "brief", "model": "m"}
    done = Translated(("Hola", "Mundo"), "en", "es", "m")
    languages = {"source_language": "en", "target_language": "es", "model": "m"}
    one = texts.translation(texts.Translate.model_validate({"text": "Hello", "target": "es"}), done)
    assert one == {"translated_text": "Hola", **languages}
    several = texts.translation(texts.Translate.model_validate({"texts": ["Hello", "World"], "target": "es"}), done)
    assert several == {"translations": [{"translated_text": "Hola"}, {"translated_text": "Mundo"}], **languages}
    found = texts.analysis(Analysis(AnalysisType.TOPICS, {"topics": ["a"]}, "m"))
    assert found == {"type": "topics", "result": {"topics": ["a"]}, "model": "m"}
    quiz = texts.generated(Written("Q", "m"), WritingType.QUIZ)
    assert quiz == {"type": "quiz", "content": "Q", "model": "m"}
    vectors = texts.embeddings(Embedded([[0.6, 0.8]], "m"))
    assert vectors == {"embeddings": [[0.6, 0.8]], "dimensions": 2, "model": "m"}


def test_the_account() -> None:
    """C22."""
    row = account.key_row(3, "robot", "sk-ov-", "abcd", "active", 0.0)
    assert row == {
        "id": 3, "name": "robot", "prefix": "sk-ov-", "last4": "abcd", "status": "active",
        "created_at": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    answered = account.answer(Answered("A", (Source(5, "t", 0.91999),), "m"), "s")
    source = {"segment_order": 5, "text": "t", "score": 0.92}
    assert answered == {"answer": "A", "sources": [source], "session_id": "s", "model": "m"}


def test_usage_by_day() -> None:
    """Thirty days, the oldest first; what lies before is not in them."""
    day = 86_400
    told = account.usage(40, {40: 15_000, 11: 5_000}, [(40.5 * day, 90.0), (40.9 * day, 30.0), (10.9 * day, 600.0)])
    days = told["days"]
    assert len(days) == 30 and (days[0]["date"], days[-1]["date"]) == ("1970-01-12", "1970-02-10")
    assert days[0]["credits"] == 0.5 and days[-1] == {
        "date": "1970-02-10", "credits": 1.5, "transcriptions": 2, "minutes": 2.0,
    }  # fmt: skip
    assert (told["total_credits"], told["total_transcriptions"], told["total_minutes"]) == (2.0, 2, 2.0)
