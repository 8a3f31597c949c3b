"""What all routes of seed D share: errors in its words, rate limits in every reply (D3), tasks and their results."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from accounts.limits import Rate
from batch.addresses import read_url
from batch.callers import Caller
from batch.jobs import Callback, Job
from batch.service import Order, result_of, view
from protocol import pricing
from protocol.dialects.tts_ai import replies
from protocol.dialects.tts_ai.errors import error_reply, in_own_words
from protocol.dialects.tts_ai.shapes import Task
from protocol.errors import Code, VoiceError
from protocol.work import Work
from server.api.exchange import Handler
from server.api.mount import Mount

DIALECT = "tts_ai"
PREFIX = "/d"
SHARED = ("/v1/tts/", "/v1/tts", "/v1/models", "/v1/voices")  # whose a request to these is, is decided before (X1-X4)
NO_LIMIT = 1_000_000  # what X-RateLimit-Limit says where a plan has none
_GUESSES = Rate(10, 10, 0.0)  # of keys, from one address, before the first
_BASE = "link_base"  # in a task's details: where its client reaches this server


@dataclass(frozen=True, slots=True)
class Errand:
    """Work for a client, at a price; ``details`` is what its replies say again."""

    task: Task
    work: Work
    route: pricing.Route
    quantity: float
    webhook_url: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, and how the request is known again."""

    caller: Caller
    key: str | None = None  # Idempotency-Key
    fingerprint: bytes = b""


class Desk:
    """Takes requests for tasks and hands out what came of them."""

    def __init__(self, mount: Mount) -> None:
        self.exchange = mount.exchange
        self.service = mount.exchange.service
        self._files = mount.files
        self._now = mount.now
        self._public_url = mount.settings.public_url.rstrip("/")
        self._allow_private = mount.settings.webhook_allow_private

    # -- routes --------------------------------------------------------------------------------------

    def routes(self, table: Mapping[str, tuple[Handler, str]]) -> list[BaseRoute]:
        """A route for each path, as the document writes it and without the slash at its end (no redirects), also under
        the prefix; what others own without it (X1, X3, X4) is left to whoever decides."""
        return [
            Route(prefix + spelled, self._answering(handler), methods=[method])
            for prefix in ("", PREFIX)
            for path, (handler, method) in table.items()
            for spelled in dict.fromkeys((path, path.rstrip("/")))
            if prefix or spelled not in SHARED
        ]

    def _answering(self, handler: Handler) -> Handler:
        """The handler, its failures in this API's envelope, all it says with the limits beside it."""

        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
                rate = getattr(request.state, "rate", None)
            except VoiceError as error:
                reply = error_reply(in_own_words(_known_as_task(error)))
                response = Response(reply.body, reply.status, media_type=reply.content_type)
                response.raw_headers += reply.headers
                rate = _rate(request, error)
            if rate is not None:
                response.headers.update(self._limits(rate))
            return response

        return answer

    def _limits(self, rate: Rate) -> dict[str, str]:
        """D3; the time is that of Unix, when the oldest request counts no more."""
        limit, left = (rate.limit, rate.remaining) if rate.limit else (NO_LIMIT, NO_LIMIT)
        reset = math.ceil(self._now() + rate.reset_after)
        told = {"Limit": limit, "Remaining": left, "Reset": reset}
        return {f"X-RateLimit-{name}": str(value) for name, value in told.items()}

    # -- tasks ---------------------------------------------------------------------------------------

    def check_webhook(self, url: str | None) -> None:
        """BAD_REQUEST for an address that is never called."""
        if url:
            read_url(url, field="webhook_url", allow_private=self._allow_private)

    async def submit(self, request: Request, client: Client, errand: Errand) -> Job:
        """The accepted job; raises what ``Service.submit`` does."""
        url = errand.webhook_url
        order = Order(
            dialect=DIALECT,
            work=errand.work,
            route=errand.route,
            quantity=errand.quantity,
            details={**errand.details, "task": errand.task.value, _BASE: self._base(request)},
            waited=not url,
            callback=Callback(url, DIALECT) if url else None,
            key=client.key,
            fingerprint=client.fingerprint,
        )
        return await self.service.submit(client.caller, order)

    async def reply(self, request: Request, job: Job, *, waited: bool) -> Response:
        """What came of it once it is done; or where that will be."""
        if not waited:
            return JSONResponse(replies.accepted(view(job), link_of(job)), 202)
        done = result_of(await self.exchange.finished(request, job))
        shown = await self.service.view(done)
        headers, body = replies.headers(shown), replies.result(shown, link_of(done))
        if body is not None:
            return JSONResponse(body, headers=headers)
        made = done.outcome and done.outcome.file("audio")
        if not made:
            raise RuntimeError(f"job {job.id} made no sound")
        return await self._files.whole(made.name, headers)

    def _base(self, request: Request) -> str:
        return self._public_url or str(request.base_url).rstrip("/")

    def link(self, request: Request) -> replies.Link:
        """Paths as the client who asks can follow them."""
        base = self._base(request)
        return lambda path: base + path

    # -- what came of them ---------------------------------------------------------------------------

    async def result(self, request: Request) -> Response:
        """``/v1/results/{name}`` (D21): a task, to its owner; or a file, to whoever has its name."""
        name = request.path_params["name"]
        if not name.startswith("task_"):
            return await self._files.get(request)
        caller = await self.exchange.caller(request, reading=True)
        try:
            job = await self.service.job(caller.user_id, replies.job_id(name) or "", DIALECT)
        except VoiceError as error:
            raise VoiceError(error.code, "There is no such task.") from None
        return JSONResponse(replies.described(await self.service.view(job), link_of(job)))

    async def file(self, request: Request) -> Response:
        """``/v1/audio/tmp/{name}`` (D21)."""
        return await self._files.get(request)


def callback_body(job: Job) -> dict[str, object]:
    """What is posted when a task is over (D23); for ``batch.callbacks``, under the style ``DIALECT``."""
    return replies.event(view(job), link_of(job))


def link_of(job: Job) -> replies.Link:
    """Paths as the client who asked for a job can follow them."""
    base: str = job.details[_BASE]
    return lambda path: base + path


def _known_as_task(error: VoiceError) -> VoiceError:
    """A job is a task here."""
    if "job_id" not in error.facts:
        return error
    return VoiceError(error.code, error.message, **error.facts, task_id=replies.task_id(str(error.facts["job_id"])))


def _rate(request: Request, error: VoiceError) -> Rate | None:
    """Where somebody stands who is refused: by what his refusal says, or what was counted before it."""
    if isinstance(rate := error.facts.get("rate"), Rate):
        return rate
    if (known := getattr(request.state, "rate", None)) is not None:
        return known if isinstance(known, Rate) else None
    limit, wait = error.facts.get("limit"), error.facts.get("retry_after")
    if error.code is Code.RATE_LIMITED and isinstance(limit, int) and isinstance(wait, int | float):
        return Rate(limit, 0, wait)
    return _GUESSES if error.code is Code.UNAUTHORIZED else None
