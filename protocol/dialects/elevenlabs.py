"""What ElevenLabs' clients read before they speak: the arrays of models and voices (X3, X4), and no more of that API.

They are known by their header ``xi-api-key``, which carries the key. Fields that say nothing here have the value that
its public reference gives for "none".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.errors import Code, VoiceError
from protocol.languages import language_name
from protocol.reply import Reply
from protocol.reply import error_reply as reply_to

KEY_HEADER = "xi-api-key"

# The reference tells failures by HTTP status and a word of its own.
ERRORS: dict[Code, tuple[int, str]] = {
    Code.BAD_REQUEST: (400, "bad_request"),
    Code.TEXT_TOO_LONG: (400, "max_character_limit_exceeded"),
    Code.OUT_OF_ORDER: (400, "bad_request"),
    Code.UNAUTHORIZED: (401, "invalid_api_key"),
    Code.FORBIDDEN: (403, "missing_permissions"),
    Code.INSUFFICIENT_CREDITS: (401, "quota_exceeded"),
    Code.NOT_FOUND: (404, "not_found"),
    Code.METHOD_NOT_ALLOWED: (405, "method_not_allowed"),
    Code.CONFLICT: (409, "conflict"),
    Code.GONE: (410, "not_found"),
    Code.TOO_LARGE: (413, "file_too_large"),
    Code.UNSUPPORTED_MEDIA: (400, "invalid_content"),
    Code.RATE_LIMITED: (429, "too_many_requests"),
    Code.TOO_MANY_SESSIONS: (429, "too_many_concurrent_requests"),
    Code.BUSY: (503, "system_busy"),
    Code.NOT_INSTALLED: (400, "model_not_found"),
    Code.MODEL_LOADING: (503, "system_busy"),
    Code.ENGINE_FAILED: (500, "internal_error"),
    Code.ENGINE_RESTARTED: (503, "system_busy"),
    Code.TIMEOUT: (408, "timeout"),
    Code.SESSION_TOO_LONG: (400, "bad_request"),
    Code.TOO_FAST: (429, "too_many_requests"),
    Code.SLOW_READER: (408, "timeout"),
    Code.SHUTTING_DOWN: (503, "system_busy"),
    Code.STORAGE_FULL: (503, "system_busy"),
    Code.INTERNAL: (500, "internal_error"),
}


@dataclass(frozen=True, slots=True)
class Model:
    """What speaks, and the codes of its languages."""

    id: str
    name: str
    languages: Sequence[str]
    characters: int  # of one text, at most


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice and what is known of it."""

    id: str
    name: str
    language: str
    locale: str
    gender: str
    age: str
    model: str
    preview: str  # the address of a sample


def error_reply(error: VoiceError) -> Reply:
    """``{"detail": {"status", "message"}}``."""
    status, word = ERRORS[error.code]
    return reply_to(error, status, {"detail": {"status": word, "message": error.message}})


def models_body(models: Iterable[Model]) -> list[dict[str, Any]]:
    """A bare array."""
    return [_model(model) for model in models]


def voices_body(voices: Iterable[Voice]) -> dict[str, Any]:
    """``{"voices": [...]}``."""
    return {"voices": [_voice(voice) for voice in voices]}


def _model(model: Model) -> dict[str, Any]:
    able = {
        "can_be_finetuned": False,
        "can_do_text_to_speech": True,
        "can_do_voice_conversion": False,
        "can_use_style": False,
        "can_use_speaker_boost": False,
        "serves_pro_voices": False,
    }
    limits = dict.fromkeys(
        (
            "max_characters_request_free_user",
            "max_characters_request_subscribed_user",
            "maximum_text_length_per_request",
        ),
        model.characters,
    )
    return {
        "model_id": model.id,
        "name": model.name,
        **able,
        "token_cost_factor": 1.0,
        "description": f"{model.name}, {len(model.languages)} languages.",
        "requires_alpha_access": False,
        **limits,
        "languages": [{"language_id": code, "name": language_name(code)} for code in model.languages],
        "model_rates": {"character_cost_multiplier": 1.0, "cost_discount_multiplier": 1.0},
        "concurrency_group": "standard",
    }


def _voice(voice: Voice) -> dict[str, Any]:
    labels = {"language": voice.language, "locale": voice.locale, "gender": voice.gender, "age": voice.age}
    return {
        "voice_id": voice.id,
        "name": voice.name,
        "samples": None,
        "category": "premade",
        "fine_tuning": {"is_allowed_to_fine_tune": False, "state": {}, "language": None},
        "labels": {name: value for name, value in labels.items() if value},
        "description": None,
        "preview_url": voice.preview,
        "available_for_tiers": [],
        "settings": None,
        "sharing": None,
        "high_quality_base_model_ids": [voice.model],
        "verified_languages": None,
        "safety_control": None,
        "voice_verification": None,
        "permission_on_resource": None,
        "is_owner": False,
        "is_legacy": False,
        "is_mixed": False,
        "created_at_unix": None,
    }
