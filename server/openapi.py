"""OpenAPI 3.1 documents of the HTTP APIs, written from the models that check their requests (``server.api``)."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.api.operations import JSON, Answer, Api, Operation, Parameter, Schema

OPENAPI = "3.1.0"
_REFERENCE = "#/components/schemas/{model}"
_MULTIPART, _URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
_RETRY = {"Retry-After": "Seconds after which to try again."}
Document = dict[str, Any]


def describe(api: Api, *, version: str, server: str = "/") -> Document:
    """The document of an API as it is reached at ``server``."""
    components = _Components(api)
    paths: dict[str, Document] = {}
    for operation in api.operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, api, components)
    schemes = {"key": {"type": "http", "scheme": "bearer", "description": "An API key, or an app's token."}}
    return {
        "openapi": OPENAPI,
        "info": {"title": api.title, "version": version, "description": api.description},
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "securitySchemes": schemes,
            "responses": {
                f"failure-{status}": _failure(status, meaning, components) for status, meaning in api.meanings.items()
            },
        },
    }


class _Components:
    """The schemas of all models of an API, by name, and references to them."""

    def __init__(self, api: Api) -> None:
        inputs = [_as_model(operation.body) for operation in api.operations]
        outputs = [
            _as_model(content)
            for one in api.operations
            for answer in one.answers
            for content in answer.content.values()
        ]
        self.failure = api.failure
        asked: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = []
        asked += [(model, "validation") for model in dict.fromkeys(filter(None, inputs))]
        asked += [(model, "serialization") for model in dict.fromkeys(filter(None, [*outputs, _as_model(api.failure)]))]
        self._references, definitions = models_json_schema(asked, ref_template=_REFERENCE)
        self.schemas: Document = definitions.get("$defs", {})

    def of(self, content: type[BaseModel] | Schema, mode: Literal["validation", "serialization"]) -> Schema:
        """A reference to a model's schema, or the schema that was given."""
        model = _as_model(content)
        return self._references[model, mode] if model else content  # type: ignore[return-value]


def _operation(operation: Operation, api: Api, components: _Components) -> Document:
    told: Document = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            **_answers(operation.answers, components),
            **{str(status): {"$ref": f"#/components/responses/failure-{status}"} for status in operation.failures},
        },
        "security": [{"key": []}] if operation.secured else [],
    }
    if operation.description:
        told["description"] = operation.description
    if operation.parameters:
        told["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    content = {} if operation.form is None else _form(operation, operation.form, components)
    if operation.body is not None:
        content[JSON] = {"schema": components.of(operation.body, "validation")}
    if content:
        told["requestBody"] = {"required": True, "content": content}
    return told


def _answers(answers: Iterable[Answer], components: _Components) -> Document:
    """By status; answers of one status are alternatives of media type or, within one, of shape."""
    told: Document = {}
    for answer in answers:
        response = told.setdefault(str(answer.status), {"description": answer.description})
        if answer.headers:
            response.setdefault("headers", {}).update(_headers(answer.headers))
        for media_type, content in answer.content.items():
            schema, present = components.of(content, "serialization"), response.setdefault("content", {})
            if media_type in present:
                before = present[media_type]["schema"]
                schema = {"anyOf": [*before.get("anyOf", [before]), schema]}
            present[media_type] = {"schema": schema}
    return told


def _form(operation: Operation, model: type[BaseModel], components: _Components) -> Document:
    """A form's content types (A7); one with files can be multipart only."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    components.schemas.update(schema.pop("$defs", {}))
    for name, description in operation.files.items():
        binary = {"type": "string", "format": "binary", "description": description}
        schema = schema | {"properties": {name: binary, **schema.get("properties", {})}}
        if name not in operation.optional:
            schema["required"] = [name, *schema.get("required", ())]
    return {kind: {"schema": schema} for kind in ((_MULTIPART,) if operation.files else (_MULTIPART, _URLENCODED))}


def _parameter(parameter: Parameter) -> Document:
    told = {"name": parameter.name, "in": parameter.place, "description": parameter.description}
    return {**told, "required": parameter.required or parameter.place == "path", "schema": parameter.schema}


def _failure(status: int, meaning: str, components: _Components) -> Document:
    schema = components.of(components.failure, "serialization")
    told: Document = {"description": meaning, "content": {JSON: {"schema": schema}}}
    if status in (429, 503):
        told["headers"] = _headers(_RETRY)
    return told


def _headers(headers: Mapping[str, str]) -> Document:
    return {name: {"description": what, "schema": {"type": "string"}} for name, what in headers.items()}


def _as_model(content: object) -> type[BaseModel] | None:
    return content if isinstance(content, type) and issubclass(content, BaseModel) else None
