"""The routes around the live streams, as seed C's OpenAPI document tells of them (the streams: docs/streaming.md)."""

from typing import Any

from accounts.tokens import MAX_SECONDS, MIN_SECONDS
from server.api.operations import JSON, Answer, Operation, Parameter

_TEXT = {"type": "string"}


def _rows(name: str, /, **fields: str) -> dict[str, Any]:
    """An object with a list of objects in it."""
    row = {"type": "object", "properties": {key: {"type": kind} for key, kind in fields.items()}}
    row["required"] = list(fields)
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": row}}}


def _reading(path: str, name: str, summary: str, schema: dict[str, Any], *parameters: Parameter) -> Operation:
    answers = (Answer("What there is.", {JSON: schema}),)
    return Operation("GET", path, name, summary, answers, (500,), parameters=parameters, secured=False)


def _filter(name: str) -> Parameter:
    return Parameter(name, "query", f"Only voices of this {name}.")


_TOKEN = {"type": "object", "required": ["token", "expires_in", "expires_at"]}
_TOKEN_FIELDS = {"token": _TEXT, "expires_in": {"type": "integer"}, "expires_at": {"type": "integer"}}
_LIFE = {"type": "integer", "minimum": MIN_SECONDS, "maximum": MAX_SECONDS, "description": "Seconds."}

OPERATIONS = (
    _reading("/health", "health", "Whether there is a GPU", {"type": "object", "required": ["status"]}),
    _reading(
        "/v1/models",
        "models",
        "What can recognise speech",
        _rows("models", id="string", name="string", languages="integer", speed="string"),
    ),
    _reading(
        "/v1/languages",
        "languages",
        "The languages that are recognised",
        _rows("languages", code="string", name="string"),
    ),
    _reading(
        "/v1/voices",
        "voices",
        "The voices",
        _rows("voices", id="string", name="string", model="string", language="string", gender="string"),
        *map(_filter, ("model", "language", "gender")),
    ),
    Operation(
        "POST",
        "/v1/tokens",
        "token",
        "A single-use token for a browser",
        (Answer("The token.", {JSON: {**_TOKEN, "properties": _TOKEN_FIELDS}}, status=201),),
        (400, 401, 413, 429, 500, 503),
        body={"type": "object", "properties": {"expires_in": _LIFE}},
    ),
)
