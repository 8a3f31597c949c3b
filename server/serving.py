"""From settings to a listening server and back: sockets, the event loop, the drain, the exit status."""

import asyncio
import errno
import gc
import time
from collections.abc import Callable, Sequence

import uvloop

from accounts.keys import Keys
from accounts.store import open_store
from engines.registry import EngineSpec
from server.app import App, create_app
from server.guard import GuardedServer, listen
from server.settings import Settings


class StartError(Exception):
    """The server cannot start; the message says why, and what to do."""


def serve(
    settings: Settings,
    *,
    started: Callable[[App, int], None],
    specs: Sequence[EngineSpec] | None = None,
) -> int:
    """Serve until a signal: 0 after a clean end, 1 when it was cut short. ``started`` gets the app and the port.

    Raises StartError when the port is taken, the data directory cannot be used or no engine comes up.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot use {settings.data} as data directory: {error.strerror}") from None
    try:
        sockets = listen(settings.host, settings.port, user_timeout=settings.tcp_user_timeout)
    except OSError as error:
        port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        where, advice = f"{settings.host}:{settings.port}", f"choose another with {'--port' if port else '--host'}"
        raise StartError(f"cannot listen on {where} ({error.strerror}); {advice}") from None
    app = create_app(settings, specs=specs)

    def announce() -> None:
        gc.collect()
        gc.freeze()  # what a start leaves behind lives as long as the server: no collection need look at it
        started(app, sockets[0].getsockname()[1])

    server = GuardedServer(app, settings, drain=app.drain, started=announce)
    app.on_crash = server.stop
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets))
    except SystemExit:
        raise StartError(app.failure or "the application did not start; its log says why") from None
    finally:
        for bound in sockets:
            bound.close()
    return 1 if server.force_exit else 0


def first_key(settings: Settings) -> str | None:
    """An API key for a server that has none yet, to be shown once; None when it has one."""
    return asyncio.run(_first_key(settings))


async def _first_key(settings: Settings) -> str | None:
    store = await open_store(settings.database_url)
    try:
        keys = Keys(store, now=time.time, tick=time.monotonic)
        return None if await keys.all() else (await keys.create("first key"))[0]
    finally:
        await store.aclose()


def forget_key(settings: Settings, key: str) -> None:
    """Take back a first key that nobody has seen, because the start failed: the next start shows one."""
    asyncio.run(_forget_key(settings, key))


async def _forget_key(settings: Settings, secret: str) -> None:
    store = await open_store(settings.database_url)
    try:
        keys = Keys(store, now=time.time, tick=time.monotonic)
        key = await keys.verify(secret)
        if key is not None:
            await keys.delete(key.id)
    finally:
        await store.aclose()
