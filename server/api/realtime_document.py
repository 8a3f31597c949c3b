"""Seed E's call as its OpenAPI document tells of it."""

from protocol.dialects.vbee_realtime import (
    BITRATES,
    DEFAULT_BITRATE,
    ERRORS,
    FORMATS,
    MAX_TEXT,
    SAMPLE_RATES,
    SPEEDS,
)
from server.api.operations import Answer, Api, Operation, Parameter

_SOUND = {"type": "string", "format": "binary"}
_CODES = sorted({code for _, code in ERRORS.values()})
_FAILURE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string", "enum": _CODES}, "message": {"type": "string"}},
        }
    },
}
_BODY = {
    "type": "object",
    "required": ["text", "mode", "voiceCode"],
    "properties": {
        "text": {"type": "string", "description": f"At most {MAX_TEXT} characters, trimmed.", "minLength": 1},
        "mode": {"type": "string", "enum": ["sync"]},
        "voiceCode": {"type": "string", "minLength": 1, "examples": ["hn_female_ngochuyen_full_48k-fhg"]},
        "outputFormat": {"type": "string", "enum": list(FORMATS), "default": "mp3"},
        "bitrate": {"type": "number", "enum": list(BITRATES), "default": DEFAULT_BITRATE, "description": "kbit/s."},
        "speed": {"type": "number", "minimum": SPEEDS[0], "maximum": SPEEDS[1], "default": 1.0},
        "sampleRate": {"type": "number", "enum": list(SAMPLE_RATES), "description": "Default: the voice's highest."},
    },
}
_MEANINGS = {
    400: "Something in the request is missing or wrong, or there are not enough credits.",
    401: "The token or the App-Id is missing or wrong.",
    405: "Not with this method.",
    429: "Too many calls at once.",
    500: "Something went wrong here.",
}

REALTIME = Api(
    "Voxline: Vbee real-time speech (E)",
    f"At most {MAX_TEXT} characters to sound, while it is being made.",
    (
        Operation(
            "POST",
            "/v1/tts",
            "speak",
            "Speak a short text at once",
            (
                Answer(
                    "The sound, as it is made.",
                    {"audio/mpeg": _SOUND, "audio/wav": _SOUND, "audio/pcm": _SOUND},
                    {"X-Engine": "The engine that speaks."},
                ),
            ),
            tuple(status for status in sorted({status for status, _ in ERRORS.values()}) if status != 405),
            body=_BODY,
            parameters=(Parameter("App-Id", "header", "Any text, or the id of the token's App.", required=True),),
        ),
    ),
    _FAILURE,
    {status: _MEANINGS[status] for status in sorted({status for status, _ in ERRORS.values()})},
)
