"""One operation of an HTTP API, as its OpenAPI document tells of it; its models are those that check requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

JSON = "application/json"
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A way an operation succeeds: ``content`` by media type, a model or a schema; ``headers`` with their meaning."""

    description: str
    content: Mapping[str, type[BaseModel] | Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path, of the query, or a header."""

    name: str
    place: str  # path, query or header
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """``failures`` are the statuses it may fail with; ``form`` or ``body``, or either, is the model of what is sent."""

    method: str
    path: str
    name: str
    summary: str
    answers: tuple[Answer, ...]
    failures: tuple[int, ...]
    form: type[BaseModel] | None = None
    files: Mapping[str, str] = field(default_factory=dict)  # the form's fields that are files, and what they hold
    optional: tuple[str, ...] = ()  # files that may be left out
    body: type[BaseModel] | Schema | None = None
    parameters: tuple[Parameter, ...] = ()
    secured: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class Api:
    """All operations of a dialect, and how its failures look: a media type, a model, the meaning of each status."""

    title: str
    description: str
    operations: tuple[Operation, ...]
    failure: type[BaseModel] | Schema
    meanings: Mapping[int, str]


def query(model: type[BaseModel]) -> tuple[Parameter, ...]:
    """The parameters of a query, of the model that checks it; null is left out, since a query has none."""
    found = []
    for name, schema in model.model_json_schema()["properties"].items():
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        plain = {key: value for key, value in (schema | (kinds[0] if kinds else {})).items() if key not in _OF_FIELDS}
        found.append(Parameter(name, "query", schema.get("description", name), plain))
    return tuple(found)


_OF_FIELDS = ("anyOf", "default", "description", "title")

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same key with the same request, sent again within a day, is answered with the first one's job.",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
)
