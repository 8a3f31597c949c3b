"""An error as an HTTP answer."""

import json

from protocol.errors import Code, VoiceError
from protocol.reply import error_reply


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    reply = error_reply(VoiceError(Code.BUSY, "full", retry_after=0.2), 503, {"error": "full"})
    assert reply.headers == ((b"retry-after", b"1"),) and reply.status == 503
    assert json.loads(reply.body) == {"error": "full"} and reply.content_type == "application/json"
    assert error_reply(VoiceError(Code.BUSY, "full", retry_after="soon"), 503, {}).headers == ()


def test_unauthorized_says_how_to_authenticate() -> None:
    assert error_reply(VoiceError(Code.UNAUTHORIZED, "no"), 401, {}).headers == ((b"www-authenticate", b"Bearer"),)
