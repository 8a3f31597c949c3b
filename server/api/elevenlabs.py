"""The two arrays that ElevenLabs' clients ask for (X3, X4), under a prefix of their own: ``/elevenlabs``."""

from itertools import chain

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from batch.callers import Caller
from engines.base import Task
from engines.catalogue import Catalogue, VoiceEntry
from engines.fleet import Fleet
from engines.voices import engine_voices
from protocol.dialects import elevenlabs
from protocol.dialects.tts_ai.lists import PREVIEW
from server.api.exchange import Exchange

PREFIX = "/elevenlabs"


class ElevenLabs:
    """The routes; the key comes in a header of its own, and any key of this server's will do (X12)."""

    def __init__(self, exchange: Exchange, fleet: Fleet, catalogue: Catalogue, *, public_url: str = "") -> None:
        self._exchange = exchange
        self._public_url = public_url.rstrip("/")
        self._fleet = fleet
        self._catalogue = catalogue

    def routes(self) -> list[BaseRoute]:
        """Under the prefix only: without it the header decides (``protocol.route``)."""
        return [Route(f"{PREFIX}/v1/models", self._models), Route(f"{PREFIX}/v1/voices", self._voices)]

    async def _caller(self, request: Request) -> Caller:
        key = request.headers.get(elevenlabs.KEY_HEADER)
        return await self._exchange.caller(request, reading=True, authorization=key and f"Bearer {key}")

    async def _models(self, request: Request) -> Response:
        caller = await self._caller(request)
        most = caller.plan.text_chars
        spoken = {one.engine: one for one in self._fleet.capabilities if one.task is Task.SYNTHESIZE}
        rows = [elevenlabs.Model(one.engine, one.engine, sorted(one.languages), most) for one in spoken.values()]
        return JSONResponse(elevenlabs.models_body(rows))

    async def _voices(self, request: Request) -> Response:
        await self._caller(request)
        engines = {one.engine for one in self._fleet.capabilities if one.task is Task.SYNTHESIZE}
        every = chain(self._catalogue.all(), engine_voices(self._fleet))
        base = self._public_url or str(request.base_url).rstrip("/")
        return JSONResponse(elevenlabs.voices_body(_row(voice, base) for voice in every if voice.engine in engines))


def _row(voice: VoiceEntry, base: str) -> elevenlabs.Voice:
    return elevenlabs.Voice(
        id=voice.code,
        name=voice.name,
        language=voice.language,
        locale=voice.locale,
        gender=voice.gender,
        age=voice.age,
        model=voice.engine,
        preview=f"{base}{PREVIEW}{voice.code}.mp3",
    )
