"""Whose request it is: the table of CONTRACT X1-X7, prefixes and hosts."""

import json

import pytest

from protocol.route import UNREAD, Asked, choose, claimed, host_name, place, read_start
from server.dialects import claims

A, B, C, D, E, ELEVEN = "a", "b", "c", "d", "e", "elevenlabs"
JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
OURS = {"text": "hi", "model": "m", "voice": "v"}
CLAIMS = claims({"api.stt.ai": C, "tts.local": D})


def whose(path: str, body: object = UNREAD, /, **headers: str) -> str | None:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return choose(Asked(path, fields, body), CLAIMS)


@pytest.mark.parametrize(
    ("path", "content_type", "app_id", "body", "owner"),
    [
        ("/v1/tts", FORM, False, UNREAD, C),  # 1
        ("/v1/tts", "Multipart/Form-Data", True, UNREAD, C),
        ("/v1/tts/", "multipart/form-data", False, UNREAD, C),
        ("/v1/tts", JSON, True, OURS, E),  # 2: App-Id wins over D's keys
        ("/v1/tts/", JSON, True, {}, E),
        ("/v1/tts", JSON, False, {"voiceCode": "x"}, E),
        ("/v1/tts/", JSON, False, {"mode": "sync"}, E),
        ("/v1/tts", JSON, False, {"outputFormat": "mp3", **OURS}, E),
        ("/v1/tts", JSON, False, OURS, D),  # 3
        ("/v1/tts/", "", False, OURS, D),
        ("/v1/tts", JSON, False, {"text": "hi"}, E),  # 4
        ("/v1/tts/", JSON, False, {"text": "hi", "model": "m"}, D),
        ("/v1/tts", JSON, False, None, E),
        ("/v1/tts/", JSON, True, None, D),
        ("/v1/tts", "text/plain", False, [1], E),
        ("/v1/tts", JSON, True, UNREAD, E),  # whatever the body is, by 2 or by 4
        ("/v1/tts", JSON, False, UNREAD, None),  # the body tells
        ("/v1/tts/", JSON, False, UNREAD, None),
        ("/v1/tts/", JSON, True, UNREAD, None),
    ],
)
def test_the_call_is_shared_by_three(
    path: str, content_type: str, app_id: bool, body: object, owner: str | None
) -> None:
    """X1, X2."""
    more = {"app_id": ""} if app_id else {}
    assert whose(path, body, content_type=content_type, **more) == owner


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/v1/models", C),
        ("/v1/models/", D),
        ("/v1/voices", D),
        ("/v1/voices/", D),
        ("/api/v1/tts/design", A),
        ("/api/v1/tts/saved", A),
        ("/api/v1/tts", B),
        ("/api/v1/tts/5509d1e6-8906-4291-899b-c25643a624af", B),
        ("/api/v1/job/1", A),
        ("/api/v2/stt", A),
        ("/audio/tts_x.wav", A),
        ("/api/v1/account/", C),
        ("/api/v1/transcripts/5/chat/", C),
        ("/api/v1/accounts", A),
        ("/v1/transcribe", C),
        ("/v1/audio/enhance/", D),
        ("/v1/results/task_1", D),
        ("/v1/ttsx", C),
        ("/nowhere", C),
        ("/a", C),
        ("/", C),
        ("", C),
    ],
)
def test_a_path_alone(path: str, owner: str) -> None:
    """X3-X7."""
    assert whose(path) == claimed(path, CLAIMS) == owner


def test_a_header_tells_elevenlabs_clients() -> None:
    """X3, X4; with the slash it is D's path, whoever asks."""
    for path, other in (("/v1/models", C), ("/v1/voices", D)):
        assert (whose(path, xi_api_key="k"), whose(path)) == (ELEVEN, other)
        assert whose(f"{path}/", xi_api_key="k") == D


@pytest.mark.parametrize("owner", [A, B, C, D, E])
def test_a_prefix_is_not_sniffed_and_wins_over_the_host(owner: str) -> None:
    for body in (UNREAD, OURS, {"voiceCode": "x"}):
        for path in (f"/{owner}/v1/tts", f"/{owner}/v1/tts/", f"/{owner}/anything", f"/{owner}/"):
            assert whose(path, body, content_type=FORM, app_id="x", host="api.stt.ai", xi_api_key="k") == owner
            assert claimed(path, CLAIMS) == owner


def test_a_host_of_its_own_is_not_sniffed() -> None:
    for path in ("/v1/tts", "/v1/tts/", "/v1/models", "/v1/voices/", "/api/v1/tts", "/nowhere", "/"):
        assert whose(path, {"voiceCode": "x"}, host="API.stt.ai:8000", app_id="x", xi_api_key="k") == C
        assert whose(path, content_type=FORM, host="tts.local") == D
        assert whose(path, {}, host="elsewhere.example") == whose(path, {})
    for path in ("/healthz", "/readyz", "/metrics", "/audio/tts_x.wav"):
        assert whose(path, host="tts.local") == claimed(path, CLAIMS), "the same on every host"


@pytest.mark.parametrize(
    ("header", "name"),
    [("api.stt.ai", "api.stt.ai"), ("API.stt.ai.:80", "api.stt.ai"), ("[::1]:8000", "[::1]"), ("", ""), (":80", "")],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("path", "owner", "place_there"),
    [
        ("/v1/tts", C, "/c/v1/tts"),
        ("/v1/tts/", C, "/c/v1/tts"),
        ("/v1/tts", D, "/d/v1/tts/"),
        ("/d/v1/tts", D, "/d/v1/tts/"),
        ("/v1/tts/", E, "/e/v1/tts"),
        ("/v1/voices", D, "/d/v1/voices/"),
        ("/v1/voices", ELEVEN, "/elevenlabs/v1/voices"),
        ("/c/v1/transcribe", C, "/c/v1/transcribe"),
        ("/d/x", C, "/c/d/x"),
    ],
)
def test_where_a_dialects_routes_have_a_path(path: str, owner: str, place_there: str) -> None:
    assert place(path, owner) == place_there


def test_what_can_be_read_of_a_body() -> None:
    long = json.dumps({"model": "m", "nested": {"a": [1, {"b": 2}]}, "voice": "v", "text": "x" * 1000}).encode()
    assert read_start(long, whole=True) == json.loads(long)
    cut = read_start(long[:200], whole=False)
    assert isinstance(cut, dict) and list(cut) == ["model", "nested", "voice", "text"]
    assert whose("/v1/tts", cut) == D
    for body in (b"", b"{", b"nothing", b'{"a": NaN}', b"\xff\xfe", b"[" * 50_000):
        assert read_start(body, whole=True) is None
    for body in (b"", b" ", b"[1]", b"nothing", b"\xff"):
        assert read_start(body, whole=False) is None
    for body in (b"{", b"{}", b'{"a', b'{"a" 1', b"{1: 2", b'{"a": [' + b"[" * 50_000):
        assert read_start(body, whole=False) in (None, {}, {"a": None})
