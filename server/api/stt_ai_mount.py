"""Seed C's routes, put together: recordings, texts, kept transcripts, the account."""

import secrets

from starlette.routing import BaseRoute

from batch.transcripts import Transcripts
from batch.visitors import VisitorLimits, Visitors
from server.api.mount import Mount
from server.api.stt_ai import DIALECT, SttAi
from server.api.stt_ai_account import SttAiAccount
from server.api.stt_ai_door import Door
from server.api.stt_ai_texts import SttAiTexts
from server.api.stt_ai_transcripts import SttAiTranscripts
from stream.admission import network


def stt_ai_routes(mount: Mount) -> list[BaseRoute]:
    """All of them but the live stream, and what ``server.routes`` tells without a key."""
    half, settings, exchange = mount.half, mount.settings, mount.exchange
    kept = Transcripts(half.accounts.store, DIALECT, now=mount.now)
    door = Door(exchange, kept, _visitors(mount) if settings.anonymous else None)
    about = SttAiTranscripts(exchange, kept, half.texts, public_url=settings.public_url, new_id=_new_id)
    return [
        *SttAi(exchange, door, half.media, mount.files).routes(),
        *SttAiTexts(door, half.texts).routes(),
        *about.routes(),
        *SttAiAccount(exchange, half.accounts, kept, now=mount.now).routes(),
    ]


def _visitors(mount: Mount) -> Visitors:
    half, settings = mount.half, mount.settings
    limits = VisitorLimits(settings.anonymous_per_day, settings.anonymous_at_once, settings.anonymous_mb)
    house = half.accounts.house.visitors
    return Visitors(half.accounts.store, house, half.rates, limits, network=network, now=mount.now)


def _new_id() -> str:
    return secrets.token_hex(8)
