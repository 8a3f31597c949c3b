"""Seed D's speech translation (D11) and voice chat (D18), with a language model behind an address, on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.ears import hear
from tests.api.language_model import LanguageModel, Messages, language_model
from tests.api.serving import Api, Person, serve

CHAT, TRANSLATE = "/v1/voice-chat/", "/v1/speech-translate/"


def answer(messages: Messages) -> str:
    """Translate everything alike; in a conversation, count the turns."""
    if "Translate" in messages[0]["content"]:
        return "Hola, ¿cómo estás?"
    return f"This is answer number {sum(one['role'] == 'user' for one in messages)}."


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    with language_model(answer) as running:
        yield running


@pytest.fixture(scope="module")
def talking(model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    data = tmp_path_factory.mktemp("talk")
    with serve(data, text_url=model.url, text_model="parrot", pocketsphinx="off") as api:
        api.people += [api.person(), api.person()]
        yield api


@pytest.fixture
def client(talking: Api) -> Iterator[httpx.Client]:
    with talking.client(talking.people[0]) as http:
        yield http


def said(reply: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = reply.json()
    assert reply.status_code == 200, body
    return body


def test_translation(client: httpx.Client, files: Path) -> None:
    """D11, D21: the document's fields; what was heard, what it means, and that spoken in the other language."""
    with (files / "recording.wav").open("rb") as recording:
        reply = client.post(TRANSLATE, files={"file": recording}, data={"target_language": "es"})
    body = said(reply)
    fields = {"original_text", "translated_text", "source_language", "target_language", "audio_url", "credits_used"}
    assert body.keys() == fields
    assert body["original_text"] and body["source_language"] == "en" and body["target_language"] == "es"
    assert body["translated_text"].startswith("Hola") and body["credits_used"] == 5
    assert reply.headers["x-credits-used"] == "5" and "parrot" in reply.headers["x-engine"]
    assert "/v1/results/translate_" in body["audio_url"] and body["audio_url"].endswith(".mp3")
    sound = hear(httpx.get(body["audio_url"]).content)
    assert sound.codec.startswith("mp3") and 0.8 < sound.seconds < 5 and sound.loudness > 0.02


def test_translation_by_somebody(client: httpx.Client, files: Path) -> None:
    """D11: a voice of another language gives way to its like, and the speaker's own voice is kept where it is asked."""
    sounds = []
    for more in ({"voice": "am_adam"}, {"preserve_voice": "true"}):
        with (files / "recording.wav").open("rb") as recording:
            body = said(client.post(TRANSLATE, files={"file": recording}, data={"target_language": "es", **more}))
        sounds.append(hear(httpx.get(body["audio_url"]).content).samples.tobytes())
    assert len(set(sounds)) == 2


def test_translation_refused(client: httpx.Client, files: Path) -> None:
    sent = {"file": ("a.wav", (files / "sample.wav").read_bytes())}

    def error(**fields: str) -> dict[str, Any]:
        reply = client.post(TRANSLATE, files=sent, data=fields)
        assert reply.status_code in (400, 404), reply.text
        told: dict[str, Any] = reply.json()["error"]
        return told

    assert error()["field"] == "target_language"
    assert error(target_language="not a code")["field"] == "target_language"
    assert error(target_language="tlh")["code"] == "bad_request"
    assert error(target_language="es", voice="nobody")["code"] == "not_found"


def test_silence_is_not_translated(client: httpx.Client, model: LanguageModel) -> None:
    """Nothing was said, so nothing is made up, and nothing is paid."""
    asked, silence = len(model.asked), b"RIFF" + (36 + 64000).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
        "1000000001000100803e0000007d00000200100064617461"
    ) + (64000).to_bytes(4, "little") + bytes(64000)
    reply = client.post(TRANSLATE, files={"file": ("a.wav", silence)}, data={"target_language": "es"})
    assert reply.status_code == 400 and reply.json()["error"]["field"] == "file", reply.text
    assert len(model.asked) == asked


def test_chat(talking: Api, client: httpx.Client, model: LanguageModel) -> None:
    """D18 in JSON, D21: a conversation is remembered, by its id, for the one who has it."""
    first = said(client.post(CHAT, json={"text": "What is the capital of France?", "system_prompt": "Be brief."}))
    assert first.keys() == {"conversation_id", "user_text", "ai_text", "audio_url", "credits_used"}
    assert first["conversation_id"].startswith("conv_") and first["credits_used"] == 3
    assert first["user_text"] == "What is the capital of France?" and first["ai_text"] == "This is answer number 1."
    assert "/v1/audio/tmp/resp_" in first["audio_url"]
    sound = hear(httpx.get(first["audio_url"]).content)
    assert 0.8 < sound.seconds < 5 and sound.loudness > 0.02
    assert model.asked[-1][0] == {"role": "system", "content": "Be brief."}

    going_on = {"text": "And of Spain?", "conversation_id": first["conversation_id"]}
    second = said(client.post(CHAT, json=going_on))
    assert (second["conversation_id"], second["ai_text"]) == (first["conversation_id"], "This is answer number 2.")
    turns = [(one["role"], one["content"]) for one in model.asked[-1][1:]]
    assert turns == [
        ("user", "What is the capital of France?"),
        ("assistant", "This is answer number 1."),
        ("user", "And of Spain?"),
    ]
    assert said(client.post(CHAT, json={"text": "Hello"}))["ai_text"] == "This is answer number 1."
    with talking.client(talking.people[1]) as other:
        reply = other.post(CHAT, json=going_on)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_chat_by_voice(client: httpx.Client, files: Path, model: LanguageModel) -> None:
    """D18 as a form with audio."""
    with (files / "recording.wav").open("rb") as recording:
        body = said(client.post(CHAT, files={"audio": recording}, data={"voice": "am_adam"}))
    assert body["user_text"] and model.asked[-1][-1] == {"role": "user", "content": body["user_text"]}
    form = said(client.post(CHAT, data={"text": "Hello", "conversation_id": body["conversation_id"]}))
    assert form["ai_text"] == "This is answer number 2."


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({}, 400, "text"),
        ({"text": " "}, 400, "text"),
        ({"text": "a", "voice": "nobody"}, 404, "voice"),
        ({"text": "a", "tts_model": "nothing"}, 404, "tts_model"),
        ({"text": "a", "conversation_id": "conv_1"}, 404, "conversation_id"),
        ({"text": "a", "conversation_id": "conv_" + "0" * 32}, 404, "conversation_id"),
        ({"text": "a" * 16_001}, 400, "text"),
        ({"text": "a", "system_prompt": "a" * 8_001}, 400, "system_prompt"),
    ],
)
def test_chat_refused(client: httpx.Client, asked: dict[str, Any], status: int, field: str) -> None:
    reply = client.post(CHAT, json=asked)
    assert (reply.status_code, reply.json()["error"].get("field")) == (status, field), reply.text


def test_without_a_language_model(api: Api, ann: Person, files: Path) -> None:
    """D22: told before anything is paid, with the command that adds one."""
    with api.client(ann) as client:
        sent = {"file": ("a.wav", (files / "sample.wav").read_bytes())}
        for reply in (
            client.post(CHAT, json={"text": "Hello"}),
            client.post(TRANSLATE, files=sent, data={"target_language": "es"}),
        ):
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (404, "not_found") and "pull" in error["install"]
