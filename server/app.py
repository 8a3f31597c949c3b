"""The application: builds the parts from the settings, hands each connection to the one it is for, ends them in order.

Plain ASGI on purpose: a WebSocket goes straight to its session, without a framework's layers around every message.
"""

import asyncio
import importlib.metadata
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.routing import BaseRoute

from accounts.limits import Throttle
from batch.service import Service
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.session import Limits as SessionLimits
from server.accounts import Accounts, open_tabs, opened
from server.api.mounting import Half, api_routes, service_of
from server.batch_figures import BatchFigures
from server.dialects import claims
from server.dispatch import enter
from server.engines import choose_engines
from server.gpu import find_gpu
from server.pages.desk import Desk
from server.pages.site import Site
from server.routes import INTERNAL, PROBE_PATHS, Parts, error_response, http_routes
from server.settings import Settings
from server.workshop import Workshop, open_workshop
from stream.admission import Admission, Caller, Limits, identify
from stream.billing import Lines, settling
from stream.listen import Listening
from stream.meter import Meter
from stream.realtime import Realtime
from stream.socket import Message, Receive, Scope, Send, Socket
from stream.speak import Speaking

log = logging.getLogger("voxline.app")

LISTEN_PATHS = ("/v1/stream", "/c/v1/stream")
SPEAK_PATHS = ("/v1/stream/tts",)
_ENGINES_STOP_S = 5.0
_POLL_S = 5.0  # how often a server looks for jobs and webhooks of others; its own need no looking


@dataclass(frozen=True, slots=True)
class Running:
    """The parts of a started application."""

    parts: Parts
    accounts: Accounts
    shop: Workshop
    service: Service
    listening: Listening
    speaking: Speaking
    http: Callable[[Scope, Receive, Send], Awaitable[None]]


class App:
    """Voxline as an ASGI application; ``specs`` (for tests and load tests) replace the engines of the settings."""

    def __init__(self, settings: Settings, *, specs: Sequence[EngineSpec] | None = None) -> None:
        self.settings = settings
        self.failure: str | None = None  # why the start failed, for the person who started it
        self.on_crash: Callable[[], None] = lambda: None  # called when it cannot go on: the process should be replaced
        self._specs = specs
        self._claims = claims(settings.bound_hosts)
        self._running: Running | None = None
        self._draining = False
        self._answering = 0  # HTTP requests
        self._answered = asyncio.Event()

    @property
    def parts(self) -> Parts:
        """The parts, once started."""
        return self._started().parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            enter(scope, self._claims)
            await self._open(Socket(scope, receive, send, send_deadline_s=self.settings.send_timeout))
        else:
            await self._answer(scope, receive, send)

    async def drain(self) -> None:
        """Refuse new sessions, and let the live ones have their last words (RELIABILITY P7)."""
        self._draining = True
        running = self._started()
        soft, hard = self.settings.drain_timeout, self.settings.drain_hard / 2
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.listening.drain(soft, hard))
            tasks.create_task(running.speaking.drain(soft, hard))
            tasks.create_task(self._drain_jobs(running, soft))
            tasks.create_task(self._drain_requests())

    async def _drain_jobs(self, running: Running, soft_s: float) -> None:
        """Jobs that end in time are answered; who waits for another is told where it is, and the job goes on later."""
        await running.shop.drain(soft_s)
        running.service.close()

    async def _drain_requests(self) -> None:
        """Replies that are being made are sent to their end; whoever ends the drain ends those that take too long."""
        while self._answering:
            self._answered.clear()
            await self._answered.wait()

    async def authenticate(self, secret: str) -> Caller | None:
        """Whose key, App token or single-use token this is; the last is spent by asking."""
        accounts = self._started().accounts
        identity = await accounts.identities.verify(secret)
        if identity is None:
            return None
        plan = await accounts.limits.of(identity.user_id)
        return Caller(str(identity.user_id), user_id=identity.user_id, sessions=plan.sessions)

    # -- inside ----------------------------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan: everything is warm before the first connection, and gone after the last."""
        await receive()
        try:
            async with self._run() as self._running:
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except (VoiceError, OSError) as error:
            if self._running is not None:
                raise
            self.failure = _explain(error)
            await send({"type": "lifespan.startup.failed", "message": self.failure})
            return
        finally:
            self.on_crash()  # in an orderly end the server is on its way out already
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Running]:
        settings, meter, catalogue = self.settings, Meter(CollectorRegistry()), Catalogue.load()
        async with opened(settings.database_url) as accounts:
            specs = choose_engines(settings) if self._specs is None else list(self._specs)
            fleet = Fleet(specs, observer=meter, now=time.monotonic)
            watch = meter.watch_loop(asyncio.get_running_loop())
            try:
                await fleet.start()
                parts = Parts(
                    settings=settings,
                    keys=accounts.keys,
                    tokens=accounts.tokens,
                    fleet=fleet,
                    catalogue=catalogue,
                    meter=meter,
                    gpu=find_gpu(),
                    ready=lambda: fleet.ready and not self._draining,
                )
                async with (
                    open_workshop(
                        settings, accounts, fleet, catalogue, jobs=settings.workers, poll_s=_POLL_S
                    ) as shop,
                    open_tabs(accounts, new_id=_new_id) as tabs,
                ):
                    lines = Lines(tabs, now=time.monotonic)
                    figures = BatchFigures(shop, meter.registry)
                    async with settling(lines):
                        yield self._assemble(replace(parts, figures=figures.update), accounts, shop, lines)
            finally:
                watch.stop()
                async with asyncio.timeout(_ENGINES_STOP_S):
                    await fleet.aclose()

    def _assemble(self, parts: Parts, accounts: Accounts, shop: Workshop, lines: Lines) -> Running:
        settings, now, new_id = self.settings, time.monotonic, _new_id
        session = SessionLimits(
            first_message=settings.first_message_timeout, idle=settings.idle_timeout, session=settings.session_seconds
        )
        listening = Listening(
            parts.fleet, self._admission(settings.sessions), parts.meter, lines, now=now, new_id=new_id, limits=session
        )
        speaking = Speaking(
            parts.fleet,
            parts.catalogue,
            self._admission(settings.sessions),
            parts.meter,
            lines,
            now=now,
            new_id=new_id,
            limits=session,
        )
        calls = Admission(Limits(0, settings.calls_per_key, 0, 0, 0), now=now)
        realtime = Realtime(parts.fleet, parts.catalogue, calls, parts.meter, self.authenticate, lines, now=now)
        routes, site, service = _batch_routes(parts, accounts, shop, lines)
        http = http_routes(parts, realtime, routes, site.missing)
        return Running(parts, accounts, shop, service, listening, speaking, http)

    def _admission(self, sessions: int) -> Admission:
        settings = self.settings
        limits = Limits(
            sessions=sessions,
            sessions_per_key=settings.sessions_per_key,
            sessions_per_address=settings.sessions_per_address,
            anonymous_per_day=settings.anonymous_per_day,
            anonymous_at_once=settings.anonymous_at_once,
        )
        return Admission(limits, now=time.monotonic)

    async def _open(self, socket: Socket) -> None:
        """A WebSocket: find its service and its caller, and leave the rest to the service."""
        running, path = self._started(), socket.path
        service = running.speaking if path in SPEAK_PATHS else running.listening
        try:
            if path not in LISTEN_PATHS + SPEAK_PATHS:
                raise VoiceError(Code.NOT_FOUND, f"There is no stream at {path}.")
            service.check(socket.address)  # first: to ask who it is spends a single-use token
            caller = await identify(socket, self.authenticate, anonymous=self.settings.anonymous)
        except VoiceError as error:
            await service.refuse(socket, error)
            return
        except Exception:  # the store, say: an answer all the same (P6)
            log.exception("a stream could not be opened", extra={"path": path})
            await service.refuse(socket, VoiceError(Code.INTERNAL, "Something went wrong here."))
            return
        await service.serve(socket, caller)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An HTTP request, logged without its query, and never answered with a traceback (P6)."""
        self._answering += 1
        began, status, path = time.monotonic(), 0, scope["path"]  # before it is moved to its dialect's routes

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            await self._started().http(scope, receive, sent)
        except Exception:
            log.exception("request failed", extra={"path": path})
            if not status:
                await error_response(scope["path"], INTERNAL)(scope, receive, sent)
        finally:
            self._answering -= 1
            self._answered.set()
            took = round((time.monotonic() - began) * 1000, 1)
            facts = {"method": scope["method"], "path": path, "status": status, "ms": took}
            log.log(logging.DEBUG if path in PROBE_PATHS else logging.INFO, "request", extra=facts)

    def _started(self) -> Running:
        if self._running is None:
            raise RuntimeError("the application has not been started")
        return self._running


def create_app(settings: Settings, *, specs: Sequence[EngineSpec] | None = None) -> App:
    """The application for these settings; ``specs`` take the place of their engines (never from the settings)."""
    return App(settings, specs=specs)


def _batch_routes(
    parts: Parts, accounts: Accounts, shop: Workshop, lines: Lines
) -> tuple[list[BaseRoute], Site, Service]:
    """The documented APIs over the batch half, the pages, and what takes orders for both."""
    settings, now = parts.settings, time.time
    half = Half(
        accounts=accounts,
        rates=shop.rates,
        queue=shop.queue,
        uploads=shop.uploads,
        artifacts=shop.artifacts,
        dispatch=shop.dispatch,
        media=shop.media,
        fleet=parts.fleet,
        catalogue=parts.catalogue,
        texts=shop.texts,
        lines=lines,
        meter=parts.meter,
    )
    service = service_of(half, now=now)

    async def webhook_secret(user_id: int) -> str:
        return (await shop.webhook_secrets.of(user_id)).current

    async def renew_webhook_secret(user_id: int) -> None:
        await shop.webhook_secrets.renew(user_id)

    desk = Desk(
        settings=settings,
        accounts=accounts,
        queue=shop.queue,
        service=service,
        media=shop.media,
        rates=shop.rates,
        throttle=Throttle(shop.rates),
        capabilities=lambda: parts.fleet.capabilities,
        webhook_secret=webhook_secret,
        renew_webhook_secret=renew_webhook_secret,
        now=now,
    )
    secure = settings.secure_cookies == "on" or (
        settings.secure_cookies == "auto" and settings.public_url.startswith("https://")
    )
    site = Site(desk, shop.uploads, _address, secure_cookies=secure)
    version = importlib.metadata.version("voxline")
    apis = api_routes(half, service, settings, now=now, ready=parts.ready, version=version)
    return [*apis, *site.routes()], site, service


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _new_id() -> str:
    return secrets.token_hex(8)


def _explain(error: Exception) -> str:
    install = error.facts.get("install") if isinstance(error, VoiceError) else None
    return f"{error} (to add it: {install})" if install else str(error)
