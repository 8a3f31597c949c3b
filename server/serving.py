"""From settings to a listening server and back: sockets, the event loop, the drain, the exit status."""

import asyncio
import errno
import gc
import os
from collections.abc import Callable, Sequence

import uvloop

from engines.registry import EngineSpec
from server.accounts import opened
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
    check_data(settings)
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


def check_data(settings: Settings) -> None:
    """Make the data directory, and raise StartError where the server may not write to what it keeps there.

    Made by another user, perhaps: a command that root ran once, and now the service.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot use {settings.data} as data directory: {error.strerror}") from None
    names = () if settings.database else ("voxline.db", "voxline.db-wal", "voxline.db-shm")
    for place in (settings.data, settings.data / "files", *(settings.data / name for name in names)):
        if place.exists() and not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise StartError(f"cannot write {place}: permission denied; run the server as its owner, or change that")


def first_key(settings: Settings) -> str | None:
    """An API key of the owner for a server that has none yet, to be shown once; None when it has one."""
    return asyncio.run(_first_key(settings))


async def _first_key(settings: Settings) -> str | None:
    async with opened(settings.database_url) as accounts:
        owner = await accounts.users.owner()
        return None if await accounts.keys.all() else (await accounts.keys.create("first key", user_id=owner.id))[0]


def forget_key(settings: Settings, key: str) -> None:
    """Take back a first key that nobody has seen, because the start failed: the next start shows one."""
    asyncio.run(_forget_key(settings, key))


async def _forget_key(settings: Settings, secret: str) -> None:
    async with opened(settings.database_url) as accounts:
        key = await accounts.keys.verify(secret)
        if key is not None:
            await accounts.keys.delete(key.id)
