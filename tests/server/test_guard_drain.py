"""Stopping (M6, M7, row S9): the server listens while it drains, and waits no longer than it was told to."""

import asyncio
import signal

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server.serving import Message, Receive, Send, lifespan, serving


class Sessions:
    """Sessions that say goodbye when they are told to end; a stand-in for the live core."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.ending = asyncio.Event()
        self.live = 0
        self.none = asyncio.Event()
        self._stubborn = stubborn

    async def drain(self) -> None:
        self.ending.set()
        if self.live:
            await self.none.wait()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await receive()
        if self.ending.is_set():
            await send({"type": "websocket.http.response.start", "status": 503, "headers": [(b"retry-after", b"5")]})
            await send({"type": "websocket.http.response.body", "body": b"{}"})
            return
        await send({"type": "websocket.accept"})
        self.live += 1
        if self._stubborn:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        else:
            await self.ending.wait()
            await send({"type": "websocket.send", "text": "your last words"})
            await send({"type": "websocket.close", "code": 1012})
        self.live -= 1
        if not self.live:
            self.none.set()


async def test_live_sessions_get_their_last_words_while_new_ones_get_503() -> None:
    app = Sessions()

    async def drain() -> None:
        with pytest.raises(InvalidStatus) as refused:
            app.ending.set()
            await connect(f"ws://127.0.0.1:{served.port}/ws")
        assert refused.value.response.status_code == 503 and refused.value.response.headers["retry-after"] == "5"
        await app.drain()

    async with serving(app, drain=drain) as served, connect(f"ws://127.0.0.1:{served.port}/ws") as client:
        served.server.handle_exit(signal.SIGTERM, None)
        assert await client.recv() == "your last words"
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd and closed.value.rcvd.code == 1012


async def test_a_session_that_does_not_end_is_closed_when_the_time_is_up() -> None:
    app = Sessions(stubborn=True)
    loop = asyncio.get_running_loop()
    async with (
        serving(app, drain=app.drain, drain_timeout=0.3) as served,
        connect(f"ws://127.0.0.1:{served.port}/ws") as client,
    ):
        began = loop.time()
        served.server.handle_exit(signal.SIGTERM, None)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd and closed.value.rcvd.code == 1012
        assert 0.3 <= loop.time() - began < 3


async def test_a_second_signal_ends_the_wait_at_once() -> None:
    app = Sessions(stubborn=True)
    loop = asyncio.get_running_loop()
    async with (
        serving(app, drain=app.drain, drain_timeout=60) as served,
        connect(f"ws://127.0.0.1:{served.port}/ws") as client,
    ):
        began = loop.time()
        served.server.handle_exit(signal.SIGTERM, None)
        await app.ending.wait()
        served.server.handle_exit(signal.SIGTERM, None)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert loop.time() - began < 3
