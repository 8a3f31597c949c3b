"""The OpenAPI documents: valid, whole, and written from the models that check requests."""

from typing import Any

import pytest
from schemathesis import openapi

from protocol.dialects.studio.speech import DesignForm
from protocol.dialects.vbee_batch import BITRATES
from server.api.documents import APIS
from server.openapi import describe

Document = dict[str, Any]


@pytest.fixture(params=APIS)
def document(request: pytest.FixtureRequest) -> Document:
    return describe(APIS[request.param], version="1.2.3")


def references(part: object) -> list[str]:
    """Every ``$ref`` in a document."""
    if isinstance(part, dict):
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


def test_a_document_is_valid_and_names_nothing_that_is_missing(document: Document) -> None:
    schema = openapi.from_dict(document)
    schema.validate()
    assert schema.specification.version == "3.1.0"
    for reference in references(document):
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def test_names_of_operations_are_unique(document: Document) -> None:
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(names)) == len(names)


def test_every_operation_of_seed_a_is_there() -> None:
    """A9-A13, A24, A26."""
    paths = describe(APIS["a"], version="1")["paths"]
    assert {(method.upper(), path) for path, one in paths.items() for method in one} == {
        ("GET", "/api/v1/health"),
        ("GET", "/api/v1/options"),
        ("POST", "/api/v1/tts/design"),
        ("POST", "/api/v1/tts/clone"),
        ("POST", "/api/v1/tts/auto"),
        ("GET", "/api/v1/voices"),
        ("POST", "/api/v1/tts/saved"),
        ("POST", "/api/v1/tts/dialogue"),
        ("POST", "/api/v1/stt"),
        ("POST", "/api/v2/stt"),
        ("POST", "/api/v1/srt-to-voice"),
        ("POST", "/api/v1/audio-separate"),
        ("GET", "/api/v1/job/{job_id}"),
        ("POST", "/api/v1/job/{job_id}/cancel"),
        ("GET", "/audio/{filename}"),
    }


def test_a_form_is_described_by_its_model() -> None:
    """A7: both kinds of form without a file, multipart alone with one."""
    paths = describe(APIS["a"], version="1")["paths"]
    content = paths["/api/v1/tts/design"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/x-www-form-urlencoded"}
    schema = content["multipart/form-data"]["schema"]
    assert set(schema["properties"]) == set(DesignForm.model_fields)
    assert schema["required"] == ["text"]
    clone = paths["/api/v1/tts/clone"]["post"]["requestBody"]["content"]
    assert set(clone) == {"multipart/form-data"}
    schema = clone["multipart/form-data"]["schema"]
    assert schema["required"] == ["ref_audio", "text"] and schema["properties"]["ref_audio"]["format"] == "binary"


def test_answers_of_one_status_are_alternatives() -> None:
    """A19, A38, A39."""
    paths = describe(APIS["a"], version="1")["paths"]
    content = paths["/api/v1/stt"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "application/x-subrip", "text/vtt", "text/plain"}
    either = [one["$ref"].rpartition("/")[2] for one in content["application/json"]["schema"]["anyOf"]]
    assert either == ["Transcript", "Submitted"]


def test_seed_b_takes_numbers_as_text() -> None:
    """B7."""
    schemas = describe(APIS["b"], version="1")["components"]["schemas"]
    assert schemas["Request"]["properties"]["bitrate"]["enum"] == [*BITRATES, *map(str, BITRATES)]
    assert set(schemas["Request"]["required"]) == {"app_id", "callback_url"}


def test_where_to_wait_is_said(document: Document) -> None:
    for status in ("429", "503"):
        response = document["components"]["responses"].get(f"failure-{status}")
        assert response is None or "Retry-After" in response["headers"]
