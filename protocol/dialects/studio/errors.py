"""How seed A's API fails: its statuses (A6) and a body of ``{"detail": "..."}`` with machine-readable fields beside it.

The document names 400, 401, 402, 409, 429 and 500. What is no fault of the client's and passes is 503 here, with
``Retry-After``; a path or job that is not there 404; a file whose time is over 410.
"""

from protocol.errors import Code, VoiceError
from protocol.pricing import format_credits
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to

# Of an error's facts, what a client may learn.
SHOWN = ("field", "allowed", "maximum", "required", "available", "install", "retry_after", "job_id")

ERRORS: dict[Code, int] = {
    Code.BAD_REQUEST: 400,
    Code.TEXT_TOO_LONG: 400,
    Code.OUT_OF_ORDER: 400,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.INSUFFICIENT_CREDITS: 402,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.GONE: 410,
    Code.TOO_LARGE: 400,  # A6: "file too large, audio too long"
    Code.UNSUPPORTED_MEDIA: 400,
    Code.RATE_LIMITED: 429,
    Code.TOO_MANY_SESSIONS: 429,
    Code.BUSY: 503,
    Code.NOT_INSTALLED: 400,  # asking again does not help: `install` names the command that does
    Code.MODEL_LOADING: 503,
    Code.ENGINE_FAILED: 500,
    Code.ENGINE_RESTARTED: 503,
    Code.TIMEOUT: 408,
    Code.SESSION_TOO_LONG: 400,
    Code.TOO_FAST: 429,
    Code.SLOW_READER: 408,
    Code.SHUTTING_DOWN: 503,
    Code.STORAGE_FULL: 503,
    Code.INTERNAL: 500,
}


def error_body(error: VoiceError) -> dict[str, object]:
    """``{"detail", "code"}`` and the facts a client may learn."""
    facts = {name: error.facts[name] for name in SHOWN if error.facts.get(name) is not None}
    if error.code is Code.INSUFFICIENT_CREDITS:
        facts |= {name: format_credits(int(str(facts[name]))) for name in ("required", "available") if name in facts}
    return {"detail": error.message, "code": error.code.value} | facts


def error_reply(error: VoiceError) -> Reply:
    """The failure as a reply, with Retry-After where the error says when to come back."""
    return reply_to(error, ERRORS[error.code], error_body(error))
