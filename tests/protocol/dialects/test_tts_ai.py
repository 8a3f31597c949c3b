"""Seed D's errors."""

import json

import pytest

from protocol.dialects import tts_ai
from protocol.errors import Code, VoiceError

DOCUMENTED = {
    "bad_request", "unauthorized", "insufficient_credits", "forbidden", "not_found", "file_too_large", "rate_limited",
    "internal_error", "model_loading",
}  # fmt: skip


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_place_in_the_documents_table(code: Code) -> None:
    reply = tts_ai.error_reply(VoiceError(code, "what went wrong"))
    error = json.loads(reply.body)["error"]
    assert error["code"] in DOCUMENTED and error["message"] == "what went wrong"
    assert 400 <= reply.status < 600
