"""Seed B's routes (B1-B13): JSON to a job, its result posted to the caller's own address and to be asked for."""

from collections.abc import Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from batch.addresses import read_url
from batch.callers import Caller
from batch.jobs import Callback, Job
from batch.service import Order, fingerprint, idempotency_key, view
from protocol import pricing
from protocol.dialects import vbee_batch
from protocol.errors import Code, VoiceError
from server.api.exchange import Exchange
from server.api.json_bodies import read_json

DIALECT = "vbee"
PREFIX = "/b"
_BODY_BYTES = 1 << 20  # 50,000 characters of the largest plan, written as JSON escapes, need 600 KB
_BASE = "link_base"  # in a job's details: where its client reaches this server


class VbeeBatch:
    """The routes. ``public_url`` is where clients reach this server; "" = wherever they did.

    ``allow_private``: callbacks may go to addresses of a private network.
    """

    def __init__(self, exchange: Exchange, *, public_url: str, allow_private: bool = False) -> None:
        self._exchange = exchange
        self._service = exchange.service
        self._public_url = public_url.rstrip("/")
        self._allow_private = allow_private

    def routes(self) -> list[BaseRoute]:
        """Both routes, by the document's path and under the prefix; an id is a UUID (X5)."""
        return [
            route
            for prefix in ("", PREFIX)
            for route in (
                Route(prefix + "/api/v1/tts", self._speak, methods=["POST"]),
                Route(prefix + "/api/v1/tts/{request_id:uuid}", self._describe, methods=["GET"]),
            )
        ]

    async def _speak(self, request: Request) -> Response:
        """B1-B10."""
        caller = await self._exchange.caller(request)
        key = idempotency_key(request.headers.get("idempotency-key"))
        body = await read_json(request, most=_BODY_BYTES)
        asked = vbee_batch.decode(body)
        _check_app(caller, asked.app_id)
        read_url(asked.callback_url, allow_private=self._allow_private)
        mark = await fingerprint("/api/v1/tts", asked.model_dump(), {}) if key is not None else b""
        work, base = asked.work(), self._public_url or str(request.base_url).rstrip("/")
        order = Order(
            dialect=DIALECT,
            work=work,
            route=pricing.Route.VBEE_TTS,
            quantity=vbee_batch.characters(work),
            details={**asked.details(), _BASE: base},
            callback=Callback(asked.callback_url, DIALECT),
            key=key,
            fingerprint=mark,
        )
        return JSONResponse(vbee_batch.accepted(view(await self._service.submit(caller, order))))

    async def _describe(self, request: Request) -> Response:
        """B13."""
        caller = await self._exchange.caller(request, reading=True)
        request_id: UUID = request.path_params["request_id"]
        job = await self._service.job(caller.user_id, str(request_id), DIALECT)
        return JSONResponse(vbee_batch.described(await self._service.view(job), _link(job)))


def callback_body(job: Job) -> dict[str, object]:
    """What is posted when a job of this dialect is over (B12); for ``batch.callbacks``, under the style ``DIALECT``."""
    return vbee_batch.callback_body(view(job), _link(job))


def _link(job: Job) -> Callable[[str], str]:
    base = job.details[_BASE]
    return lambda name: f"{base}/audio/{name}"


def _check_app(caller: Caller, app_id: str) -> None:
    """The token of an App speaks for that App; a key of the account for any (X12)."""
    if caller.app_id is not None and caller.app_id != app_id:
        raise VoiceError(Code.FORBIDDEN, "app_id is not that of the token's App.", field="app_id")
