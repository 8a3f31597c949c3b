"""Seed B's wire: its example to the character count, its limits, its envelope, its callback (B1-B14)."""

import json
import random
import unicodedata
from typing import Any

import pytest

from protocol.dialects.vbee_batch import ERRORS, accepted, callback_body, decode, described, error_reply
from protocol.errors import Code, VoiceError
from protocol.job_view import JobView, State
from protocol.work import Delivery, Line, Made, Outcome, Speaking, Style, VoiceNamed

TEXT = (
    "Chào mừng đén với website của chúng tôi! Đây là trang web cung cấp một giải pháp văn bản thành giọng nói, trên cơ "
    "sở, nó hỗ trợ các doanh nghiệp xây dựng các hệ thống trung tâm cuộc gọi tự động, hệ thống thông báo công khai, "
    "trợ lý ảo, tin tức âm thanh, podcast, sách âm thanh và tường thuật phim."
)
VOICE = "hn_female_ngochuyen_full_48k-fhg"
OTHER = "sg_male_minhhoang_full_48k-fhg"
APP = "55e0053d-f86f-4c2b-b791-b1ba6d59a868"
EXAMPLE: dict[str, Any] = {
    "app_id": APP,
    "callback_url": "https://mydomain/callback",
    "input_text": TEXT,
    "voice_code": VOICE,
    "audio_type": "mp3",
    "bitrate": 128,
    "speed_rate": "1.0",
}
LEAST = {name: EXAMPLE[name] for name in ("app_id", "callback_url", "input_text", "voice_code")}
SENTENCES = [{"input_text": "Xin chào", "voice_code": VOICE}, {"input_text": "Tạm biệt", "voice_code": OTHER}]
ID = "5509d1e6-8906-4291-899b-c25643a624af"
AT = 1_668_000_000.5


def complaint(**changes: Any) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        decode({name: value for name, value in {**LEAST, **changes}.items() if value is not ...})
    assert caught.value.code is Code.BAD_REQUEST
    return caught.value


def job(state: State = State.QUEUED, body: dict[str, Any] = EXAMPLE, **more: Any) -> JobView:
    request = decode(body)
    return JobView(ID, state, request.work(), AT, details=request.details(), **more)


def link(name: str) -> str:
    return f"https://voice.example/audio/{name}"


DONE = Outcome(engine="e", made=(Made(role="audio", name="tts_x.mp3", media_type="audio/mpeg", size=9),))


def test_the_documents_example() -> None:
    line = Line(text=TEXT, voice=VoiceNamed(code=VOICE))
    delivery = Delivery(format="mp3", bitrate=128)
    assert decode(EXAMPLE).work() == Speaking(lines=(line,), style=Style(speed=1.0), delivery=delivery)


def test_the_documents_text_has_297_characters() -> None:
    """B11, golden: code points of the composed text, however it was typed."""
    assert (len(TEXT), len(unicodedata.normalize("NFD", TEXT)), len(TEXT.encode())) == (297, 369, 378)
    for typed in (TEXT, unicodedata.normalize("NFD", TEXT)):
        assert decode({**EXAMPLE, "input_text": typed}).details()["characters"] == 297


def test_the_documents_reply() -> None:
    """Seed B's "200 OK", with the ``create_at`` that its table has and its sample leaves out (B10)."""
    assert accepted(job()) == {
        "status": 1,
        "error_code": None,
        "error_message": None,
        "result": {
            "app_id": APP,
            "audio_type": "mp3",
            "bitrate": 128,
            "characters": 297,
            "request_id": ID,
            "speed_rate": "1.0",
            "status": "IN_PROGRESS",
            "voice_code": VOICE,
            "create_at": "2022-11-09T13:20:00.500Z",
        },
    }


def test_both_spellings_of_the_callback() -> None:
    """B3: the table has callback_url, one sample callbackUrl."""
    spelt = {**LEAST, "callbackUrl": "https://mydomain/callback"}
    del spelt["callback_url"]
    assert decode(spelt).callback_url == decode(LEAST).callback_url == "https://mydomain/callback"


def test_defaults() -> None:
    """B6-B8: mp3, 128, 1.0; nothing, "" and null are the same."""
    blank: dict[str, Any] = {"audio_type": None, "bitrate": "", "speed_rate": None, "sentences": []}
    for request in (decode(LEAST), decode({**LEAST, **blank})):
        assert (request.audio_type, request.bitrate, request.speed_rate) == ("mp3", 128, "1.0")


@pytest.mark.parametrize("bitrate", [8, 16, 32, 64, 128, 160])
def test_bitrates(bitrate: int) -> None:
    """B7: text or number, by either name; 160 is valid here and not in E."""
    for given in (bitrate, float(bitrate), str(bitrate), f" {bitrate} "):
        assert decode({**LEAST, "bitrate": given}).bitrate == bitrate
        assert decode({**LEAST, "bit_rate": given}).work().delivery.bitrate == bitrate


def test_wav_has_no_bitrate() -> None:
    """B7: it is said again in the reply, and means nothing."""
    request = decode({**LEAST, "audio_type": "wav", "bitrate": 64})
    assert request.work().delivery == Delivery(format="wav") and request.details()["bitrate"] == 64


@pytest.mark.parametrize(
    ("given", "meant"),
    [("1.0", "1.0"), ("1", "1.0"), (1, "1.0"), (1.5, "1.5"), ("0.1", "0.1"), (1.9, "1.9"), ("1.50", "1.5")],
)
def test_speeds(given: object, meant: str) -> None:
    request = decode({**LEAST, "speed_rate": given})
    assert request.speed_rate == request.details()["speed_rate"] == meant
    assert request.work().style.speed == float(meant)


def test_sentences_have_voices_and_speeds_of_their_own() -> None:
    """B5."""
    body = {**LEAST, "sentences": [SENTENCES[0], {**SENTENCES[1], "speed_rate": "1.5"}], "speed_rate": 0.9}
    del body["input_text"], body["voice_code"]
    request = decode(body)
    assert request.work().lines == (
        Line(text="Xin chào", voice=VoiceNamed(code=VOICE)),
        Line(text="Tạm biệt", voice=VoiceNamed(code=OTHER), speed=1.5),
    )
    assert request.work().style.speed == 0.9
    assert request.details()["characters"] == 16
    assert request.details()["voice_code"] == f"{VOICE},{OTHER}"


def test_text_and_sentences_together_are_refused() -> None:
    """B5 leaves it open; an empty one is not given."""
    assert complaint(sentences=SENTENCES).facts["field"] == "sentences"
    assert decode({**LEAST, "input_text": "", "sentences": SENTENCES}).details()["characters"] == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"app_id": ...}, "app_id is required."),
        ({"app_id": 5}, "app_id must be text."),
        ({"callback_url": ...}, "callback_url is required."),
        ({"callback_url": "ftp://x"}, "callback_url must be an http or https address."),
        ({"callback_url": "https:///x"}, "callback_url must be an http or https address."),
        ({"callback_url": "https://x/ y"}, "callback_url must be an http or https address."),
        ({"input_text": ...}, "input_text is required when there are no sentences."),
        ({"voice_code": ...}, "voice_code is required when there are no sentences."),
        ({"input_text": "  "}, "input_text must be text that is not empty."),
        ({"input_text": "\ud83d"}, "input_text must be valid Unicode text."),
        ({"audio_type": "ogg"}, "audio_type must be one of mp3, wav."),
        ({"bitrate": 129}, "bitrate must be one of 8, 16, 32, 64, 128, 160."),
        ({"bitrate": True}, "bitrate must be one of 8, 16, 32, 64, 128, 160."),
        ({"bitrate": "9" * 100_000}, "bitrate must be one of 8, 16, 32, 64, 128, 160."),
        ({"bitrate": float("inf")}, "bitrate must be one of 8, 16, 32, 64, 128, 160."),
        ({"speed_rate": "0.0"}, "speed_rate must be a number from 0.1 to 1.9 with at most one digit after the point."),
        ({"speed_rate": "2.0"}, "speed_rate must be a number from 0.1 to 1.9 with at most one digit after the point."),
        ({"speed_rate": 1.25}, "speed_rate must be a number from 0.1 to 1.9 with at most one digit after the point."),
        ({"speed_rate": True}, "speed_rate must be a number from 0.1 to 1.9 with at most one digit after the point."),
        ({"speed_rate": "fast"}, "speed_rate must be a number from 0.1 to 1.9 with at most one digit after the point."),
        ({"input_text": ..., "sentences": "x"}, "sentences must be a list."),
        ({"input_text": ..., "sentences": SENTENCES * 501}, "sentences must be a list of at most 1000."),
        ({"input_text": ..., "sentences": [5]}, "sentences[0] must be an object."),
        ({"input_text": ..., "sentences": [{}]}, "sentences[0].input_text is required."),
        (
            {"input_text": ..., "sentences": [SENTENCES[0], {"input_text": "a"}]},
            "sentences[1].voice_code is required.",
        ),
    ],
)
def test_complaints_name_the_field(changes: dict[str, Any], message: str) -> None:
    assert complaint(**changes).message == message


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_that_is_no_object(body: object) -> None:
    with pytest.raises(VoiceError, match="must be a JSON object"):
        decode(body)


# -- replies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.QUEUED, State.PICKED, State.PROCESSING])
def test_on_its_way(state: State) -> None:
    """B13."""
    result = described(job(state, progress=40), link)["result"]
    assert (result["status"], result["progress"], result["audio_expired"]) == ("IN_PROGRESS", 40, False)
    assert "audio_link" not in result


def test_done() -> None:
    """B13's fields."""
    reply = described(job(State.COMPLETED, outcome=DONE), link)
    assert reply["status"] == 1 and reply["result"] == {
        "app_id": APP,
        "request_id": ID,
        "characters": 297,
        "voice_code": VOICE,
        "audio_type": "mp3",
        "speed_rate": "1.0",
        "bitrate": 128,
        "create_at": "2022-11-09T13:20:00.500Z",
        "progress": 100,
        "status": "SUCCESS",
        "audio_link": "https://voice.example/audio/tts_x.mp3",
        "audio_expired": False,
    }


def test_expired() -> None:
    result = described(job(State.COMPLETED, outcome=DONE, expired=True), link)["result"]
    assert result["audio_expired"] is True and "audio_link" not in result and result["status"] == "SUCCESS"


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_failed(state: State) -> None:
    result = described(job(state, error="It broke."), link)["result"]
    assert result["status"] == "FAILURE" and result["error_message"] == "It broke."


def test_the_callback() -> None:
    """B12: ``created_at`` here; numbers and strings as its table has them."""
    assert callback_body(job(State.COMPLETED, outcome=DONE), link) == {
        "app_id": APP,
        "request_id": ID,
        "characters": 297,
        "voice_code": VOICE,
        "audio_type": "mp3",
        "speed_rate": "1.0",
        "bitrate": 128,
        "created_at": "2022-11-09T13:20:00.500Z",
        "status": "SUCCESS",
        "audio_link": "https://voice.example/audio/tts_x.mp3",
    }
    failed = callback_body(job(State.FAILED), link)
    assert failed["status"] == "FAILURE" and failed["audio_link"] is None


@pytest.mark.parametrize("code", Code)
def test_every_error_has_a_status_and_the_envelope(code: Code) -> None:
    """B9, B14: 4xx with the envelope, or 200 where the setting says so."""
    error = VoiceError(code, "What happened.", retry_after=3)
    body = {"status": 0, "error_code": code.name, "error_message": "What happened.", "result": None}
    for reply, status in ((error_reply(error), ERRORS[code]), (error_reply(error, http_errors=False), 200)):
        assert reply.status == status and json.loads(reply.body) == body
        assert dict(reply.headers)[b"retry-after"] == b"3"
    assert ERRORS[code] >= 400


# -- anything ----------------------------------------------------------------------------------------

VALUES: list[Any] = [
    None, "", 0, -1, 1.5, True, [], {}, "x", "1.0", "128", "https://x", SENTENCES, [None], "\ud83d", "é" * 400, 1e308,
    [{"input_text": 1}], float("nan"), 10**400,
]  # fmt: skip


def mutated(count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        body = {**EXAMPLE, **{name: chance.choice(VALUES) for name in (*EXAMPLE, "sentences") if chance.random() < 0.3}}
        try:
            request = decode(body)
            json.dumps(accepted(job(body=body)))
            assert request.work().lines
        except VoiceError as error:
            assert error.code is Code.BAD_REQUEST, body


def test_no_body_does_worse_than_a_typed_error() -> None:
    """RELIABILITY F1."""
    mutated(2_000, seed=1)


@pytest.mark.nightly
def test_no_body_does_worse_than_a_typed_error_at_length() -> None:
    mutated(1_000_000, seed=2)
