"""Seeds A and B asked by their own OpenAPI documents (RELIABILITY F4): no 5xx, no reply that is not documented."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.api.documents import APIS
from server.openapi import describe
from tests.api.serving import PATIENCE_S, Api, Person

COMMIT, NIGHT = 12, 700  # examples of an operation; 700 make 10,000 of seed A
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def real(person: Person, files: Path) -> dict[str, Any]:
    """Values of fields that work."""
    sound = (files / "sample.wav").read_bytes()
    return {
        "language": "english",
        "voice_id": person.voices[0],
        "char_voice_map": f'{{"MC": {person.voices[0]}, "Guest": {person.voices[1]}}}',
        "ref_audio": sound,
        "audio_file": sound,
        "srt_file": (files / "subtitles.srt").read_bytes(),
        "voice_code": "hn_female_ngochuyen_full_48k-fhg",
        "callback_url": "http://127.0.0.1:9999/callback",
    }


def schema_of(name: str) -> schemathesis.BaseSchema:
    """The document, asked under the prefix that is this API's alone."""
    return schemathesis.openapi.from_dict(describe(APIS[name], version="1", server=f"/{name}"))


A, B = schema_of("a"), schema_of("b")


def examples(count: int) -> Callable[[Any], Any]:
    """So many, without the file of old ones: what fails becomes a test by name."""
    slow = list(HealthCheck)
    return settings(max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=slow)


@pytest.fixture(scope="module")
def tester(api: Api) -> Person:
    """Somebody who may ask without limit."""
    return api.person("owner")


def ask(case: "Case[Any]", api: Api, person: Person, files: Path) -> None:
    """Every other request gets what no generator can guess: names, ids and files that are really there."""
    chance = zlib.crc32(repr(case.body).encode())
    if chance % 8:  # the generator knows few keys, and nearly all would be those of other requests
        case.headers.pop("Idempotency-Key", None)
    if isinstance(case.body, dict) and chance % 2:
        known = real(person, files)
        case.body = {name: known.get(name, value) for name, value in case.body.items()}
        if "char_voice_map" in case.body:
            case.body["text"] = "#MC\nHello.\n#Guest\nGood morning."
        if "callback_url" in case.body:
            case.body = {**case.body, "input_text": "Xin chào", "voice_code": known["voice_code"]}
            case.body.pop("sentences", None)
    prefix = api.base + str(case.operation.schema.raw_schema["servers"][0]["url"])
    case.call_and_validate(base_url=prefix, headers=person.bearer, checks=CHECKS, timeout=PATIENCE_S)


@A.parametrize()
@examples(COMMIT)
def test_seed_a(case: "Case[Any]", api: Api, tester: Person, files: Path) -> None:
    ask(case, api, tester, files)


@B.parametrize()
@examples(COMMIT)
def test_seed_b(case: "Case[Any]", api: Api, tester: Person, files: Path) -> None:
    ask(case, api, tester, files)


@pytest.mark.nightly
@A.parametrize()
@examples(NIGHT)
def test_seed_a_at_length(case: "Case[Any]", api: Api, tester: Person, files: Path) -> None:
    ask(case, api, tester, files)


@pytest.mark.nightly
@B.parametrize()
@examples(10 * NIGHT)
def test_seed_b_at_length(case: "Case[Any]", api: Api, tester: Person, files: Path) -> None:
    ask(case, api, tester, files)
