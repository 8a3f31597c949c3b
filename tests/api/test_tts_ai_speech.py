"""Seed D's speech on a running server (D2-D6, D19-D21): formats, speed, voices, prices, sound sent while it is made."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts import Accounts
from tests.api.ears import Heard, hear
from tests.api.serving import Api, Person

TTS = "/v1/tts/"
BODY = {"model": "kokoro", "text": "The quick brown fox jumps over the lazy dog.", "voice": "af_bella"}
FORMATS = {"mp3": ("audio/mpeg", "mp3"), "wav": ("audio/wav", "pcm_s16le"), "flac": ("audio/flac", "flac")}
FORMATS |= {"ogg": ("audio/ogg", "vorbis")}
LONG = "Every word of this sentence is spoken, one after the other, until there is nothing left to say. " * 12


@pytest.fixture
def client(api: Api, ann: Person) -> Iterator[httpx.Client]:
    with api.client(ann) as http:
        yield http


def speak(client: httpx.Client, path: str = TTS, **changes: Any) -> httpx.Response:
    reply = client.post(path, json={**BODY, **changes})
    assert reply.status_code == 200, reply.text
    return reply


def heard(client: httpx.Client, **changes: Any) -> Heard:
    return hear(speak(client, **changes).content)


@pytest.mark.parametrize("form", FORMATS)
def test_formats(client: httpx.Client, form: str) -> None:
    """D5, D6: of the type it says, as long as it says, the same speech whole and in pieces."""
    reply, streamed = speak(client, format=form), speak(client, format=form, stream=True)
    media, codec = FORMATS[form]
    assert reply.headers["content-type"] == media and int(reply.headers["content-length"]) == len(reply.content)
    assert streamed.headers["content-type"].startswith(media) and "content-length" not in streamed.headers
    sound, live = hear(reply.content), hear(streamed.content)
    assert sound.codec.startswith(codec) and live.codec.startswith("opus" if form == "ogg" else codec)
    assert sound.channels == live.channels == 1 and sound.rate >= 22_050 and live.rate >= 22_050
    assert 1.8 < sound.seconds < 5 and abs(sound.seconds - live.seconds) < 0.5
    assert sound.loudness > 0.02 and live.loudness > 0.02


def test_speed(client: httpx.Client) -> None:
    """D5."""
    usual = heard(client, format="wav").seconds
    assert 0.4 < heard(client, format="wav", speed=2.0).seconds / usual < 0.65
    assert 1.6 < heard(client, format="wav", speed=0.5, stream=True).seconds / usual < 2.4


def test_the_language_is_found_out_or_given(client: httpx.Client) -> None:
    """D5: a voice of another language gives way to the one most like it, and the reply names it."""
    assert speak(client).headers["x-voice"] == "af_bella"
    assert speak(client, text="Xin chào các bạn, hôm nay trời đẹp.").headers["x-voice"] == "vi-north-female-1"
    assert speak(client, text="Hola, buenos dias", voice="am_adam", language="es").headers["x-voice"] == "es-male-1"
    assert speak(client, text="Привет, как дела?", stream=True).headers["x-voice"] == "ru-female-1"


def test_prices(api: Api) -> None:
    """D4, D6: to the last unit, in every reply, whichever way it is sent."""
    text, left = "a b c d " * 25, 10.0  # 199 characters, as it is trimmed
    with api.client(api.person(credits=10)) as client:
        for model, price in {"piper": 1, "vits": 1, "melotts": 1, "kokoro": 2, "tortoise": 4}.items():
            reply = speak(client, model=model, text=text)
            left -= price * 0.199
            assert float(reply.headers["x-credits-used"]) == pytest.approx(price * 0.199)
            assert float(reply.headers["x-credits-remaining"]) == pytest.approx(left)
        reply = speak(client, text=text, stream=True)
        assert float(reply.headers["x-credits-used"]) == pytest.approx(0.398)
        assert float(reply.headers["x-credits-remaining"]) == pytest.approx(left - 0.398)


@pytest.mark.parametrize("model", ["cosyvoice2", "tortoise", "chatterbox"])
def test_every_model_of_the_document_speaks(client: httpx.Client, model: str) -> None:
    """By the engine that is here, which the reply names; its price is its tier's (D4)."""
    reply = speak(client, model=model, text="a" * 10)
    assert reply.headers["x-engine"] == "espeak-ng"
    assert float(reply.headers["x-credits-used"]) == {"cosyvoice2": 0.02}.get(model, 0.04)


def balance(api: Api, person: Person) -> tuple[int, int, int]:
    async def look(accounts: Accounts) -> tuple[int, int, int]:
        async with accounts.store.read() as connection:
            found = await accounts.ledger.balance(connection, person.user_id)
            return found.available, found.held, found.spent

    return api.within(look)


def test_a_stream_is_sent_while_it_is_made_and_paid_once(api: Api) -> None:
    """D5: the first sound leaves long before the last is made; what was used is booked, what was set aside is free."""
    person = api.person(credits=100)
    with (
        api.client(person) as client,
        client.stream("POST", TTS, json={**BODY, "text": LONG, "stream": True, "format": "wav"}) as reply,
    ):
        assert reply.status_code == 200 and reply.headers["transfer-encoding"] == "chunked"
        sizes = [len(piece) for piece in reply.iter_raw()]
    assert sizes[0] < sum(sizes) / 10, "the first sound waits for no other"
    characters = len(LONG.strip())
    for _ in range(400):  # a bill is settled some seconds after the last reply
        available, held, spent = balance(api, person)
        if not held:
            break
        time.sleep(0.05)
    assert (held, spent, available) == (0, characters * 20, 1_000_000 - characters * 20)


def test_who_leaves_a_stream_pays_nothing(api: Api) -> None:
    person = api.person(credits=100)
    asked = {**BODY, "text": LONG * 20, "stream": True, "format": "wav"}
    with api.client(person) as client, client.stream("POST", TTS, json=asked) as reply:
        next(reply.iter_raw())
    for _ in range(400):
        _, held, spent = balance(api, person)
        if not held:
            break
        time.sleep(0.05)
    assert (held, spent) == (0, 0)


def test_the_same_request_by_other_addresses(client: httpx.Client) -> None:
    """X1, X2: without the slash, under the prefix; no redirects."""
    for path in ("/v1/tts", "/d/v1/tts/", "/d/v1/tts"):
        assert speak(client, path).headers["content-type"] == "audio/mpeg"


def test_the_same_request_again(client: httpx.Client) -> None:
    """An Idempotency-Key is answered with the first one's file, and costs once."""
    key = {"Idempotency-Key": f"again-{time.time()}"}
    first, second = (client.post(TTS, json=BODY, headers=key) for _ in range(2))
    assert first.content == second.content and first.headers["x-task-id"] == second.headers["x-task-id"]


# -- what there is -------------------------------------------------------------------------------------


def test_models(client: httpx.Client) -> None:
    """D19: only what can be done here, at the price that is taken; ``languages`` is a list."""
    rows = {row["id"]: row for row in client.get("/v1/models/").json()["models"]}
    fields = {"id", "name", "type", "tier", "languages", "supports_cloning", "supports_streaming"}
    for row in rows.values():
        assert fields <= row.keys() and row["tier"] in ("free", "standard", "premium") and row["engine"]
        assert ("credits_per_1k_chars" in row) == (row["type"] == "tts")
    kokoro, chatterbox = rows["kokoro"], rows["chatterbox"]
    assert (kokoro["name"], kokoro["type"], kokoro["tier"]) == ("Kokoro", "tts", "standard")
    assert (kokoro["credits_per_1k_chars"], chatterbox["credits_per_1k_chars"]) == (2, 4)
    assert {"en", "ja", "ko", "zh", "fr", "vi"} <= set(kokoro["languages"])
    assert (kokoro["supports_cloning"], chatterbox["supports_cloning"]) == (False, True)
    assert kokoro["supports_streaming"] and rows["whisper"]["type"] == "stt"
    assert rows["demucs"]["credits_per_minute"] == 4 and rows["openvoice"]["engine"] == "revoice"


def test_voices(client: httpx.Client) -> None:
    """D20: all of them, and by model, language and gender."""

    def listed(**query: str) -> list[dict[str, Any]]:
        body = client.get("/v1/voices/", params=query).json()
        assert body.keys() == {"voices", "total"} and body["total"] == len(body["voices"])
        rows: list[dict[str, Any]] = body["voices"]
        return rows

    every = listed()
    assert len({row["id"] for row in every}) == len(every) > 142
    bella = next(row for row in every if row["id"] == "af_bella")
    preview = bella.pop("preview_url")
    assert bella == {
        "id": "af_bella", "name": "Bella", "model": "kokoro", "language": "en", "gender": "female",
        "engine": "espeak-ng",
    }  # fmt: skip
    assert preview.startswith("http://") and preview.endswith("/v1/voices/preview/af_bella.mp3")
    assert {row["id"][:2] for row in listed(model="kokoro", language="en", gender="male")} == {"am", "bm"}
    assert {row["language"] for row in listed(language="vi")} == {"vi"} and listed(gender="neutral") == []
    assert len(listed(model="piper")) == len(every), "a tier speaks with every voice"
    assert listed(model="nothing") == []
    assert client.get("/v1/voices/", params={"gender": "robot"}).json()["error"]["field"] == "gender"
    unslashed = client.get("/v1/voices", params={"model": "kokoro"}).json()  # X4
    assert unslashed["total"] == 54 and {row["preview_url"] for row in unslashed["voices"]} == {
        row["preview_url"] for row in listed(model="kokoro")
    }


def test_previews(api: Api, client: httpx.Client) -> None:
    """D21: each voice really speaks, to whoever wants to choose one, and is made once."""
    rows = client.get("/v1/voices/", params={"model": "kokoro"}).json()["voices"]
    with api.client() as nobody:
        sounds = {}
        for row in (next(one for one in rows if one["id"] == code) for code in ("af_bella", "am_adam", "jf_alpha")):
            reply = nobody.get(row["preview_url"])
            assert reply.headers["content-type"] == "audio/mpeg" and reply.headers["x-engine"] == row["engine"]
            sound = hear(reply.content)
            assert 0.8 < sound.seconds < 8 and sound.loudness > 0.02
            assert nobody.get(row["preview_url"]).content == reply.content
            sounds[row["id"]] = reply.content
    assert len(set(sounds.values())) == 3


def test_a_clone_is_nobody_else(client: httpx.Client, files: Path) -> None:
    """D9: in the format asked for; what it costs is for a clone, whatever the model."""
    text = {"text": "This speech uses a cloned voice.", "format": "wav", "model": "cosyvoice2"}
    with (files / "recording.wav").open("rb") as recording:
        reply = client.post("/v1/tts/clone/", data=text, files={"reference_audio": recording})
    assert reply.status_code == 200, reply.text
    assert float(reply.headers["x-credits-used"]) == 4 * len(text["text"]) / 1000 and reply.headers["x-engine"]
    sound = hear(reply.content)
    assert sound.codec == "pcm_s16le" and 1 < sound.seconds < 6 and sound.loudness > 0.02
    silence = {"reference_audio": ("a.wav", _silence())}
    refused = client.post("/v1/tts/clone/", data=text, files=silence)
    assert refused.status_code == 400 and refused.json()["error"]["field"] == "reference_audio"
    assert "reference_audio" in refused.json()["error"]["message"]


def _silence() -> bytes:
    shape = bytes.fromhex("1000000001000100803e0000007d000002001000")
    size, whole = (64_000).to_bytes(4, "little"), (64_036).to_bytes(4, "little")
    return b"RIFF" + whole + b"WAVEfmt " + shape + b"data" + size + bytes(64_000)
