"""Seed C's API as its OpenAPI document tells of it (the streams themselves: docs/streaming.md)."""

from pydantic import BaseModel

from protocol.dialects.stt_ai import account, texts, transcripts
from protocol.dialects.stt_ai.errors import ERRORS
from protocol.dialects.stt_ai.forms import CloneForm, EnhanceForm, TranscribeForm
from server.api.operations import IDEMPOTENCY_KEY, JSON, Answer, Api, Operation, Parameter, Schema, query
from server.api.streaming_document import OPERATIONS as AROUND_STREAMS

_TEXT = {"type": "string"}
_BINARY = {"type": "string", "format": "binary"}
_FAILURE = {"type": "object", "required": ["error"], "properties": {"error": _TEXT}, "additionalProperties": False}
_MEANINGS = {
    400: "Something in the request is missing, wrong, too long, or in a format nobody here can read.",
    401: "The API key is wrong or disabled, or one is required.",
    402: "Not enough credits.",
    403: "This key may not do that.",
    404: "There is no such path, transcript or key, or it is somebody else's.",
    405: "Not with this method.",
    408: "It took too long.",
    409: "The Idempotency-Key belongs to another request, or a job is not over yet.",
    410: "It has expired.",
    413: "The file or the body is too large.",
    429: "Too many requests, too many jobs at once, or enough for this month.",
    500: "Something went wrong here.",
    503: "Nothing installed can do it, or the server is full, starting or stopping.",
}
_STATUSES = sorted({status for status, _ in ERRORS.values()})
_WRITE = tuple(status for status in _STATUSES if status != 405)
_READ = (400, 401, 403, 404, 429, 500, 503)
_HEADERS = {
    "X-Engine": "The engine that did it.",
    "X-Credits-Used": "What it cost.",
    "X-Job-Id": "The job, and the transcript's id.",
}
_ID = Parameter("id", "path", "A transcript's id.", {"type": "string", "minLength": 1, "maxLength": 64})
_FORMATS = ("txt", "srt", "vtt", "json", "csv", "docx", "pdf")
_FORMAT = Parameter("format", "path", "The kind of file.", {"type": "string", "enum": list(_FORMATS)})


def _text(name: str, summary: str, body: type[BaseModel], *replies: type[BaseModel]) -> Operation:
    answers = tuple(Answer("What came of it.", {JSON: reply}) for reply in replies)
    return Operation("POST", f"/v1/{name}", name, summary, answers, _WRITE, body=body)


def _file(
    path: str, name: str, summary: str, form: type[BaseModel], files: dict[str, str], *answers: Answer
) -> Operation:
    return Operation(
        "POST", path, name, summary, answers, _WRITE, form=form, files=files, parameters=(IDEMPOTENCY_KEY,)
    )


def _account(
    method: str,
    path: str,
    name: str,
    summary: str,
    reply: type[BaseModel] | Schema | None,
    *,
    body: type[BaseModel] | None = None,
    parameters: tuple[Parameter, ...] = (),
    status: int = 200,
) -> Operation:
    answer = Answer("Done.", {} if reply is None else {JSON: reply}, status=status)
    failures = _WRITE if body is not None else _READ
    return Operation(
        method, f"/api/v1/{path}", name, summary, (answer,), failures, body=body, parameters=parameters
    )


_KEYS = {"type": "array", "items": account.KeyRow.model_json_schema()}
_KEY_ID = Parameter("id", "path", "A key's id.", {"type": "integer", "minimum": 0})
_EXPORTED = Answer(
    "The file.",
    {
        "text/plain": _TEXT,
        "application/x-subrip": _TEXT,
        "text/vtt": _TEXT,
        JSON: transcripts.TranscriptReply,
        "text/csv": _TEXT,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _BINARY,
        "application/pdf": _BINARY,
    },
    {"Content-Disposition": "By which name to save it."},
)
_CHANGES = [
    _account(method, "account/", f"account_{method.lower()}", "Change the name", account.AccountReply,
             body=account.AccountChange)
    for method in ("PATCH", "PUT", "POST")
]  # fmt: skip

OPERATIONS = (
    *AROUND_STREAMS,
    _file(
        "/v1/transcribe",
        "transcribe",
        "A recording to text",
        TranscribeForm,
        {"file": "A recording, or a video."},
        Answer(
            "What was said; waited for, however long it takes.",
            {
                JSON: transcripts.TranscriptReply,
                "text/plain": _TEXT,
                "application/x-subrip": _TEXT,
                "text/vtt": _TEXT,
            },
            _HEADERS,
        ),
    ),
    _file(
        "/v1/enhance-audio",
        "enhance_audio",
        "Take the noise out of a recording",
        EnhanceForm,
        {"file": "A recording, or a video."},
        Answer("The better sound.", {"audio/wav": _BINARY}, _HEADERS),
    ),
    _file(
        "/v1/tts",
        "tts",
        "Speak in the voice of a recording",
        CloneForm,
        {"reference": "3 to 10 seconds of the voice."},
        Answer(
            "The sound.",
            {"audio/wav": _BINARY},
            {**_HEADERS, "X-Duration": "Its seconds.", "X-Generation-Time": "Seconds it took."},
        ),
    ),
    _text("summarize", "What a text says, in short", texts.Summarize, texts.Summary),
    _text("translate", "Texts in another language", texts.Translate, texts.Translation, texts.Translations),
    _text("analyze", "What is in a text", texts.Analyze, texts.AnalysisReply),
    _text("generate", "Another text, made of one", texts.Generate, texts.Generated),
    _text("embed", "Vectors of texts", texts.Embed, texts.Embeddings),
    _account("GET", "account/", "account", "The account", account.AccountReply),
    *_CHANGES,
    _account(
        "GET",
        "transcripts/",
        "transcripts",
        "Your transcripts, newest first",
        transcripts.TranscriptPage,
        parameters=query(transcripts.TranscriptQuery),
    ),
    _account("GET", "transcripts/{id}/", "transcript", "One of them", transcripts.TranscriptDetail, parameters=(_ID,)),
    _account("DELETE", "transcripts/{id}/", "forget", "Delete one", None, parameters=(_ID,), status=204),
    Operation(
        "GET",
        "/api/v1/transcripts/{id}/export/{format}/",
        "export",
        "A file of one",
        (_EXPORTED,),
        (*_READ, 409, 410),
        parameters=(_ID, _FORMAT),
    ),
    _account(
        "POST",
        "transcripts/{id}/chat/",
        "chat",
        "Ask about one",
        account.Answer,
        body=account.Question,
        parameters=(_ID,),
    ),
    _account(
        "POST",
        "transcripts/{id}/analyze/",
        "analyze_transcript",
        "What is in one",
        texts.AnalysisReply,
        body=texts.AnalyzeTranscript,
        parameters=(_ID,),
    ),
    _account(
        "POST",
        "transcripts/{id}/generate/",
        "generate_from_transcript",
        "Another text, made of one",
        texts.Generated,
        body=texts.GenerateFromTranscript,
        parameters=(_ID,),
    ),
    _account("GET", "keys/", "keys", "Your keys", _KEYS),
    _account("POST", "keys/", "new_key", "A key, shown this once", account.MadeKey, body=account.NewKey, status=201),
    _account("DELETE", "keys/{id}/", "revoke", "Delete a key", None, parameters=(_KEY_ID,), status=204),
    _account("GET", "usage/", "usage", "What was used in thirty days", account.Usage),
    _account("GET", "cloud/", "cloud", "Private clouds; there are none", {"type": "array"}),
)

STT_AI = Api(
    "Voxline: STT.ai (C)",
    "Recordings to transcripts, what can be made of them, an account; and what surrounds the WebSockets `/v1/stream` "
    "and `/v1/stream/tts`.",
    OPERATIONS,
    _FAILURE,
    {status: _MEANINGS[status] for status in _STATUSES},
)
