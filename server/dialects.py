"""The table of all dialects: to add one is to write its own files and a row here (docs/dialects.md)."""

from collections.abc import Mapping
from functools import partial

from starlette.routing import BaseRoute

from batch.callbacks import CallbackBody
from protocol.dialects import elevenlabs, stt_ai, tts_ai, vbee_batch, vbee_realtime
from protocol.dialects.studio import errors as studio
from protocol.route import Claims
from server.api import tts_ai as tts_ai_routes
from server.api import vbee_batch as vbee_routes
from server.api.elevenlabs import ElevenLabs
from server.api.elevenlabs_document import ELEVENLABS
from server.api.mount import Dialect, Mount
from server.api.realtime_document import REALTIME
from server.api.stt_ai_document import STT_AI
from server.api.stt_ai_mount import stt_ai_routes
from server.api.studio import Studio
from server.api.studio_document import STUDIO
from server.api.tts_ai_document import TTS_AI
from server.api.vbee_document import VBEE

PROBE_PATHS = ("/healthz", "/readyz", "/metrics")  # what machines ask every few seconds
SHARED = (*PROBE_PATHS, "/audio/")  # the same on every host (X8, X10)


def _studio(mount: Mount) -> list[BaseRoute]:
    half = mount.half
    return Studio(
        mount.exchange, half.media, half.accounts.voices, mount.files, ready=mount.ready, version=mount.version
    ).routes()


def _vbee(mount: Mount) -> list[BaseRoute]:
    settings = mount.settings
    private = settings.webhook_allow_private
    return vbee_routes.VbeeBatch(mount.exchange, public_url=settings.public_url, allow_private=private).routes()


def _elevenlabs(mount: Mount) -> list[BaseRoute]:
    half, public_url = mount.half, mount.settings.public_url
    return ElevenLabs(mount.exchange, half.fleet, half.catalogue, public_url=public_url).routes()


DIALECTS: tuple[Dialect, ...] = (
    Dialect(
        name="a",
        error_reply=studio.error_reply,
        claims=("/api/", "/audio/", *map("/api/v1/tts/{}".format, ("design", "clone", "auto", "saved", "dialogue"))),
        routes=_studio,
        document=STUDIO,
    ),
    Dialect(
        name="b",
        error_reply=vbee_batch.error_reply,
        told_with_200=partial(vbee_batch.error_reply, http_errors=False),
        claims=("/api/v1/tts",),
        routes=_vbee,
        document=VBEE,
        callbacks={vbee_routes.DIALECT: vbee_routes.callback_body},
    ),
    Dialect(
        name="c",
        error_reply=stt_ai.error_reply,
        claims=tuple(map("/api/v1/{}".format, ("account", "transcripts", "keys", "usage", "cloud"))),
        routes=stt_ai_routes,
        document=STT_AI,
    ),
    Dialect(
        name="d",
        error_reply=tts_ai.error_reply,
        claims=(
            "/v1/*/",  # the document's paths end with a slash
            "/v1/tts/",
            *(f"/v1/{word}" for word in ("audio", "results", "voices", "tts/clone", "stt", "voice-convert")),
            *(f"/v1/{word}" for word in ("speech-translate", "speech-to-speech", "voice-chat")),
        ),
        routes=tts_ai_routes.routes,
        document=TTS_AI,
        callbacks={tts_ai_routes.DIALECT: tts_ai_routes.callback_body},
    ),
    Dialect(name="e", error_reply=vbee_realtime.error_reply, claims=("/v1/tts",), document=REALTIME),
    Dialect(name="elevenlabs", error_reply=elevenlabs.error_reply, routes=_elevenlabs, document=ELEVENLABS),
)
OTHERWISE = "c"  # whose envelope a path wears that nobody claims


def claims(hosts: Mapping[str, str] | None = None) -> Claims:
    """What belongs to whom, where ``hosts`` are one dialect's alone."""
    return Claims(
        names=frozenset(one.name for one in DIALECTS),
        paths={claim: one.name for one in DIALECTS for claim in one.claims},
        otherwise=OTHERWISE,
        hosts=hosts or {},
        shared=SHARED,
    )


def callback_bodies() -> dict[str, CallbackBody]:
    """What is posted when a job is over, by style."""
    return {style: body for one in DIALECTS for style, body in one.callbacks.items()}
