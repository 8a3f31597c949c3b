"""How seed D's API fails: ``{"error": {"code", "message", ...}}`` with machine-readable fields beside them (D22).

The document names nine codes; everything that can happen is one of them.
"""

from protocol.errors import Code, VoiceError
from protocol.pricing import format_credits
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to

_BAD_REQUEST = (400, "bad_request")
_RATE_LIMITED = (429, "rate_limited")
_INTERNAL = (500, "internal_error")
_LOADING = (503, "model_loading")

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
    Code.NOT_INSTALLED: (404, "not_found"),  # D22: "model or voice"; `install` names the command that adds it
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

# Of an error's facts, what a client may learn, and by which name.
SHOWN = {
    "field": "field",
    "allowed": "allowed",
    "maximum": "maximum",
    "install": "install",
    "retry_after": "retry_after",
    "required": "credits_required",
    "available": "credits_available",
    "task_id": "task_id",
}
_LOADING_S = 5.0  # when to come back, where nobody knows
_OUR_NAMES = {"ref_audio": "reference_audio", "voice_code": "voice", "callback_url": "webhook_url"}


def error_body(error: VoiceError) -> dict[str, object]:
    """The envelope of D22."""
    facts = {shown: error.facts[name] for name, shown in SHOWN.items() if error.facts.get(name) is not None}
    if error.code is Code.INSUFFICIENT_CREDITS:
        facts |= {name: format_credits(int(str(facts[name]))) for name in facts if name.startswith("credits_")}
    return {"error": {"code": ERRORS[error.code][1], "message": error.message} | facts}


def error_reply(error: VoiceError) -> Reply:
    """The failure as a reply, with Retry-After where the error says when to come back, or it soon may help."""
    status, code = ERRORS[error.code]
    if code == "model_loading" and "retry_after" not in error.facts:
        error = VoiceError(error.code, error.message, **error.facts, retry_after=_LOADING_S)
    return reply_to(error, status, error_body(error))


def in_own_words(error: VoiceError, **names: str) -> VoiceError:
    """An error of a part that other APIs share, its fields by this API's names; ``names`` adds the request's own."""
    named = _OUR_NAMES | names
    message = error.message
    for theirs, ours in named.items():
        message = message.replace(theirs, ours) if "_" in theirs else message  # others are words of the sentence
    facts = dict(error.facts)
    if facts.get("field") in named:
        facts["field"] = named[str(facts["field"])]
    return VoiceError(error.code, message, **facts)
