"""A guarded server inside the test's own event loop, and raw connections to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from server.guard import Asgi, GuardedServer, listen
from server.protocols.connections import Connections
from server.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    port: int
    server: GuardedServer

    @property
    def connections(self) -> Connections:
        return cast(Connections, self.server.server_state)


async def lifespan(receive: Receive, send: Send) -> None:
    """The least an application has to say about its life."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def no_drain() -> None:
    """Nothing to wait for."""


@asynccontextmanager
async def serving(
    app: Asgi, *, drain: Callable[[], Awaitable[None]] = no_drain, **settings: object
) -> AsyncIterator[Served]:
    """Serve ``app`` on a free port of 127.0.0.1 until the block ends."""
    chosen = Settings(**{"drain_hard": 1.0, **settings})  # type: ignore[arg-type]
    sockets = listen("127.0.0.1", 0, user_timeout=chosen.tcp_user_timeout)
    started = asyncio.Event()
    server = GuardedServer(app, chosen, drain=drain, started=started.set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server._serve(sockets))
        async with asyncio.timeout(10):
            await started.wait()
        try:
            yield Served(sockets[0].getsockname()[1], server)
        finally:
            server.stop()


@dataclass(slots=True)
class Wire:
    """One raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self, within: float) -> float:
        """Seconds until the server ended the connection; TimeoutError when it does not in time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(within):
            with suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
        return loop.time() - began

    async def answer(self) -> bytes:
        """Status line and headers of one response."""
        async with asyncio.timeout(5):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """A connection to the server, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for a condition of the server that nothing announces."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - nothing in a connection announces it
            await asyncio.sleep(0.01)
