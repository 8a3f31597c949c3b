"""What seed D's API answers when it succeeds, at once or later (D6, D8, D11, D18, D23), of a job as it stands."""

import re
from collections.abc import Callable
from uuid import UUID

from protocol.dialects.tts_ai.errors import error_body
from protocol.dialects.tts_ai.shapes import (
    Accepted,
    Body,
    Chat,
    Event,
    File,
    Music,
    Reply,
    Segment,
    Status,
    Stems,
    Task,
    TaskReply,
    Transcript,
    Translation,
    Word,
)
from protocol.errors import Code, VoiceError
from protocol.job_view import JobView, State
from protocol.moments import iso_moment
from protocol.music import camelot, compatible_keys
from protocol.work import Outcome
from protocol.work import Segment as Heard

Link = Callable[[str], str]  # a path of this API to an address
RESULTS, SPOKEN = "/v1/results/", "/v1/audio/tmp/"  # D21
_TASK = re.compile(r"task_([0-9a-f]{32})", re.ASCII)
_STATUS: dict[State, Status] = {
    State.QUEUED: "queued",
    State.PICKED: "queued",
    State.PROCESSING: "processing",
    State.COMPLETED: "success",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


def task_id(job_id: str) -> str:
    """How this API calls a job."""
    return f"task_{UUID(job_id).hex}"


def job_id(written: str) -> str | None:
    """The job of a task's id; None for what is none."""
    found = _TASK.fullmatch(written)
    return str(UUID(found[1])) if found else None


def headers(job: JobView) -> dict[str, str]:
    """The headers beside a result that was waited for (D6), and who made it."""
    outcome, told = job.outcome or Outcome(), {"X-Credits-Used": _exactly(job.credits)}
    if job.remaining is not None:
        told["X-Credits-Remaining"] = _exactly(job.remaining)
    told |= {"X-Task-Id": task_id(job.id), "X-Engine": outcome.engine, "X-Voice": str(job.details.get("voice", ""))}
    told["X-Note"] = outcome.note.encode("ascii", "replace").decode().replace("\n", " ")
    return {name: value for name, value in told.items() if value}


def accepted(job: JobView, link: Link) -> Body:
    """The reply to a request whose result goes elsewhere."""
    facts = _facts(job, link)
    return Accepted.model_validate({name: facts[name] for name in Accepted.model_fields}).body()


def event(job: JobView, link: Link) -> Body:
    """What is posted when a task is over, in D23's words."""
    facts = _facts(job, link) | {"completed_at": iso_moment(job.finished_at or job.created_at)}
    done = job.state is State.COMPLETED
    said = {name: facts.get(name) for name in Event.model_fields} | {"error": _error(job)}
    return Event.model_validate(said | {"event": "task.completed" if done else "task.failed"}).body()


def described(job: JobView, link: Link) -> Body:
    """The reply to ``GET /v1/results/{task_id}``."""
    said: Body = {**_facts(job, link), "type": job.details["task"], "error": _error(job)}
    said["progress"] = 100 if job.state is State.COMPLETED else job.progress
    if job.finished_at is not None:
        said["completed_at"] = iso_moment(job.finished_at)
    if (outcome := job.outcome) is not None:
        said |= {"engine": outcome.engine or None, "note": outcome.note or None}
        said["files"] = [
            File(role=one.role, url=link(RESULTS + one.name), content_type=one.media_type, size=one.size)
            for one in outcome.made
        ] or None
        said["expired"] = job.expired or None
        said["result"] = result(job, link)
    return TaskReply.model_validate(said).body()


def result(job: JobView, link: Link) -> Body | None:
    """What a finished task has to say, in the words of its request's reply; None where that is a file."""
    outcome, told = job.outcome or Outcome(), _RESULTS.get(Task(job.details["task"]))
    return None if told is None else told(job, outcome, link).body()


# -- by task -----------------------------------------------------------------------------------------


def _transcript(job: JobView, outcome: Outcome, _link: Link) -> Reply:
    return Transcript(
        text=outcome.text,
        language=outcome.language,
        duration=_seconds(job, outcome),
        segments=[_segment(one) for one in outcome.segments],
    )


def _segment(heard: Heard) -> Segment:
    """D8; a speaker's name counts from 00."""
    return Segment(
        start=round(heard.start, 3),
        end=round(heard.end, 3),
        text=heard.text,
        speaker=None if heard.speaker is None else f"SPEAKER_{heard.speaker:02d}",
        words=[Word(word=one.word, start=round(one.start, 3), end=round(one.end, 3)) for one in heard.words] or None,
    )


def _translation(job: JobView, outcome: Outcome, link: Link) -> Reply:
    return Translation(
        original_text=outcome.source_text,
        translated_text=outcome.text,
        source_language=outcome.source_language,
        target_language=outcome.language,
        audio_url=_audio(outcome, link, RESULTS),
        credits_used=_credits(job),
    )


def _chat(job: JobView, outcome: Outcome, link: Link) -> Reply:
    return Chat(
        conversation_id=job.details["conversation_id"],
        user_text=outcome.source_text,
        ai_text=outcome.text,
        audio_url=_audio(outcome, link, SPOKEN),
        credits_used=_credits(job),
    )


def _music(_job: JobView, outcome: Outcome, _link: Link) -> Reply:
    music = outcome.music
    if music is None:
        raise VoiceError(Code.INTERNAL, "The analysis found nothing.")
    return Music(
        key=music.key,
        scale=music.scale,
        bpm=music.bpm,
        time_signature=music.time_signature,
        camelot=camelot(music.key, music.scale),
        compatible_keys=list(compatible_keys(music.key, music.scale)),
    )


def _stems(job: JobView, outcome: Outcome, link: Link) -> Reply:
    return Stems(
        task_id=task_id(job.id),
        status=_STATUS[job.state],
        stems={one.role: link(RESULTS + one.name) for one in outcome.made},
        duration=_seconds(job, outcome),
        engine=outcome.engine,
        credits_used=_credits(job),
    )


_RESULTS: dict[Task, Callable[[JobView, Outcome, Link], Reply]] = {
    Task.STT: _transcript,
    Task.TRANSLATE: _translation,
    Task.CHAT: _chat,
    Task.ANALYZE: _music,
    Task.SEPARATE: _stems,
}


def _facts(job: JobView, link: Link) -> Body:
    name = task_id(job.id)
    said: Body = {"task_id": name, "status": _STATUS[job.state], "result_url": link(RESULTS + name)}
    return said | {"credits_used": _credits(job), "created_at": iso_moment(job.created_at)}


def _error(job: JobView) -> Body | None:
    """In D22's words."""
    if job.state is not State.FAILED:
        return None
    said = error_body(VoiceError(Code(job.error_code), job.error))["error"]
    assert isinstance(said, dict)
    return said


def _audio(outcome: Outcome, link: Link, place: str) -> str:
    made = outcome.file("audio")
    return link(place + made.name) if made else ""


def _seconds(job: JobView, outcome: Outcome) -> float:
    """The length that was priced; for speech, the length that was made."""
    return float(job.details.get("duration", round(outcome.seconds, 2)))


def _credits(job: JobView) -> int | float:
    """As the document's examples write them: 5, 2.5."""
    return int(job.credits) if job.credits == int(job.credits) else job.credits


def _exactly(credits: float) -> str:
    """To the unit, without zeros at the end: "2", "0.068"."""
    return f"{credits:.4f}".rstrip("0").rstrip(".")
