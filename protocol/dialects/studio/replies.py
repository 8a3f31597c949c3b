"""What seed A's API answers: to a request, to a question after its job, to a cancel (A19-A24, A31-A59).

The models are the OpenAPI document's too. A field that has nothing to say is left out, as in the document's examples.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from protocol.job_view import JobView, State
from protocol.languages import language_name
from protocol.moments import iso_moment
from protocol.work import Made, Outcome

Body = dict[str, Any]
AUDIO = "/audio/"  # A26: relative addresses


class JobType(StrEnum):
    """Which request a job came from; ``stt`` and ``stt_v2`` are the document's words (A23)."""

    DESIGN = "tts_design"
    CLONE = "tts_clone"
    AUTO = "tts_auto"
    SAVED = "tts_saved"
    DIALOGUE = "tts_dialogue"
    STT = "stt"
    STT_V2 = "stt_v2"
    DUB = "srt_to_voice"
    SEPARATE = "audio_separate"


class _Reply(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    def body(self) -> Body:
        """As JSON, without what there is not."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


class Submitted(_Reply):
    """A job was accepted (A19, A39, A48, A54, A59); which fields there are depends on the request."""

    job_id: str
    status: State = State.QUEUED
    credits_used: float | None = None
    media_type: Literal["audio", "video"] | None = None
    duration_secs: float | None = None
    is_async: bool | None = Field(default=None, serialization_alias="async")
    engine: str | None = None
    cue_count: int | None = None
    total_duration: float | None = None
    mode: str | None = None


class Segment(_Reply):
    """A stretch of a transcript, in seconds."""

    start: float
    end: float
    text: str


class JobReply(_Reply):
    """How a job fares (A21-A23, A39, A49, A54, A59)."""

    job_id: str
    status: State
    job_type: JobType
    progress_pct: int = Field(ge=0, le=100)
    credits_used: float | None = None
    credits_remaining: float | None = None
    engine: str | None = None
    error: str | None = None
    error_code: str | None = None
    audio_url: str | None = None
    text: str | None = None
    language: str | None = None
    duration_secs: float | None = None
    media_type: Literal["audio", "video"] | None = None
    srt_file: str | None = None
    srt_url: str | None = None
    vtt_url: str | None = None
    txt_url: str | None = None
    segments: list[Segment] | None = None
    mode: str | None = None
    vocals_url: str | None = None
    instrumental_url: str | None = None
    cue_count: int | None = None
    total_duration: float | None = None


class Transcript(_Reply):
    """A short recording's text, waited for (A38)."""

    text: str
    language: str
    duration_secs: float
    credits_used: float
    media_type: Literal["audio", "video"]
    srt_url: str = ""
    job_id: str
    engine: str


class Cancelled(_Reply):
    """A job was cancelled (A24)."""

    success: bool = True
    message: str = "Job cancelled and credits refunded"


class SavedVoiceReply(_Reply):
    """A saved voice (A31)."""

    id: int
    name: str
    type: Literal["design", "clone"]
    instruct: str
    language: str
    created_at: str


class Health(_Reply):
    """The server's state (A9)."""

    status: Literal["ok", "starting"]
    version: str


class Failure(_Reply):
    """Why a request was refused; ``code`` is a name of the error table."""

    model_config = ConfigDict(extra="allow")

    detail: str
    code: str
    field: str | None = None
    allowed: Any = None


def submitted(job: JobView) -> Body:
    """The reply to a request whose job is not waited for."""
    said, seconds = job.details, job.details.get("duration_secs")
    kind = JobType(said["job_type"])
    reply = Submitted(job_id=job.id, status=job.state, credits_used=job.credits)
    if kind is JobType.STT:
        more: Body = {"media_type": said["media_type"], "duration_secs": seconds, "is_async": True}
    elif kind is JobType.STT_V2:  # A48: without what it costs
        more = {"media_type": said["media_type"], "engine": said["engine"], "credits_used": None}
    elif kind is JobType.DUB:
        more = {"cue_count": said["cue_count"], "total_duration": said["total_duration"]}
    elif kind is JobType.SEPARATE:
        more = {"mode": said["mode"], "duration_secs": seconds}
    else:
        more = {}
    return reply.model_copy(update=more).body()


def polled(job: JobView) -> Body:
    """The reply to ``GET /api/v1/job/{id}``."""
    said, kind = job.details, JobType(job.details["job_type"])
    kept = {name: said[name] for name in ("media_type", "mode", "cue_count", "total_duration") if name in said}
    reply = JobReply(
        job_id=job.id,
        status=job.state,
        job_type=kind,
        progress_pct=100 if job.state is State.COMPLETED else job.progress,
        credits_used=job.credits,
        credits_remaining=job.remaining,
        **kept,
    )
    more: Body = {}
    if job.state is State.FAILED:
        more = {"error": job.error, "error_code": job.error_code}
    elif job.outcome is not None:
        more = {"engine": job.outcome.engine} | _SHOWN.get(kind, _speech)(job, job.outcome)
    return JobReply.model_validate(reply.model_dump(by_alias=True) | more).body()


def transcript(job: JobView) -> Body:
    """The reply to a v1 request that was waited for (A38)."""
    outcome = job.outcome or Outcome()
    return Transcript(
        text=outcome.text,
        language=language_name(outcome.language),
        duration_secs=_seconds(job, outcome),
        credits_used=job.credits,
        media_type=job.details["media_type"],
        srt_url=_url(outcome.file("srt")) or "",
        job_id=job.id,
        engine=outcome.engine,
    ).body()


def file_headers(job: JobView) -> dict[str, str]:
    """The headers beside a file that was waited for (A40), and who made it."""
    outcome = job.outcome or Outcome()
    headers = {"X-Credits-Used": f"{job.credits:g}", "X-Duration-Secs": f"{_seconds(job, outcome):g}"}
    media = job.details.get("media_type")
    return headers | ({"X-Media-Type": media} if media else {}) | {"X-Engine": outcome.engine, "X-Job-Id": job.id}


def saved_voice(id: int, name: str, type: str, instruct: str, language: str, created_at: float) -> Body:
    """A row of ``GET /api/v1/voices`` (A31); the language by its name."""
    values = {"id": id, "name": name, "type": type, "instruct": instruct, "created_at": iso_moment(created_at)}
    return SavedVoiceReply.model_validate(values | {"language": language_name(language)}).body()


# -- by kind -----------------------------------------------------------------------------------------


def _speech(_job: JobView, outcome: Outcome) -> Body:
    return {"audio_url": _url(outcome.file("audio")), "duration_secs": round(outcome.seconds, 2)}


def _text(job: JobView, outcome: Outcome) -> Body:
    body: Body = {"text": outcome.text, "language": language_name(outcome.language)}
    body |= {f"{role}_url": _url(outcome.file(role)) for role in ("srt", "vtt", "txt")}
    body["duration_secs"] = _seconds(job, outcome)
    if job.details.get("output_format") == "json":
        body["segments"] = [one.model_dump(include={"start", "end", "text"}) for one in outcome.segments]
    return body


def _text_v2(job: JobView, outcome: Outcome) -> Body:
    """A49: the language is a code here, and the file is named beside its address."""
    subtitles = outcome.file("srt")
    return _text(job, outcome) | {"language": outcome.language, "srt_file": subtitles and subtitles.name}


def _stems(job: JobView, outcome: Outcome) -> Body:
    body: Body = {f"{role}_url": _url(outcome.file(role)) for role in ("vocals", "instrumental")}
    return body | {"duration_secs": _seconds(job, outcome)}


_SHOWN: dict[JobType, Callable[[JobView, Outcome], Body]] = {
    JobType.STT: _text,
    JobType.STT_V2: _text_v2,
    JobType.SEPARATE: _stems,
}


def _url(made: Made | None) -> str | None:
    return None if made is None else AUDIO + made.name


def _seconds(job: JobView, outcome: Outcome) -> float:
    """The length that was priced; for speech, the length that was made."""
    return float(job.details.get("duration_secs", round(outcome.seconds, 2)))
