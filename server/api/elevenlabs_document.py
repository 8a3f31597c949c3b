"""The two lists for ElevenLabs' clients, as an OpenAPI document tells of them."""

from protocol.dialects.elevenlabs import ERRORS, KEY_HEADER
from server.api.operations import JSON, Answer, Api, Operation, Parameter, Schema

_TEXT = {"type": "string"}
_DETAIL = {"type": "object", "required": ["status", "message"], "properties": {"status": _TEXT, "message": _TEXT}}
_MODELS = {
    "type": "array",
    "items": {"type": "object", "required": ["model_id", "name", "languages"], "properties": {"model_id": _TEXT}},
}
_VOICES = {
    "type": "object",
    "required": ["voices"],
    "properties": {
        "voices": {"type": "array", "items": {"type": "object", "required": ["voice_id", "name", "labels"]}}
    },
}
_MEANINGS = {
    401: "The key is missing, wrong or disabled.",
    429: "Too many requests.",
    500: "Something went wrong here.",
}
_KEY = Parameter(KEY_HEADER, "header", "Any API key of this server's; by it these clients are known.", required=True)


def _list(path: str, name: str, summary: str, schema: Schema) -> Operation:
    answers = (Answer("All of them.", {JSON: schema}),)
    return Operation("GET", path, name, summary, answers, (401, 429, 500), parameters=(_KEY,), secured=False)


ELEVENLABS = Api(
    "Voxline: ElevenLabs' lists",
    "What ElevenLabs' clients read before they speak.",
    (
        _list("/v1/models", "models", "What speaks here", _MODELS),
        _list("/v1/voices", "voices", "The voices", _VOICES),
    ),
    {"type": "object", "required": ["detail"], "properties": {"detail": _DETAIL}},
    {status: _MEANINGS.get(status, "") for status in sorted({status for status, _ in ERRORS.values()})},
)
