"""What ElevenLabs' clients are shown (X3, X4), by a real server: the fields of its public reference, no more."""

import httpx
import pytest

from tests.api.serving import Api, Person

MODEL = {
    "model_id", "name", "can_be_finetuned", "can_do_text_to_speech", "can_do_voice_conversion", "can_use_style",
    "can_use_speaker_boost", "serves_pro_voices", "token_cost_factor", "description", "requires_alpha_access",
    "max_characters_request_free_user", "max_characters_request_subscribed_user", "maximum_text_length_per_request",
    "languages", "model_rates", "concurrency_group",
}  # fmt: skip


def ask(api: Api, path: str, key: str) -> httpx.Response:
    return httpx.get(api.base + path, headers={"xi-api-key": key})


@pytest.mark.parametrize("path", ["/v1/models", "/elevenlabs/v1/models"])
def test_models(api: Api, ann: Person, path: str) -> None:
    """X3: a bare array."""
    models = ask(api, path, ann.key).json()
    assert {model["model_id"] for model in models} >= {"espeak-ng"}
    for model in models:
        assert model.keys() == MODEL and model["can_do_text_to_speech"]
        assert {"language_id", "name"} == set(model["languages"][0])


@pytest.mark.parametrize("path", ["/v1/voices", "/elevenlabs/v1/voices"])
def test_voices(api: Api, ann: Person, path: str) -> None:
    """X4: ``{"voices": [...]}``, the same voices that D's list has."""
    voices = ask(api, path, ann.key).json()["voices"]
    ids = [voice["voice_id"] for voice in voices]
    assert "hn_female_ngochuyen_full_48k-fhg" in ids and len(set(ids)) == len(ids)
    assert all(voice["labels"]["gender"] in ("male", "female") for voice in voices)
    assert httpx.get(voices[0]["preview_url"], timeout=60).headers["content-type"] == "audio/mpeg"


def test_a_key_is_required(api: Api) -> None:
    for path in ("/v1/models", "/v1/voices"):
        answer = ask(api, path, "xi-nonsense")
        assert answer.status_code == 401 and answer.json()["detail"]["status"] == "invalid_api_key"
