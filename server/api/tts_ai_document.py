"""Seed D's API as its OpenAPI document tells of it; the paths that the seed leaves open are ours (docs/tts-api.md)."""

from collections.abc import Mapping

from pydantic import BaseModel

from protocol.dialects.tts_ai import lists, recordings, shapes, speech
from protocol.dialects.tts_ai.errors import ERRORS
from server.api.operations import IDEMPOTENCY_KEY, JSON, Answer, Api, Operation, Parameter, query

_BINARY = {"type": "string", "format": "binary"}
_CODES = sorted({code for _, code in ERRORS.values()})
_FAILURE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string", "enum": _CODES}, "message": {"type": "string"}},
        }
    },
}
_MEANINGS = {
    400: "Something in the request is missing, wrong or too long.",
    401: "The API key is missing, wrong or disabled.",
    402: "Not enough credits; how many there are is beside it.",
    403: "This key, or its plan, may not do that.",
    404: "There is no such model, voice, task or path, or nothing installed can do it.",
    405: "Not with this method.",
    408: "It took too long.",
    409: "The Idempotency-Key belongs to another request, or a task is not over yet.",
    410: "It has expired.",
    413: "The file is too large.",
    429: "Too many requests, or too many at once.",
    500: "Something went wrong here.",
    503: "The model is loading, or the server is full, starting or stopping; try again.",
}
_STATUSES = sorted({status for status, _ in ERRORS.values()})
_WRITE = tuple(status for status in _STATUSES if status != 405)
_READ = (400, 401, 403, 404, 410, 429, 500, 503)
_LIMITS = {
    "X-RateLimit-Limit": "Requests a minute.",
    "X-RateLimit-Remaining": "How many are left.",
    "X-RateLimit-Reset": "When the oldest counts no more, in Unix time.",
}
_RESULT = _LIMITS | {
    "X-Credits-Used": "What it cost.",
    "X-Credits-Remaining": "What is left.",
    "X-Task-Id": "The task it came from.",
    "X-Engine": "The engine that did it.",
    "X-Voice": "Who speaks.",
    "X-Note": "What a person should know of how it was done.",
}
_SOUNDS = ("audio/mpeg", "audio/wav", "audio/flac", "audio/ogg", "audio/mp4", "audio/aac")
_SOUND = Answer("The sound, in the format that was asked for.", dict.fromkeys(_SOUNDS, _BINARY), _RESULT)
_LATER = Answer("With `webhook_url`: the event is posted there.", {JSON: shapes.Accepted}, _LIMITS, status=202)
_FILE = {"file": "A recording, or a video."}
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}


def _form(
    path: str,
    name: str,
    summary: str,
    form: type[BaseModel],
    answer: type[BaseModel] | Answer,
    files: Mapping[str, str] = _FILE,
) -> Operation:
    told = answer if isinstance(answer, Answer) else Answer("What came of it.", {JSON: answer}, _RESULT)
    return Operation(
        "POST", path, name, summary, (told, _LATER), _WRITE, form=form, files=files, parameters=(IDEMPOTENCY_KEY,)
    )


def _reading(path: str, name: str, summary: str, answer: Answer, *parameters: Parameter, secured: bool) -> Operation:
    return Operation("GET", path, name, summary, (answer,), _READ, parameters=parameters, secured=secured)


OPERATIONS = (
    Operation(
        "POST",
        "/v1/tts/",
        "tts",
        "Speak a text",
        (_SOUND, _LATER),
        _WRITE,
        body=speech.TtsRequest,
        parameters=(IDEMPOTENCY_KEY,),
    ),
    _form(
        "/v1/tts/clone/",
        "clone",
        "Speak a text in the voice of a recording",
        speech.CloneForm,
        _SOUND,
        {"reference_audio": "10 to 30 seconds of the voice."},
    ),
    _form("/v1/stt/", "stt", "A recording to text", recordings.SttForm, shapes.Transcript),
    _form("/v1/voice-convert/", "voice_convert", "The same in another voice", recordings.ConvertVoiceForm, _SOUND),
    _form("/v1/speech-translate/", "speech_translate", "The same in another language", recordings.TranslateForm,
          shapes.Translation),
    _form("/v1/speech-to-speech/", "speech_to_speech", "The same words, voice and feeling chosen",
          recordings.ReshapeForm, _SOUND),
    _form("/v1/audio/enhance/", "enhance", "Noise away, clearer", recordings.EnhanceForm, _SOUND),
    _form("/v1/audio/separate/", "separate", "A mix taken apart", recordings.SeparateForm, shapes.Stems),
    _form("/v1/audio/de-echo/", "de_echo", "Echo and reverberation away", recordings.DeechoForm, _SOUND),
    _form("/v1/audio/analyze/", "analyze", "Key and tempo of music", recordings.AnalyzeForm, shapes.Music),
    _form("/v1/audio/convert/", "convert", "Another format", recordings.ConvertForm, _SOUND),
    Operation(
        "POST",
        "/v1/voice-chat/",
        "voice_chat",
        "A turn of a conversation",
        (Answer("The answer, written and spoken.", {JSON: shapes.Chat}, _RESULT),),
        _WRITE,
        form=speech.ChatForm,
        files={"audio": "What is said, in place of `text`."},
        optional=("audio",),
        body=speech.ChatForm,
        parameters=(IDEMPOTENCY_KEY,),
    ),
    _reading("/v1/models/", "models", "What can be done here", Answer("All of it.", {JSON: lists.Models}, _LIMITS),
             secured=True),
    _reading("/v1/voices/", "voices", "The voices", Answer("Those asked for.", {JSON: lists.Voices}, _LIMITS),
             *query(lists.VoiceQuery), secured=True),
    _reading(
        "/v1/voices/preview/{file}",
        "preview",
        "What a voice sounds like",
        Answer("Some words.", {"audio/mpeg": _BINARY}, {"X-Engine": "The engine that speaks."}),
        Parameter("file", "path", "A voice's id and `.mp3`.", {**_NAME, "pattern": r"^[^/]+\.mp3$"}),
        secured=False,
    ),
    _reading(
        "/v1/results/{name}",
        "result",
        "How a task fares, or a file that came of it",
        Answer("The task; or the file.", {JSON: shapes.TaskReply, "*/*": _BINARY}, _LIMITS),
        Parameter("name", "path", "A task's id, or a file's name.", _NAME),
        secured=True,
    ),
    _reading(
        "/v1/audio/tmp/{name}",
        "spoken",
        "What an answer sounds like",
        Answer("The file.", {"*/*": _BINARY}),
        Parameter("name", "path", "As a reply named it.", _NAME),
        secured=False,
    ),
)  # fmt: skip

TTS_AI = Api(
    "Voxline: TTS.ai (D)",
    "Speech, recognition, voices and tools for sound, waited for or told of by a webhook.",
    OPERATIONS,
    _FAILURE,
    {status: _MEANINGS[status] for status in _STATUSES},
)
