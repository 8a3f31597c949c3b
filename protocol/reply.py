"""An HTTP answer as a value, as a dialect makes it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.errors import Code, VoiceError
from protocol.fields import to_json


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: status, body and further headers."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: str = "application/json"


def error_reply(error: VoiceError, status: int, body: Mapping[str, object]) -> Reply:
    """A failure in a dialect's own envelope, with the headers HTTP has for it."""
    headers: list[tuple[bytes, bytes]] = []
    retry = error.facts.get("retry_after")
    if isinstance(retry, int | float):
        headers.append((b"retry-after", str(max(1, math.ceil(retry))).encode()))
    if error.code is Code.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    return Reply(status, to_json(body).encode(), tuple(headers))
