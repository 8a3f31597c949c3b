"""Whose request is it, where several documented APIs share a path (CONTRACT X1, X2)."""

from enum import StrEnum


class Owner(StrEnum):
    """A dialect that can own ``POST /v1/tts``."""

    STT_AI = "stt_ai"  # C17: clone a voice, multipart
    TTS_AI = "tts_ai"  # D5
    VBEE_REALTIME = "vbee_realtime"  # E1


_REALTIME_KEYS = ("voiceCode", "mode", "outputFormat")


def choose(path: str, content_type: str, *, app_id: bool, body: object = None) -> Owner:
    """The owner of a POST to ``/v1/tts`` or ``/v1/tts/``, by the first rule of X1 that fits.

    ``body`` is the parsed JSON, None where it is none or was not read; a multipart body is never needed.
    """
    if content_type.split(";")[0].strip().lower() == "multipart/form-data":
        return Owner.STT_AI
    if isinstance(body, dict):
        if app_id or any(key in body for key in _REALTIME_KEYS):
            return Owner.VBEE_REALTIME
        if "model" in body and "voice" in body:
            return Owner.TTS_AI
    return Owner.TTS_AI if path.endswith("/") else Owner.VBEE_REALTIME
