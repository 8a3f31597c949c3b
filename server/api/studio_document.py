"""Seed A's API as its OpenAPI document tells of it."""

from pydantic import BaseModel

from protocol.dialects.studio.errors import ERRORS
from protocol.dialects.studio.recordings import SeparateForm, TranscribeForm, TranscribeV2Form
from protocol.dialects.studio.replies import (
    Cancelled,
    Failure,
    Health,
    JobReply,
    SavedVoiceReply,
    Submitted,
    Transcript,
)
from protocol.dialects.studio.speech import AutoForm, CloneForm, DesignForm, DialogueForm, DubForm, SavedForm
from server.api.operations import IDEMPOTENCY_KEY, JSON, Answer, Api, Operation, Parameter

_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
_MEANINGS = {
    400: "Something in the request is missing, wrong, too long or too large, or no installed engine can do it.",
    401: "The API key is missing, wrong or disabled.",
    402: "Not enough credits.",
    403: "This key may not do that.",
    404: "There is no such job, voice or path, or it is somebody else's.",
    405: "Not with this method.",
    408: "It took too long.",
    409: "The job cannot be cancelled any more, or the Idempotency-Key belongs to another request.",
    410: "The file has expired.",
    429: "Too many requests, or too many jobs at once.",
    500: "Something went wrong here.",
    503: "The server is full, starting or stopping; try again.",
}
_READ = (400, 401, 404, 429, 500, 503)
_WRITE = (400, 401, 402, 403, 404, 408, 409, 410, 429, 500, 503)
_JOB = Parameter("job_id", "path", "As the request's reply named it.", {"type": "string", "maxLength": 64})
_ACCEPTED = Answer("The job was accepted.", {JSON: Submitted})
_FILE_HEADERS = {
    "X-Credits-Used": "What it cost.",
    "X-Duration-Secs": "Seconds of sound.",
    "X-Engine": "The engine that did it.",
    "X-Job-Id": "The job it came from.",
}
_SOUND = Answer("The sound, or with `async_mode` the accepted job.", {"audio/wav": _BINARY}, _FILE_HEADERS)


def _speech(kind: str, summary: str, form: type[BaseModel], files: dict[str, str] | None = None) -> Operation:
    return Operation(
        "POST",
        f"/api/v1/tts/{kind}",
        f"tts_{kind}",
        summary,
        (_SOUND, _ACCEPTED),
        _WRITE,
        form=form,
        files=files or {},
        parameters=(IDEMPOTENCY_KEY,),
    )


def _recording(
    path: str, name: str, summary: str, form: type[BaseModel], answers: tuple[Answer, ...], what: str = "audio_file"
) -> Operation:
    described = {"audio_file": "A recording, or a video.", "srt_file": "Subtitles, SRT in UTF-8."}
    files = {what: described[what]}
    return Operation(
        "POST", path, name, summary, answers, _WRITE, form=form, files=files, parameters=(IDEMPOTENCY_KEY,)
    )


_TRANSCRIPT = Answer(
    "The text or the file, or the accepted job (`async_mode`, or more than 120 s of sound).",
    {JSON: Transcript, "application/x-subrip": _TEXT, "text/vtt": _TEXT, "text/plain": _TEXT},
    {**_FILE_HEADERS, "X-Media-Type": "audio or video."},
)

OPERATIONS = (
    Operation(
        "GET", "/api/v1/health", "health", "Server status", (Answer("It runs.", {JSON: Health}),), (500,), secured=False
    ),
    Operation(
        "GET",
        "/api/v1/options",
        "options",
        "What a voice can be asked for",
        (Answer("All choices.", {JSON: {"type": "object"}}),),
        _READ,
    ),
    _speech("design", "Speak in a voice described in words", DesignForm),
    _speech("clone", "Speak in the voice of a recording", CloneForm, {"ref_audio": "A few seconds of the voice."}),
    _speech("auto", "Speak in the language's own voice", AutoForm),
    _speech("saved", "Speak in a saved voice", SavedForm),
    _speech("dialogue", "Speak a dialogue of saved voices", DialogueForm),
    Operation(
        "GET",
        "/api/v1/voices",
        "voices",
        "Your saved voices",
        (Answer("All of them.", {JSON: {"type": "array", "items": SavedVoiceReply.model_json_schema()}}),),
        _READ,
    ),
    _recording("/api/v1/stt", "stt", "A recording to text", TranscribeForm, (_TRANSCRIPT, _ACCEPTED)),
    _recording("/api/v2/stt", "stt_v2", "A recording to text, as a job", TranscribeV2Form, (_ACCEPTED,)),
    _recording(
        "/api/v1/srt-to-voice", "srt_to_voice", "Subtitles to speech at their times", DubForm, (_ACCEPTED,), "srt_file"
    ),
    _recording("/api/v1/audio-separate", "audio_separate", "Voices and the rest apart", SeparateForm, (_ACCEPTED,)),
    Operation(
        "GET",
        "/api/v1/job/{job_id}",
        "job",
        "How a job fares",
        (Answer("Its state, and what came of it.", {JSON: JobReply}),),
        _READ,
        parameters=(_JOB,),
    ),
    Operation(
        "POST",
        "/api/v1/job/{job_id}/cancel",
        "cancel",
        "Cancel a job that has not begun",
        (Answer("It will not be done, and costs nothing.", {JSON: Cancelled}),),
        (*_READ, 409),
        parameters=(_JOB,),
    ),
    Operation(
        "GET",
        "/audio/{filename}",
        "audio",
        "A file that was made",
        (
            Answer("The file.", {"*/*": _BINARY}),
            Answer("The part of it that was asked for.", {"*/*": _BINARY}, status=206),
        ),
        (400, 404, 410, 500),
        parameters=(Parameter("filename", "path", "As a job named it."),),
        secured=False,
    ),
)

STUDIO = Api(
    "Voxline: voice studio (A)",
    "Speech from text, text from speech, dubbing and separation. Forms in, files and JSON out; long work is a job.",
    OPERATIONS,
    Failure,
    {status: _MEANINGS[status] for status in sorted({*ERRORS.values()})},
)
