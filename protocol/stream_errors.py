"""How a failure looks on a live stream, in or out: the message, the close code, a refused handshake's status.

Every abnormal end is told by ``{"error", "code", "fatal"}`` before the close frame.
"""

from protocol.errors import Code, VoiceError
from protocol.events import Failed
from protocol.fields import to_json

SHOWN_FACTS = ("field", "allowed", "install", "retry_after")  # what else a client may learn of an error

# Code: HTTP status (C20) of a refused handshake, and WebSocket close code (RFC 6455, 7.4.1, and the IANA registry).
ERRORS: dict[Code, tuple[int, int]] = {
    Code.BAD_REQUEST: (400, 1008),
    Code.TEXT_TOO_LONG: (400, 1008),
    Code.OUT_OF_ORDER: (400, 1008),
    Code.UNAUTHORIZED: (401, 1008),
    Code.FORBIDDEN: (403, 1008),
    Code.INSUFFICIENT_CREDITS: (402, 1008),
    Code.NOT_FOUND: (404, 1008),
    Code.METHOD_NOT_ALLOWED: (405, 1008),
    Code.CONFLICT: (409, 1008),
    Code.GONE: (410, 1008),
    Code.TOO_LARGE: (413, 1009),
    Code.UNSUPPORTED_MEDIA: (400, 1003),
    Code.RATE_LIMITED: (429, 1008),
    Code.TOO_MANY_SESSIONS: (429, 1008),
    Code.BUSY: (503, 1013),
    Code.NOT_INSTALLED: (503, 1008),
    Code.MODEL_LOADING: (503, 1013),
    Code.ENGINE_FAILED: (500, 1011),
    Code.ENGINE_RESTARTED: (503, 1011),
    Code.TIMEOUT: (408, 1008),
    Code.SESSION_TOO_LONG: (400, 1008),
    Code.TOO_FAST: (429, 1008),
    Code.SLOW_READER: (408, 1008),
    Code.SHUTTING_DOWN: (503, 1012),
    Code.STORAGE_FULL: (503, 1013),
    Code.INTERNAL: (500, 1011),
}


def close_code(error: VoiceError) -> int:
    """The WebSocket close code that follows an error."""
    return ERRORS[error.code][1]


def encode_failure(event: Failed) -> str:
    """The message that tells a client what went wrong."""
    facts = {name: event.error.facts[name] for name in SHOWN_FACTS if name in event.error.facts}
    return to_json({"error": event.error.message, "code": event.error.code.value, "fatal": event.fatal} | facts)
