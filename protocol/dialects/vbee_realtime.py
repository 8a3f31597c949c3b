"""The wire of seed E, ``POST /v1/tts``: one short text in, sound or ``{"error": {"code", "message"}}`` out (E1-E12)."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.audio import Encoding
from protocol.errors import Code, VoiceError
from protocol.fields import from_json
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to

MAX_TEXT = 300  # E2: code points, after trimming and NFC
MAX_BODY = 64 * 1024  # bytes; 300 characters written as JSON escapes need under 4 KiB
FORMATS = {"mp3": Encoding.MP3, "wav": Encoding.WAV, "pcm": Encoding.PCM_S16LE}  # E5
BITRATES = (8, 16, 32, 64, 128)  # E6, kbps
DEFAULT_BITRATE = 128
SPEEDS = (0.25, 1.9)  # E7
SAMPLE_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)  # E8

# -- errors ------------------------------------------------------------------------------------------

_UNAUTHORIZED = (401, "UNAUTHORIZED")
_BAD_REQUEST = (400, "BAD_REQUEST")
_TOO_MANY = (429, "TTS_CCR_MAX_LIMIT_REACHED")
_SPENDING = (500, "TTS_SPEND_CREDITS_FAILED")
_INTERNAL = (500, "INTERNAL_SERVER_ERROR")

# E11: the document has five codes; everything that can happen is one of them.
ERRORS: dict[Code, tuple[int, str]] = {
    Code.BAD_REQUEST: _BAD_REQUEST,
    Code.TEXT_TOO_LONG: _BAD_REQUEST,
    Code.OUT_OF_ORDER: _BAD_REQUEST,
    Code.UNAUTHORIZED: _UNAUTHORIZED,
    Code.FORBIDDEN: _UNAUTHORIZED,
    Code.INSUFFICIENT_CREDITS: _BAD_REQUEST,  # E11 counts it among the bad requests
    Code.NOT_FOUND: _BAD_REQUEST,
    Code.METHOD_NOT_ALLOWED: (405, "BAD_REQUEST"),
    Code.CONFLICT: _BAD_REQUEST,
    Code.GONE: _BAD_REQUEST,
    Code.TOO_LARGE: _BAD_REQUEST,
    Code.UNSUPPORTED_MEDIA: _BAD_REQUEST,
    Code.RATE_LIMITED: _TOO_MANY,
    Code.TOO_MANY_SESSIONS: _TOO_MANY,
    Code.BUSY: _TOO_MANY,
    Code.NOT_INSTALLED: _BAD_REQUEST,
    Code.MODEL_LOADING: _INTERNAL,
    Code.ENGINE_FAILED: _INTERNAL,
    Code.ENGINE_RESTARTED: _INTERNAL,
    Code.TIMEOUT: _BAD_REQUEST,
    Code.SESSION_TOO_LONG: _BAD_REQUEST,
    Code.TOO_FAST: _TOO_MANY,
    Code.SLOW_READER: _BAD_REQUEST,
    Code.SHUTTING_DOWN: _INTERNAL,
    Code.STORAGE_FULL: _SPENDING,  # the ledger cannot be written
    Code.INTERNAL: _INTERNAL,
}


def error_reply(error: VoiceError) -> Reply:
    """E10: the failure as JSON, with Retry-After where the error says when to come back."""
    status, code = ERRORS[error.code]
    return reply_to(error, status, {"error": {"code": code, "message": error.message}})


# -- the request -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request; ``bitrate`` (kbps) and ``sample_rate`` (Hz) are None where the client left them open."""

    text: str  # trimmed, NFC
    voice: str  # not looked up yet
    encoding: Encoding
    bitrate: int | None
    speed: float
    sample_rate: int | None


def credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    """The access token and the app id of a request (E1; header names in lower case). Raises UNAUTHORIZED (E11)."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise VoiceError(Code.UNAUTHORIZED, "Authorization header is required: Bearer <access_token>")
    app_id = headers.get("app-id", "").strip()
    if not app_id:
        raise VoiceError(Code.UNAUTHORIZED, "App-Id header is required")
    return token.strip(), app_id


def parse_json(body: bytes) -> object:
    """The body as JSON; BAD_REQUEST for what is none."""
    try:
        return from_json(body)
    except ValueError:
        raise VoiceError(Code.BAD_REQUEST, "request body must be valid JSON") from None


def decode(body: object) -> Request:
    """A parsed body as a request, its fields checked in the document's order. Raises BAD_REQUEST, TEXT_TOO_LONG."""
    if not isinstance(body, dict):
        raise VoiceError(Code.BAD_REQUEST, "request body must be a JSON object")
    text = _text(body)
    if _string(body, "mode") != "sync":  # E3
        raise _wrong("mode", "mode must be sync", ["sync"])
    voice = _string(body, "voiceCode").strip()  # E4
    if not voice:
        raise _wrong("voiceCode", "voiceCode must not be empty")
    return Request(text, voice, _format(body), _bitrate(body), _speed(body), _sample_rate(body))


def _text(body: dict[str, Any]) -> str:
    """E2; what counts is the text as it is composed, so that the same words have the same length however typed."""
    text = unicodedata.normalize("NFC", _string(body, "text").strip())
    if not text:
        raise _wrong("text", "text must not be empty")
    if len(text) > MAX_TEXT:
        message = f"text must be less than or equal to {MAX_TEXT} characters"  # E10, word for word
        raise VoiceError(Code.TEXT_TOO_LONG, message, field="text", allowed=MAX_TEXT)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _wrong("text", "text must be valid Unicode")
    return text


def _format(body: dict[str, Any]) -> Encoding:
    value = body.get("outputFormat")
    if value is None:
        return Encoding.MP3
    if not isinstance(value, str) or value not in FORMATS:
        raise _not_one_of("outputFormat", list(FORMATS))
    return FORMATS[value]


def _bitrate(body: dict[str, Any]) -> int | None:
    value = _number(body, "bitrate")
    if value is not None and value not in BITRATES:
        raise _not_one_of("bitrate", list(BITRATES))
    return None if value is None else int(value)


def _speed(body: dict[str, Any]) -> float:
    value = _number(body, "speed")
    if value is None:
        return 1.0
    if value < SPEEDS[0]:
        raise _wrong("speed", f"speed must be greater than or equal to {SPEEDS[0]}", list(SPEEDS))
    if value > SPEEDS[1]:
        raise _wrong("speed", f"speed must be less than or equal to {SPEEDS[1]}", list(SPEEDS))
    return value


def _sample_rate(body: dict[str, Any]) -> int | None:
    value = _number(body, "sampleRate")
    if value is not None and value not in SAMPLE_RATES:
        raise _not_one_of("sampleRate", list(SAMPLE_RATES))
    return None if value is None else int(value)


def _string(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if value is None:
        raise _wrong(field, f"{field} is required")
    if not isinstance(value, str):
        raise _wrong(field, f"{field} must be a string")
    return value


def _number(body: dict[str, Any], field: str) -> float | None:
    """A JSON number; null counts as left open, a string or a boolean is none."""
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:  # 1e999 is infinite
        raise _wrong(field, f"{field} must be a number")
    return value


def _wrong(field: str, message: str, allowed: object = None) -> VoiceError:
    facts = {"field": field} if allowed is None else {"field": field, "allowed": allowed}
    return VoiceError(Code.BAD_REQUEST, message, **facts)


def _not_one_of(field: str, allowed: list[Any]) -> VoiceError:
    return _wrong(field, f"{field} must be one of {', '.join(map(str, allowed))}", allowed)
