"""Seed A's answers, against the document's examples (A19-A24, A38-A40, A48, A49, A54, A59), and its errors (A6)."""

import json
from typing import Any

import pytest

from protocol.dialects.studio.errors import ERRORS, error_reply
from protocol.dialects.studio.options import options_body
from protocol.dialects.studio.replies import JobType, file_headers, polled, submitted, transcript
from protocol.errors import Code, VoiceError
from protocol.job_view import JobView, State
from protocol.work import Line, Made, Outcome, Segment, Speaking, VoiceNamed

WORK = Speaking(lines=(Line(text="a", voice=VoiceNamed()),))
HEARD = Outcome(
    engine="faster-whisper",
    seconds=1200.0,
    made=(Made(role="srt", name="stt_xxx.srt", media_type="application/x-subrip", size=1),),
    text="Nội dung được nhận diện...",
    language="vi",
    segments=(Segment(start=0.0, end=2.5, text="Nội dung"),),
)


def job(kind: JobType, state: State = State.QUEUED, *, credits: float = 2.5, **more: Any) -> JobView:
    details = {"job_type": kind.value, **more.pop("details", {})}
    return JobView("abc123def456", state, WORK, 0.0, credits=credits, details=details, **more)


def made(**names: str) -> Outcome:
    files = tuple(Made(role=role, name=name, media_type="audio/x", size=1) for role, name in names.items())
    return Outcome(engine="espeak-ng", seconds=1.234, made=files)


@pytest.mark.parametrize("kind", [JobType.DESIGN, JobType.CLONE, JobType.AUTO, JobType.SAVED, JobType.DIALOGUE])
def test_speech_was_accepted(kind: JobType) -> None:
    """Seed A, section 1.1, step 1."""
    assert submitted(job(kind)) == {"job_id": "abc123def456", "status": "queued", "credits_used": 2.5}


def test_recognition_was_accepted() -> None:
    """Seed A, section 2."""
    said = {"media_type": "video", "duration_secs": 1200.0}
    assert submitted(job(JobType.STT, credits=752.5, details=said)) == {
        "job_id": "abc123def456",
        "status": "queued",
        "credits_used": 752.50,
        "media_type": "video",
        "duration_secs": 1200.0,
        "async": True,
    }


def test_recognition_v2_was_accepted() -> None:
    """Seed A, section 2b: what it costs is not told."""
    said = {"media_type": "audio", "duration_secs": 45.2, "engine": "faster-whisper"}
    assert submitted(job(JobType.STT_V2, details=said)) == {
        "job_id": "abc123def456",
        "status": "queued",
        "media_type": "audio",
        "engine": "faster-whisper",
    }


def test_subtitles_were_accepted() -> None:
    """Seed A, section 3."""
    said = {"cue_count": 42, "total_duration": 180.5}
    assert submitted(job(JobType.DUB, credits=15.6, details=said)) == {
        "job_id": "abc123def456",
        "status": "queued",
        "credits_used": 15.60,
        **said,
    }


def test_separation_was_accepted() -> None:
    """Seed A, section 4."""
    said = {"mode": "all", "duration_secs": 180.5}
    assert submitted(job(JobType.SEPARATE, credits=13500.0, details=said)) == {
        "job_id": "abc123def456",
        "status": "queued",
        "credits_used": 13500.0,
        **said,
    }


@pytest.mark.parametrize("state", [State.QUEUED, State.PICKED, State.PROCESSING])
def test_a_job_on_its_way(state: State) -> None:
    reply = polled(job(JobType.DESIGN, state, progress=40))
    assert reply["status"] == state.value and reply["progress_pct"] == 40
    assert "audio_url" not in reply


def test_speech_is_done() -> None:
    """Seed A, section 1.1, step 2."""
    reply = polled(job(JobType.DESIGN, State.COMPLETED, outcome=made(audio="tts_xxx.wav"), remaining=7.5))
    assert reply == {
        "job_id": "abc123def456",
        "status": "completed",
        "job_type": "tts_design",
        "audio_url": "/audio/tts_xxx.wav",
        "progress_pct": 100,
        "credits_used": 2.5,
        "credits_remaining": 7.5,
        "engine": "espeak-ng",
        "duration_secs": 1.23,
    }


def test_recognition_is_done() -> None:
    """A39: the language by its name."""
    said = {"media_type": "video", "duration_secs": 1200.0, "output_format": "srt"}
    reply = polled(job(JobType.STT, State.COMPLETED, outcome=HEARD, details=said))
    example = {
        "status": "completed",
        "job_type": "stt",
        "text": "Nội dung được nhận diện...",
        "language": "vietnamese",
        "duration_secs": 1200.0,
        "srt_url": "/audio/stt_xxx.srt",
    }
    assert example.items() <= reply.items()
    assert "segments" not in reply


def test_recognition_v2_is_done() -> None:
    """A49: the language by its code, the file by its name, no chunks."""
    said = {"media_type": "audio", "duration_secs": 1200.0, "output_format": "json", "engine": "faster-whisper"}
    reply = polled(job(JobType.STT_V2, State.COMPLETED, outcome=HEARD, details=said))
    example = {
        "status": "completed",
        "job_type": "stt_v2",
        "text": "Nội dung được nhận diện...",
        "language": "vi",
        "duration_secs": 1200.0,
        "srt_file": "stt_xxx.srt",
        "srt_url": "/audio/stt_xxx.srt",
        "engine": "faster-whisper",
    }
    assert example.items() <= reply.items()
    assert "chunks" not in reply
    assert reply["segments"] == [{"start": 0.0, "end": 2.5, "text": "Nội dung"}]


def test_nothing_was_said() -> None:
    """A51: an empty text is a success, and the field is there."""
    said = {"media_type": "audio", "duration_secs": 3.0, "output_format": "json"}
    reply = polled(job(JobType.STT_V2, State.COMPLETED, outcome=HEARD.model_copy(update={"text": ""}), details=said))
    assert reply["text"] == "" and reply["srt_url"]


def test_subtitles_are_spoken() -> None:
    """A54."""
    said = {"cue_count": 42, "total_duration": 180.5}
    reply = polled(job(JobType.DUB, State.COMPLETED, outcome=made(audio="srt2voice_xxx.mp3"), details=said))
    example = {"status": "completed", "audio_url": "/audio/srt2voice_xxx.mp3", "progress_pct": 100}
    assert example.items() <= reply.items()


def test_sounds_are_separated() -> None:
    """A59: only what was asked for."""
    said = {"mode": "all", "duration_secs": 180.5}
    both = made(vocals="sep_xxx_vocals.mp3", instrumental="sep_xxx_instrumental.mp3")
    reply = polled(job(JobType.SEPARATE, State.COMPLETED, outcome=both, details=said))
    example = {
        "vocals_url": "/audio/sep_xxx_vocals.mp3",
        "instrumental_url": "/audio/sep_xxx_instrumental.mp3",
    }
    assert example.items() <= reply.items()
    one = polled(job(JobType.SEPARATE, State.COMPLETED, outcome=made(vocals="sep_x_vocals.mp3"), details=said))
    assert "instrumental_url" not in one


def test_a_job_failed() -> None:
    reply = polled(job(JobType.DESIGN, State.FAILED, credits=0.0, error="It broke.", error_code="engine_failed"))
    assert reply["error"] == "It broke." and reply["error_code"] == "engine_failed" and reply["credits_used"] == 0


def test_a_short_recording() -> None:
    """A38."""
    said = {"media_type": "audio", "duration_secs": 45.2}
    reply = transcript(job(JobType.STT, State.COMPLETED, credits=2260.0, outcome=HEARD, details=said))
    assert reply == {
        "text": "Nội dung được nhận diện...",
        "language": "vietnamese",
        "duration_secs": 45.2,
        "credits_used": 2260.0,
        "media_type": "audio",
        "srt_url": "/audio/stt_xxx.srt",
        "job_id": "abc123def456",
        "engine": "faster-whisper",
    }


def test_headers_beside_a_file() -> None:
    """A40."""
    said = {"media_type": "video", "duration_secs": 45.2}
    headers = file_headers(job(JobType.STT, State.COMPLETED, credits=2712.0, outcome=HEARD, details=said))
    assert headers == {
        "X-Credits-Used": "2712",
        "X-Duration-Secs": "45.2",
        "X-Media-Type": "video",
        "X-Engine": "faster-whisper",
        "X-Job-Id": "abc123def456",
    }
    assert "X-Media-Type" not in file_headers(job(JobType.AUTO, State.COMPLETED, outcome=made(audio="a.wav")))


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", Code)
def test_every_error_has_a_status_and_the_one_shape(code: Code) -> None:
    reply = error_reply(VoiceError(code, "What happened."))
    assert reply.status == ERRORS[code] >= 400
    assert json.loads(reply.body) == {"detail": "What happened.", "code": code.value}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.BAD_REQUEST, 400),
        (Code.TEXT_TOO_LONG, 400),
        (Code.TOO_LARGE, 400),
        (Code.UNSUPPORTED_MEDIA, 400),
        (Code.UNAUTHORIZED, 401),
        (Code.INSUFFICIENT_CREDITS, 402),
        (Code.CONFLICT, 409),
        (Code.RATE_LIMITED, 429),
        (Code.TOO_MANY_SESSIONS, 429),
        (Code.INTERNAL, 500),
    ],
)
def test_the_statuses_of_the_document(code: Code, status: int) -> None:
    """A6, A33."""
    assert ERRORS[code] == status


def test_facts_a_client_may_learn() -> None:
    error = VoiceError(Code.RATE_LIMITED, "Slower.", retry_after=2.2, secret="x")
    reply = error_reply(error)
    assert dict(reply.headers)[b"retry-after"] == b"3"
    assert json.loads(reply.body) == {"detail": "Slower.", "code": "rate_limited", "retry_after": 2.2}


def test_too_few_credits_are_told_in_credits() -> None:
    error = VoiceError(Code.INSUFFICIENT_CREDITS, "Too few.", required=25_000, available=10_000)
    assert json.loads(error_reply(error).body).items() >= {"required": 2.5, "available": 1.0}.items()


# -- options -----------------------------------------------------------------------------------------


def test_options_are_what_the_forms_take() -> None:
    """A10, A14."""
    options = options_body(["vi", "en", "vi"])
    assert options["languages"] == ["auto", "english", "vietnamese"]
    assert options["genders"] == ["male", "female"]
    assert options["ages"] == ["child", "young adult", "middle-aged", "elderly"]
    assert options["pitches"] == ["low pitch", "moderate pitch", "high pitch"]
    assert {"normal", "cheerful", "sad", "angry", "whisper"} <= set(options["styles"])
    assert options["defaults"] == {
        "speed": 1.0, "num_step": 32, "guidance_scale": 2.0, "denoise": True, "async_mode": False, "language": "auto",
    }  # fmt: skip
    assert options["ranges"]["speed"] == {"min": 0.1, "max": 4.0}
    assert options["output_formats"] == ["json", "srt", "vtt", "txt"]
    assert options["separation_modes"] == ["all", "vocals", "instrumental"]
