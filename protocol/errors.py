"""Every way a request or a session can fail, once, for all dialects.

``VoiceError`` carries a ``Code`` and a message for a person; each dialect has a total table from
``Code`` to its own status and wording. ``facts`` are extra machine-readable fields (``field``,
``allowed``, ``retry_after`` in seconds, ``install`` = the command that adds what is missing).
"""

from enum import StrEnum


class Code(StrEnum):
    """What went wrong, in the field's plain terms; the value is the name on Voxline's own wire."""

    BAD_REQUEST = "bad_request"  # a field is missing, of the wrong type or out of range
    TEXT_TOO_LONG = "text_too_long"  # more code points than the dialect allows
    OUT_OF_ORDER = "out_of_order"  # a message that is right, at a time that is not
    UNAUTHORIZED = "unauthorized"  # no key, a wrong one, a disabled one, a spent token
    FORBIDDEN = "forbidden"  # a valid key that may not do this
    INSUFFICIENT_CREDITS = "insufficient_credits"
    NOT_FOUND = "not_found"  # no such voice, model, job, route
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    GONE = "gone"  # it was here and its time is over
    TOO_LARGE = "too_large"  # body, message or decoded audio over its cap
    UNSUPPORTED_MEDIA = "unsupported_media"  # a format nobody here can read
    RATE_LIMITED = "rate_limited"  # too many requests in a while
    TOO_MANY_SESSIONS = "too_many_sessions"  # too many at once for this caller
    BUSY = "busy"  # the server is full; try elsewhere or later
    NOT_INSTALLED = "not_installed"  # no installed engine can do it; says which command adds one
    MODEL_LOADING = "model_loading"
    ENGINE_FAILED = "engine_failed"  # the engine answered, with an error
    ENGINE_RESTARTED = "engine_restarted"  # it crashed, hung or outgrew its memory and was replaced
    TIMEOUT = "timeout"  # nothing came for too long
    SESSION_TOO_LONG = "session_too_long"
    TOO_FAST = "too_fast"  # audio or messages far ahead of real time
    SLOW_READER = "slow_reader"  # the client does not take what it asked for
    SHUTTING_DOWN = "shutting_down"
    STORAGE_FULL = "storage_full"
    INTERNAL = "internal"


class VoiceError(Exception):
    """A failure that has a place in every dialect; anything else that escapes is a bug."""

    def __init__(self, code: Code, message: str, **facts: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts

    def __repr__(self) -> str:
        return f"VoiceError({self.code.value}, {self.message!r}, {self.facts!r})"
