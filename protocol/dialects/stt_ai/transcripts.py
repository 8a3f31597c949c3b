"""Transcripts as seed C shows them: the reply of C6, text and subtitles, and rows and details of C22's account API."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from protocol import subtitles
from protocol.dialects.stt_ai.fields import Day, Fields, Language
from protocol.fields import to_json
from protocol.job_view import JobView, State
from protocol.moments import iso_moment
from protocol.subtitles import SubtitleFormat
from protocol.transcripts import speaker_name, transcript_of
from protocol.work import Outcome
from protocol.work import Segment as Heard

Body = dict[str, Any]
# What a client sees of a job's states (A22): a picked one is as good as begun.
ShownState = Literal["queued", "processing", "completed", "failed", "cancelled"]
_SHOWN: dict[State, ShownState] = {
    State.QUEUED: "queued",
    State.PICKED: "processing",
    State.PROCESSING: "processing",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
PAGE_SIZE, MOST_ROWS = 20, 100


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class WordReply(_Reply):
    """A word, in seconds."""

    word: str
    start: float
    end: float


class SegmentReply(_Reply):
    """A stretch of speech. ``speaker`` where speakers were told apart."""

    start: float
    end: float
    text: str
    speaker: str | None = None
    confidence: float | None = Field(None, ge=0, le=1)
    words: list[WordReply]


class TranscriptReply(_Reply):
    """What was said in a recording (C6)."""

    text: str
    language: str
    duration: float
    segments: list[SegmentReply]
    speakers: list[str]


class TranscriptRow(_Reply):
    """A transcript in the list (C22)."""

    id: str
    title: str
    status: ShownState
    language: str
    duration: float
    speakers: int
    model: str
    engine: str
    credits_used: float
    error: str
    created_at: str
    completed_at: str | None


class TranscriptDetail(TranscriptRow):
    """One transcript with all that was said (C22)."""

    text: str
    segments: list[SegmentReply]


class TranscriptPage(_Reply):
    """Some of the transcripts, newest first (C22)."""

    count: int
    next: str | None
    previous: str | None
    results: list[TranscriptRow]


class TranscriptQuery(Fields):
    """Which transcripts are wanted (C22)."""

    page: int = Field(1, ge=1, le=1_000_000, description="From 1.")
    page_size: int = Field(PAGE_SIZE, ge=1, le=MOST_ROWS, description="How many on a page.")
    status: ShownState | None = Field(None, description="Only of this status.")
    language: Language | None = Field(None, description="Only in this language.")
    date: Day | None = Field(None, description="Only of this day (UTC).")
    date_from: Day | None = Field(None, description="Not before this day (UTC).")
    date_to: Day | None = Field(None, description="Not after this day (UTC).")

    def states(self) -> list[State]:
        """The states that show as the status asked for; none: all."""
        return [state for state, shown in _SHOWN.items() if shown == self.status]


def transcript(outcome: Outcome) -> Body:
    """The reply of C6. A speaker is left out where nobody told speakers apart."""
    names = [speaker_name(number) for number in range(outcome.speakers)]
    body: Body = {"text": outcome.text, "language": outcome.language, "duration": round(outcome.seconds, 2)}
    return body | {"segments": segments(outcome.segments), "speakers": names}


def segments(heard: Sequence[Heard]) -> list[Body]:
    """Segments with their words; written out by hand, since a day's recording has a hundred thousand of them."""
    return [_segment(one) for one in heard]


def render(outcome: Outcome, form: SubtitleFormat) -> str:
    """The transcript as text or subtitles; who speaks is said where there is more than one."""
    return subtitles.render(transcript_of(outcome), form)


def written_as(form: str, outcome: Outcome) -> str:
    """The transcript as json (C6), txt, srt or vtt."""
    return to_json(transcript(outcome)) if form == "json" else render(outcome, SubtitleFormat(form))


def row(job: JobView, *, finished_at: float | None) -> Body:
    """A transcript in the list."""
    return TranscriptRow(**_row(job, finished_at)).model_dump()


def detail(job: JobView, *, finished_at: float | None) -> Body:
    """One transcript; without words until it is completed."""
    outcome = job.outcome or Outcome()
    return _row(job, finished_at) | {"text": outcome.text, "segments": segments(outcome.segments)}


def _row(job: JobView, finished_at: float | None) -> Body:
    outcome, said = job.outcome or Outcome(), job.details
    return {
        "id": job.id,
        "title": said.get("filename", ""),
        "status": _SHOWN[job.state],
        "language": outcome.language,
        "duration": said.get("duration_secs", 0.0),
        "speakers": outcome.speakers,
        "model": said.get("model", ""),
        "engine": outcome.engine,
        "credits_used": job.credits,
        "error": job.error,
        "created_at": iso_moment(job.created_at),
        "completed_at": None if finished_at is None else iso_moment(finished_at),
    }


def _segment(one: Heard) -> Body:
    shown: Body = {"start": round(one.start, 3), "end": round(one.end, 3), "text": one.text}
    if one.speaker is not None:
        shown["speaker"] = speaker_name(one.speaker)
    shown["confidence"] = None if one.confidence is None else round(one.confidence, 3)
    shown["words"] = [
        {"word": word.word, "start": round(word.start, 3), "end": round(word.end, 3)} for word in one.words
    ]
    return shown
