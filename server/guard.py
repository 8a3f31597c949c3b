"""A uvicorn server that no client can hold up, and that stops without losing a word.

What uvicorn does not do by itself: deadlines for headers and bodies and a cap on the connections of one address
(``server.protocols``), freeing a client that never reads or whose cable was cut (socket options here), and letting
live sessions finish on SIGTERM before their sockets close (``drain`` here).
"""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import cast

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.middleware.proxy_headers import _TrustedHosts

from server.protocols.connections import Connections, GuardLimits
from server.protocols.http import GuardedHttp
from server.protocols.websocket import GuardedWebSocket
from server.settings import Settings
from stream.socket import Receive, Scope, Send

Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

WEBSOCKET_MAX_BYTES = 256 * 1024
_BACKLOG = 2048
_TICK_S = 1.0  # the date that every reply carries is one of whole seconds
_PROXY_PATIENCE_S = 60.0
_KEEPALIVE_IDLE, _KEEPALIVE_GAP, _KEEPALIVE_COUNT = 8, 5, 4  # with 20 s user timeout, a cut cable shows in 28 s
_UNSENT_BYTES = 64 * 1024  # the kernel's own buffer, megabytes, would hide a client's pace from the send deadline

log = logging.getLogger("voxline.guard")


class GuardedServer(uvicorn.Server):
    """Serves ``app`` on ``sockets``. On SIGTERM or SIGINT it calls ``drain`` while it still listens, so that new
    sessions can be told to go elsewhere and live ones can end; a second signal ends everything at once."""

    def __init__(
        self,
        app: Asgi,
        settings: Settings,
        *,
        drain: Callable[[], Awaitable[None]],
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self._told_to_stop = asyncio.Event()
        super().__init__(_config(cast(ASGI3Application, app), settings))
        self.server_state = Connections(
            GuardLimits(
                header_timeout=settings.header_timeout,
                body_timeout=settings.body_timeout,
                connections_per_address=settings.connections_per_address,
                # The very list by which uvicorn believes them: networks, too.
                trusted=_TrustedHosts(list(settings.trusted_proxies)).__contains__,
                ping_interval_idle=_longest_silence(settings),
            )
        )
        self._drain = drain
        self._drain_timeout = settings.drain_timeout
        self._drain_scope: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = started

    def stop(self) -> None:
        """Begin the drain, as a first signal would."""
        self.should_exit = True
        self._told_to_stop.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the first begins the drain, the second ends it. None is raised again, so that a clean end is 0."""
        if self.should_exit and not self.force_exit:
            self.force_exit = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._hurry)
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told_to_stop.set)

    async def main_loop(self) -> None:
        """Until told to stop; meanwhile replies are kept to the second.

        uvicorn's own looks for both ten times a second, which is much of what a server without work would use.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._told_to_stop.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then let uvicorn close what is left (WebSockets with 1012) and stop the application."""
        log.info("draining", extra={"timeout": self._drain_timeout})
        try:
            async with asyncio.timeout(0 if self.force_exit else self._drain_timeout) as self._drain_scope:
                await self._drain()
        except TimeoutError:
            log.warning("drain cut short", extra={"forced": self.force_exit})
        self._drain_scope = None
        await super().shutdown(sockets)

    def _hurry(self) -> None:
        if self._drain_scope is not None and not self._drain_scope.expired():
            self._drain_scope.reschedule(0)


def _longest_silence(settings: Settings) -> float:
    """Seconds that may pass on a silent connection without a ping.

    Where sessions may be silent for longer than a minute, proxies, which often cut such a line, are to see something.
    """
    return max(_PROXY_PATIENCE_S, settings.ping_interval) if settings.idle_timeout > _PROXY_PATIENCE_S else math.inf


def listen(host: str, port: int, *, user_timeout: float) -> list[socket.socket]:
    """Bound sockets for every address of ``host`` (one port for all of them, a free one for 0). Raises OSError.

    ``TCP_USER_TIMEOUT`` and keepalive are inherited by accepted connections: the first frees a client that never
    reads (its zero window counts as unacknowledged data), both together one that vanished without a word.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, number, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            bound = socket.socket(family, kind, number)
            sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _keep_alive(bound, user_timeout)
            bound.bind((address[0], port, *address[2:]))
            port = bound.getsockname()[1]
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _keep_alive(bound: socket.socket, user_timeout: float) -> None:
    options = {
        "TCP_USER_TIMEOUT": math.ceil(user_timeout * 1000),
        "TCP_KEEPIDLE": _KEEPALIVE_IDLE,
        "TCP_KEEPINTVL": _KEEPALIVE_GAP,
        "TCP_KEEPCNT": _KEEPALIVE_COUNT,
        "TCP_NOTSENT_LOWAT": _UNSENT_BYTES,
    }
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has each of them
            bound.setsockopt(socket.IPPROTO_TCP, option, value)


def _config(app: ASGI3Application, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=GuardedHttp,
        ws=GuardedWebSocket,
        interface="asgi3",
        lifespan="on",
        ws_max_size=WEBSOCKET_MAX_BYTES,
        ws_ping_interval=settings.ping_interval,
        ws_ping_timeout=settings.ping_timeout,
        ws_per_message_deflate=False,  # two to four times the memory, and a way in for bombs; sound gains nothing
        log_config=None,
        access_log=False,  # it would log query strings, and tokens with them
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=math.ceil(settings.drain_hard),
        backlog=_BACKLOG,
    )
