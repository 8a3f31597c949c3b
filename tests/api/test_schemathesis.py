"""Every API asked by its own OpenAPI document (RELIABILITY F4): no 5xx, no reply that is not documented."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.api.documents import APIS
from server.openapi import describe
from tests.api.serving import PATIENCE_S, Api, Person

# To look at every field's boundaries takes a while before the first request: a commit's tests are not made for it.
AT_NIGHT = settings.get_current_profile_name() == "nightly"
EXAMPLES = 700 if AT_NIGHT else 10  # of an operation; 700 make 10,000 of seed A
pytestmark = [pytest.mark.nightly] if AT_NIGHT else []


def no_server_error(_context: Any, response: Any, _case: Any) -> None:
    """No 5xx, but for what says which command adds the engine that is missing (C23)."""
    told = response.status_code == 503 and "To add it: " in response.text
    assert response.status_code < 500 or told, response.text


CHECKS: list[Any] = [
    no_server_error,
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
        "webhook_url": "http://127.0.0.1:9999/event",
        "file": sound,
        "reference": sound,
        "reference_audio": sound,
        "voice": "af_bella",
        "target_voice": "af_bella",
        "tts_model": "kokoro",
        "target": "fr",
        "source": "en",
        "target_language": "es",
        "speakers": 0,
    }


# Models that an operation takes, by what its path ends with.
MODELS = {
    "/transcribe": "small",
    "/v1/tts/": "kokoro",
    "/clone/": "chatterbox",
    "/stt/": "whisper",
    "/voice-convert/": "openvoice",
    "/speech-to-speech/": "openvoice",
    "/separate/": "demucs",
}


def schema_of(name: str) -> schemathesis.BaseSchema:
    """The document, asked under the prefix that is this API's alone; at night every field's boundaries too."""
    config = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": AT_NIGHT}}})
    return schemathesis.openapi.from_dict(describe(APIS[name], version="1", server=f"/{name}"), config=config)


A, B, C, D = (schema_of(name) for name in "abcd")


def examples(count: int) -> Callable[[Any], Any]:
    """So many, without the file of old ones: what fails becomes a test by name."""
    slow = list(HealthCheck)
    return settings(max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=slow)


@dataclass(slots=True)
class Asker:
    """Somebody who may ask without limit, and remembers what there is to ask for."""

    person: Person
    known: dict[str, str] = field(default_factory=dict)  # path parameters that lead somewhere

    def learn(self, told: object) -> None:
        """Find ids and file names in a reply."""
        if isinstance(told, dict):
            self.learn(told.get("result"))
            self.known |= {name: told[name] for name in ("job_id", "request_id") if told.get(name)}
            if url := told.get("audio_url") or told.get("result_url"):
                self.known["filename"] = self.known["name"] = url.rpartition("/")[2]
            if "segments" in told and "id" in told:
                self.known["id"] = told["id"]
            for row in told.get("results") or ():
                self.known["id"] = row["id"]


@pytest.fixture(scope="module")
def asker(api: Api) -> Asker:
    """The one for all requests."""
    return Asker(api.person("owner"))


def ask(case: "Case[Any]", api: Api, asker: Asker, files: Path) -> None:
    """Every other request gets what no generator can guess: names, ids and files that are really there."""
    chance = zlib.crc32(repr((case.body, case.path_parameters)).encode())
    if chance % 2:
        case.path_parameters = {name: asker.known.get(name, value) for name, value in case.path_parameters.items()}
    if chance % 8:  # the generator knows few keys, and nearly all would be those of other requests
        case.headers.pop("Idempotency-Key", None)
    if "/keys/{id}" in case.operation.path:
        case.path_parameters = {"id": 10**9 + chance % 2}  # nobody's: to delete one's own would end all this
    odds = 4 if case.operation.schema.raw_schema["servers"][0]["url"] in ("/c", "/d") else 2  # theirs are much work
    if isinstance(case.body, dict) and not chance // 2 % odds:
        known = real(asker.person, files)
        if case.media_type == "application/json":  # where there are no files
            known = {name: value for name, value in known.items() if not isinstance(value, bytes)}
        known["model"] = next((model for end, model in MODELS.items() if case.operation.path.endswith(end)), "auto")
        case.body = {name: known.get(name, value) for name, value in case.body.items()}
        if case.operation.path == "/v1/transcribe":
            case.body["diarize"] = "false"  # the engine that does is tried elsewhere, and takes long to start
        if "char_voice_map" in case.body:
            case.body["text"] = "#MC\nHello.\n#Guest\nGood morning."
        if "callback_url" in case.body:
            case.body = {**case.body, "input_text": "Xin chào", "voice_code": known["voice_code"]}
            case.body.pop("sentences", None)
    prefix = api.base + str(case.operation.schema.raw_schema["servers"][0]["url"])
    reply = case.call_and_validate(base_url=prefix, headers=asker.person.bearer, checks=CHECKS, timeout=PATIENCE_S)
    if "json" in reply.headers.get("content-type", [""])[0]:
        asker.learn(reply.json())


@A.parametrize()
@examples(EXAMPLES)
def test_seed_a(case: "Case[Any]", api: Api, asker: Asker, files: Path) -> None:
    ask(case, api, asker, files)


@B.parametrize()
@examples(10 * EXAMPLES if AT_NIGHT else EXAMPLES)  # it has few operations
def test_seed_b(case: "Case[Any]", api: Api, asker: Asker, files: Path) -> None:
    ask(case, api, asker, files)


@C.parametrize()
@examples(EXAMPLES)
def test_seed_c(case: "Case[Any]", api: Api, asker: Asker, files: Path) -> None:
    ask(case, api, asker, files)


@D.parametrize()
@examples(EXAMPLES)
def test_seed_d(case: "Case[Any]", api: Api, asker: Asker, files: Path) -> None:
    ask(case, api, asker, files)
