"""Whose request a shared path's is: the table of CONTRACT X1 and X2."""

import pytest

from protocol.route import Owner, choose

C, D, E = Owner.STT_AI, Owner.TTS_AI, Owner.VBEE_REALTIME
JSON = "application/json"
OURS = {"text": "hi", "model": "m", "voice": "v"}


@pytest.mark.parametrize(
    ("path", "content_type", "app_id", "body", "owner"),
    [
        ("/v1/tts", "multipart/form-data; boundary=x", False, None, C),  # 1
        ("/v1/tts", "Multipart/Form-Data", True, None, C),
        ("/v1/tts/", "multipart/form-data", False, None, C),
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
    ],
)
def test_choose(path: str, content_type: str, app_id: bool, body: object, owner: Owner) -> None:
    assert choose(path, content_type, app_id=app_id, body=body) is owner
