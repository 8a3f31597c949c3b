"""Seed D's routes (D1-D23). The paths that its document does not give are chosen in its style: docs/tts-api.md."""

from starlette.routing import BaseRoute

from server.api.mount import Mount
from server.api.tts_ai_desk import DIALECT as DIALECT
from server.api.tts_ai_desk import Desk
from server.api.tts_ai_desk import callback_body as callback_body
from server.api.tts_ai_recordings import Recordings
from server.api.tts_ai_speech import Speech
from server.api.tts_ai_voices import Voices


def routes(mount: Mount) -> list[BaseRoute]:
    """Every route, by the document's path and under the prefix."""
    desk = Desk(mount)
    voices = Voices(mount, desk)
    speech, recordings = Speech(mount, desk, voices), Recordings(mount, desk, voices)
    table = {
        "/v1/tts/": (speech.tts, "POST"),
        "/v1/tts/clone/": (speech.clone, "POST"),
        "/v1/stt/": (recordings.stt, "POST"),
        "/v1/voice-convert/": (recordings.convert_voice, "POST"),
        "/v1/speech-translate/": (recordings.translate, "POST"),
        "/v1/speech-to-speech/": (recordings.reshape, "POST"),
        "/v1/audio/enhance/": (recordings.enhance, "POST"),
        "/v1/audio/separate/": (recordings.separate, "POST"),
        "/v1/audio/de-echo/": (recordings.deecho, "POST"),
        "/v1/audio/analyze/": (recordings.analyze, "POST"),
        "/v1/audio/convert/": (recordings.convert, "POST"),
        "/v1/voice-chat/": (speech.chat, "POST"),
        "/v1/models/": (voices.models, "GET"),
        "/v1/voices/": (voices.voices, "GET"),
        "/v1/voices/preview/{file}": (voices.preview, "GET"),
        "/v1/results/{name}": (desk.result, "GET"),
        "/v1/audio/tmp/{name}": (desk.file, "GET"),
    }
    return desk.routes(table)
