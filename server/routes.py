"""The HTTP routes around the live core: what there is, how it fares, and tokens for browsers.

Shapes come from the dialects; a 404, 405 or 500 wears the envelope of the dialect its path belongs to (X11).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from accounts.keys import Keys
from accounts.tokens import MAX_SECONDS, MIN_SECONDS, Tokens
from engines.base import Capabilities, Task
from engines.catalogue import Catalogue, VoiceEntry
from engines.fleet import Fleet
from engines.offers import Offer
from engines.voices import engine_voices
from protocol.dialects import stt_ai
from protocol.dialects.tts_ai.lists import PREVIEW
from protocol.errors import Code, VoiceError
from protocol.fields import parse_object
from server.api.exchange import ClientGone
from server.dialects import PROBE_PATHS as PROBE_PATHS
from server.dialects import claims
from server.dispatch import Dispatcher, asked_path
from server.engines import absent_models
from server.envelopes import error_response as error_response
from server.gpu import Gpu
from server.settings import Settings
from stream.meter import Meter
from stream.socket import Receive, Scope, Send

Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

INTERNAL = VoiceError(Code.INTERNAL, "Something went wrong here.")
_BODY_BYTES = 64 * 1024
_LISTED = (Task.RECOGNIZE, Task.SYNTHESIZE, Task.SEPARATE, Task.TREAT)  # of ``GET /v1/models``
_STATUS_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.TOO_LARGE}


async def _no_figures() -> None:
    """A server without a batch half has none."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes need of the application."""

    settings: Settings
    keys: Keys
    tokens: Tokens
    fleet: Fleet
    catalogue: Catalogue
    meter: Meter
    gpu: Gpu | None
    ready: Callable[[], bool]
    figures: Callable[[], Awaitable[None]] = _no_figures  # brings the instruments of the batch half up to date


def http_routes(
    parts: Parts,
    realtime: Asgi,
    more: Sequence[BaseRoute] = (),
    missing: Callable[[Request], Awaitable[Response]] | None = None,
) -> Asgi:
    """The HTTP half of the application; the synchronous speech call (E1), a hot path, goes past the framework.

    ``more`` are the routes of the batch half and the pages; ``missing`` answers people who are nowhere.
    """
    tell = partial(error_response, vbee_http_errors=parts.settings.vbee_http_errors)
    others = _others(parts, more, missing, tell)
    dispatch = Dispatcher(realtime, others, claims(parts.settings.bound_hosts), tell)
    origins = parts.settings.cors_origins
    if not origins:
        return dispatch
    return cast(Asgi, CORSMiddleware(dispatch, origins, allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]))


def _others(
    parts: Parts,
    more: Sequence[BaseRoute],
    missing: Callable[[Request], Awaitable[Response]] | None,
    tell: Callable[[str, VoiceError], Response],
) -> Asgi:
    async def failed(request: Request, error: VoiceError) -> Response:
        return tell(request.url.path, error)

    async def broken(request: Request, _error: Exception) -> Response:  # a bug; the application logs it
        return tell(request.url.path, INTERNAL)

    async def refused(request: Request, error: HTTPException) -> Response:
        person = "text/html" in request.headers.get("accept", "") and error.status_code == 404
        return await missing(request) if missing is not None and person else _refused(request, error, tell)

    handlers = {VoiceError: failed, HTTPException: refused, ClientGone: _left, Exception: broken}
    app = Starlette(routes=[*own_routes(Routes(parts)), *more], exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False  # X2: a 307 loses the body of a streamed upload
    return app


def own_routes(routes: "Routes") -> list[Route]:
    """Probes; and what surrounds the streams, under seed C's prefix too."""
    return [
        *map(Route, PROBE_PATHS, (routes.healthz, routes.readyz, routes.metrics)),
        *(
            Route(prefix + path, handler, methods=[method])
            for prefix in ("", "/c")
            for path, handler, method in (
                ("/health", routes.health, "GET"),
                ("/v1/models", routes.models, "GET"),
                ("/v1/languages", routes.languages, "GET"),
                ("/v1/voices", routes.voices, "GET"),
                ("/v1/tokens", routes.mint_token, "POST"),
            )
        ),
    ]


async def _left(_request: Request, _error: Exception) -> Response:
    """Nobody is there to read it; the number is for the log."""
    return Response(status_code=499)


def _refused(request: Request, error: HTTPException, tell: Callable[[str, VoiceError], Response]) -> Response:
    """What the router itself refuses."""
    code = _STATUS_CODES.get(error.status_code, Code.BAD_REQUEST)
    what = {
        Code.NOT_FOUND: f"There is nothing at {asked_path(request.scope)}.",
        Code.METHOD_NOT_ALLOWED: f"{request.method} is not possible at {asked_path(request.scope)}.",
    }.get(code, error.detail)
    response = tell(request.url.path, VoiceError(code, what))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


class Routes:
    """The handlers, over the parts of the application."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def healthz(self, _request: Request) -> Response:
        """The process is alive and its loop turns."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _request: Request) -> Response:
        """New sessions are welcome: every engine is warm and nobody asked the server to stop."""
        if self._parts.ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", 503, {"retry-after": "5"})

    async def metrics(self, _request: Request) -> Response:
        """All instruments in Prometheus' text format; those of a store that does not answer stay as they were."""
        with suppress(VoiceError):
            await self._parts.figures()
        return Response(generate_latest(self._parts.meter.registry), media_type=CONTENT_TYPE_LATEST)

    async def health(self, _request: Request) -> Response:
        """C19: whether there is a GPU, and which."""
        gpu = self._parts.gpu
        return JSONResponse(stt_ai.health_body() if gpu is None else _gpu_health(gpu))

    async def models(self, _request: Request) -> Response:
        """C11's recognisers, and in the same document (X3) the list OpenAI's clients read: voices, tools for sound too.

        Of each it says whether it is in memory (``loaded``), on its way, or loaded when somebody needs it
        (``on_demand``), what it holds there and how long loading it took; and what could be had by a command.
        """
        rows: dict[str, dict[str, object]] = {}
        live: list[tuple[str, int]] = []
        offers = self._parts.fleet.offers
        for offer in sorted(offers, key=lambda offer: offer.capabilities.task):
            one = offer.capabilities
            if one.task in _LISTED:
                name = _model_id(one)
                name = one.engine if name in rows else name
                rows[name] = {"id": name, "object": "model", "created": 0, "owned_by": one.engine, **_cost(offer)}
                rows[name] |= {"task": one.task.value} | ({"stems": one.stems} if one.stems else {})
                if one.task is Task.RECOGNIZE and offer.live:
                    live.append((name, len(one.languages)))
        absent = await asyncio.to_thread(absent_models, self._parts.settings)
        data = {"object": "list", "data": list(rows.values()), "not_installed": absent}
        return JSONResponse(data | stt_ai.models_body(live))

    async def languages(self, _request: Request) -> Response:
        """C12: the languages that can be recognised."""
        codes = (code for one in self._engines(Task.RECOGNIZE) for code in one.languages)
        return JSONResponse(stt_ai.languages_body(codes))

    async def voices(self, request: Request) -> Response:
        """D20's list: every voice that an engine here speaks; filters ``model``, ``language`` and ``gender``."""
        engines = {one.engine for one in self._engines(Task.SYNTHESIZE)}
        every = chain(self._parts.catalogue.all(), engine_voices(self._parts.fleet))
        base = self._parts.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
        rows = [_voice_row(voice, base) for voice in every if voice.engine in engines]
        for name in ("model", "language", "gender"):
            wanted = request.query_params.get(name)
            rows = [row for row in rows if wanted in (None, "", row[name])]
        return JSONResponse({"voices": rows, "total": len(rows)})

    async def mint_token(self, request: Request) -> Response:
        """A single-use token for a browser: the key stays at home (a token cannot mint another)."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        key = await self._parts.keys.verify(secret.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise VoiceError(Code.UNAUTHORIZED, "An API key is required: send it as 'Authorization: Bearer <key>'.")
        seconds = _expires_in(await _read_body(request), self._parts.settings.token_seconds)
        token = await self._parts.tokens.mint(key.id, seconds)
        body = {"token": token.secret, "expires_in": token.expires_in, "expires_at": int(token.expires_at)}
        return JSONResponse(body, 201, {"cache-control": "no-store"})

    def _engines(self, task: Task) -> Iterator[Capabilities]:
        return (one for one in self._parts.fleet.capabilities if one.task is task)


def _cost(offer: Offer) -> dict[str, object]:
    """Whether a model is in memory, how much of that it takes, and how long who needs it waits if it is not."""
    return {
        "state": offer.state.value,
        "memory_mb": offer.memory_bytes >> 20,
        "load_seconds": round(offer.load_s, 1) if offer.load_s else None,
    }


def _model_id(one: Capabilities) -> str:
    """What a client calls an engine: a recogniser's model, unless the documents know the engine and not the model."""
    known = stt_ai.KNOWN_MODELS
    if one.task is not Task.RECOGNIZE:
        return one.engine
    return one.engine if not one.model or (one.engine in known and one.model not in known) else one.model


def _gpu_health(gpu: Gpu) -> dict[str, object]:
    return stt_ai.health_body(gpu_name=gpu.name, gpu_memory_mb=gpu.memory_mb)


def _voice_row(voice: VoiceEntry, base: str) -> dict[str, Any]:
    model = voice.family if voice.family == "kokoro" else voice.engine  # whose name it is, as ``/v1/voices/`` has it
    row = {"id": voice.code, "name": voice.name, "model": model, "language": voice.language}
    more = {"locale": voice.locale, "gender": voice.gender, "age": voice.age}
    return {**row, **more, "preview_url": f"{base}{PREVIEW}{voice.code}.mp3", "sample_rates": list(voice.rates)}


def _expires_in(body: str, default: int) -> int:
    """``expires_in`` of a token request; the body may be missing or empty."""
    value = parse_object(body).get("expires_in", default) if body.strip() else default
    if type(value) is not int or not MIN_SECONDS <= value <= MAX_SECONDS:
        what = f"expires_in must be a whole number from {MIN_SECONDS} to {MAX_SECONDS}"
        raise VoiceError(Code.BAD_REQUEST, what, field="expires_in", allowed=[MIN_SECONDS, MAX_SECONDS])
    return value


async def _read_body(request: Request) -> str:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _BODY_BYTES:
                raise VoiceError(Code.TOO_LARGE, f"A body may have {_BODY_BYTES} bytes.")
        return body.decode()
    except UnicodeDecodeError:
        raise VoiceError(Code.BAD_REQUEST, "The body is not UTF-8.") from None
    except ClientDisconnect:
        raise VoiceError(Code.BAD_REQUEST, "The client has gone.") from None
