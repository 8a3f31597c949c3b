"""The wire of seed D (tts-ai): so far its errors, for requests that turn out to be its own (X1, X2)."""

from protocol.errors import Code, VoiceError
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to

_BAD_REQUEST = (400, "bad_request")
_RATE_LIMITED = (429, "rate_limited")
_INTERNAL = (500, "internal_error")
_LOADING = (503, "model_loading")

# D22: nine codes; everything that can happen is one of them.
ERRORS: dict[Code, tuple[int, str]] = {
    Code.BAD_REQUEST: _BAD_REQUEST,
    Code.TEXT_TOO_LONG: _BAD_REQUEST,
    Code.OUT_OF_ORDER: _BAD_REQUEST,
    Code.UNAUTHORIZED: (401, "unauthorized"),
    Code.FORBIDDEN: (403, "forbidden"),
    Code.INSUFFICIENT_CREDITS: (402, "insufficient_credits"),
    Code.NOT_FOUND: (404, "not_found"),
    Code.METHOD_NOT_ALLOWED: (405, "bad_request"),
    Code.CONFLICT: (409, "bad_request"),
    Code.GONE: (410, "not_found"),
    Code.TOO_LARGE: (413, "file_too_large"),
    Code.UNSUPPORTED_MEDIA: _BAD_REQUEST,
    Code.RATE_LIMITED: _RATE_LIMITED,
    Code.TOO_MANY_SESSIONS: _RATE_LIMITED,
    Code.BUSY: (503, "internal_error"),
    Code.NOT_INSTALLED: (404, "not_found"),  # D22: "model or voice"
    Code.MODEL_LOADING: _LOADING,
    Code.ENGINE_FAILED: _INTERNAL,
    Code.ENGINE_RESTARTED: _LOADING,
    Code.TIMEOUT: (408, "bad_request"),
    Code.SESSION_TOO_LONG: _BAD_REQUEST,
    Code.TOO_FAST: _RATE_LIMITED,
    Code.SLOW_READER: (408, "bad_request"),
    Code.SHUTTING_DOWN: (503, "internal_error"),
    Code.STORAGE_FULL: (503, "internal_error"),
    Code.INTERNAL: _INTERNAL,
}


def error_reply(error: VoiceError) -> Reply:
    """D22: ``{"error": {"code", "message"}}``."""
    status, code = ERRORS[error.code]
    return reply_to(error, status, {"error": {"code": code, "message": error.message}})
