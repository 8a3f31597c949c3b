"""WebSockets under abuse: clients that never read, freeze, flood, fragment or send too much (rows S1, S2, S4, S6)."""

import asyncio
import json
import os
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.guard import GuardedServer
from server.protocols.connections import Connections, GuardLimits
from server.protocols.websocket import GuardedWebSocket
from server.settings import Settings
from tests.server.serving import Message, Receive, Send, Served, Wire, lifespan, serving, until, wire

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CONTINUATION, PING = 1, 2, 0, 9


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    """One client frame, masked with zeros."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", 0x80 | 126, len(payload))
    else:
        head += struct.pack("!BQ", 0x80 | 127, len(payload))
    return head + bytes(4) + payload


class Recorder:
    """An application that notes what it gets, can be told to send, and when its session is over."""

    def __init__(self, *, read: bool = True, send: bytes = b"") -> None:
        self.sizes: list[int] = []
        self.code: int | None = None
        self.over = asyncio.Event()
        self.reading = asyncio.Event()
        if read:
            self.reading.set()
        self._send = send

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        try:
            await receive()
            await send({"type": "websocket.accept"})
            while self._send:
                await send({"type": "websocket.send", "bytes": self._send})
            while self.code is None:
                await self.reading.wait()
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    self.code = message["code"]
                else:
                    self.sizes.append(len(message.get("bytes") or message["text"].encode()))
        except OSError:
            pass  # how uvicorn tells a sender that the client has gone
        finally:
            self.over.set()


@asynccontextmanager
async def upgraded(port: int) -> AsyncIterator[Wire]:
    """A raw connection past its handshake."""
    async with wire(port) as client:
        await client.send(UPGRADE)
        assert b" 101 " in await client.answer()
        yield client


def protocol_of(served: Served) -> GuardedWebSocket:
    """The server's side of the only connection."""
    return cast(GuardedWebSocket, next(iter(served.connections.connections)))


async def closing_code(client: Wire) -> int:
    """The code of the close frame that comes, other frames skipped."""
    async with asyncio.timeout(5):
        while True:
            head = await client.reader.readexactly(2)
            payload = await client.reader.readexactly(head[1])
            if head[0] & 15 == 8:
                return int(struct.unpack("!H", payload[:2])[0])


async def test_deflate_is_not_negotiated() -> None:
    async with serving(Recorder()) as served, connect(f"ws://127.0.0.1:{served.port}/ws") as client:
        assert "Sec-WebSocket-Extensions" not in client.response.headers  # type: ignore[union-attr]


async def test_a_deflate_bomb_is_refused() -> None:
    """M8: 15 KB that would be 15 MiB; the bit that says "compressed" was never agreed on."""
    bomb = zlib.compress(bytes(15 << 20))
    async with serving(Recorder()) as served, upgraded(served.port) as client:
        await client.send(frame(BINARY, bomb, reserved=4))
        assert await closing_code(client) == 1002


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1])
async def test_a_message_may_have_256_kib(size: int) -> None:
    app = Recorder()
    async with serving(app) as served, connect(f"ws://127.0.0.1:{served.port}/ws", max_size=None) as client:
        await client.send(bytes(size))
        if size <= 256 * 1024:
            await until(lambda: app.sizes == [size])
        else:
            told = json.loads(await client.recv())
            assert (told["code"], told["fatal"]) == ("too_large", True)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd and closed.value.rcvd.code == 1009


async def test_fragments_add_up_to_the_same_limit() -> None:
    async with serving(Recorder()) as served, upgraded(served.port) as client:
        await client.send(frame(BINARY, bytes(200_000), fin=False))
        await client.send(frame(CONTINUATION, bytes(200_000), fin=False))
        assert await closing_code(client) == 1009


async def test_empty_fragments_without_end_are_refused() -> None:
    async with serving(Recorder()) as served, upgraded(served.port) as client:
        await client.send(frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 2000)
        assert await closing_code(client) == 1009


async def test_a_message_in_pieces_arrives_whole() -> None:
    app = Recorder()
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(frame(BINARY, b"ab", fin=False) + frame(PING, b"x") + frame(CONTINUATION, b"cd"))
        await until(lambda: app.sizes == [4])


async def test_a_flood_of_tiny_frames_waits_as_bytes_and_is_all_delivered() -> None:
    """S4: what the application has not asked for is not turned into events by the ten thousand."""
    app = Recorder(read=False)
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(frame(BINARY, b"x") * 30_000)
        protocol = next(iter(served.connections.connections))
        await until(lambda: protocol.read_paused)  # type: ignore[union-attr]
        assert protocol.queue.qsize() < 3000  # type: ignore[union-attr]
        app.reading.set()
        await until(lambda: len(app.sizes) == 30_000)


async def test_a_client_that_pings_and_never_reads_does_not_fill_our_buffer() -> None:
    async with serving(Recorder(), tcp_user_timeout=30) as served, wire(served.port) as client:
        own = client.writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(UPGRADE)
        await until(lambda: len(served.connections.tasks) == 1)
        protocol = next(iter(served.connections.connections))
        for _ in range(100):
            client.writer.write(frame(PING, bytes(125)) * 1000)
        await until(lambda: protocol.transport.is_closing())
        assert protocol.transport.get_write_buffer_size() < 1 << 20
        client.writer.transport.abort()  # else it waits for the rest to be taken


async def test_a_flood_of_pings_ends_the_connection() -> None:
    """S4: no session sees them, so none could limit them. A hundred are answered, in order."""
    async with serving(Recorder()) as served, upgraded(served.port) as client:
        for number in range(1000):
            client.writer.write(frame(PING, b"%03d" % number))
        for number in range(100):
            assert await client.reader.readexactly(5) == b"\x8a\x03%03d" % number
        assert await closing_code(client) == 1008


async def test_what_was_not_read_yet_goes_with_its_client() -> None:
    """S1: a client that was held back, and has gone, is not served to the end."""
    app = Recorder(read=False)
    async with serving(app) as served:
        async with upgraded(served.port) as client:
            await client.send(frame(BINARY, b"x") * 3000)
            await until(lambda: protocol_of(served).queue.qsize() > 1)
            protocol_of(served).transport.abort()
        app.reading.set()
        await until(lambda: app.code is not None)
        assert len(app.sizes) <= 1


async def test_a_client_that_never_reads_is_freed_by_the_tcp_timeout() -> None:
    """M1, M3: neither pings nor a close frame get through a full buffer; the socket option does."""
    app = Recorder(send=bytes(32768))
    async with serving(app, tcp_user_timeout=1.0) as served, wire(served.port) as client:
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(UPGRADE)
        async with asyncio.timeout(15):
            await app.over.wait()
        await until(lambda: served.connections.held("127.0.0.1") == 0)


async def test_a_frozen_client_is_freed_by_the_ping() -> None:
    """M4: the connection is fine, nobody answers."""
    app = Recorder()
    async with serving(app, ping_interval=0.2, ping_timeout=0.3) as served, upgraded(served.port) as client:
        await client.send(frame(BINARY, bytes(640)) * 10)
        async with asyncio.timeout(5):
            await app.over.wait()
        await until(lambda: served.connections.held("127.0.0.1") == 0)


async def test_a_frozen_client_in_mid_speech_is_freed_by_the_ping_too() -> None:
    """The close frame would wait behind the speech: the connection is aborted."""
    app = Recorder(send=bytes(32768))
    async with serving(app, ping_interval=0.2, ping_timeout=0.3) as served, wire(served.port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(UPGRADE)
        async with asyncio.timeout(5):
            await app.over.wait()


async def test_who_talks_is_pinged_often_and_who_is_silent_rarely() -> None:
    app = Recorder()
    async with serving(app, ping_interval=10.0) as served, upgraded(served.port) as client:
        protocol = cast(GuardedWebSocket, next(iter(served.connections.connections)))

        def gap() -> float:
            assert protocol.ping_timer is not None
            return round(protocol.ping_timer.when() - protocol.loop.time())

        assert gap() == 18
        await client.send(frame(BINARY, b"keepalive"))
        await until(lambda: len(app.sizes) == 1)
        assert gap() == 18
        await client.send(frame(BINARY, b"audio") * 10)
        await until(lambda: len(app.sizes) == 11)
        assert gap() == 10
        protocol.schedule_ping()  # as after the pong, still talking
        assert gap() == 10
        protocol.schedule_ping()  # and after a silence
        assert gap() == 18


@pytest.mark.parametrize(("clients", "gap"), [(1, 18), (350, 18), (1_000, 50), (10_000, 500)])
def test_silent_clients_are_pinged_as_often_as_their_number_allows(clients: int, gap: int) -> None:
    """A frozen one is to be gone within 30 s (a ping may take 10 s); thousands must cost next to nothing."""
    connections = Connections(GuardLimits(connections_per_address=0))
    for _ in range(clients):
        assert connections.enter("192.0.2.1")
    assert round(connections.idle_ping_gap(10.0)) == gap
    assert connections.idle_ping_gap(900.0) == 900.0
    for _ in range(clients):
        connections.leave("192.0.2.1")
    assert connections.idle_ping_gap(10.0) == 18.0


@pytest.mark.parametrize(("idle_timeout", "gap"), [(60.0, 500), (61.0, 60)])
def test_a_line_that_may_be_silent_for_long_is_kept_open(idle_timeout: float, gap: int) -> None:
    """A proxy cuts what is silent for a minute; where the session ends by then anyway, nobody needs to be asked."""
    app = Recorder()

    async def drained() -> None:
        """Nothing is open."""

    server = GuardedServer(app, Settings(idle_timeout=idle_timeout, connections_per_address=0), drain=drained)
    state = cast(Connections, server.server_state)
    for _ in range(10_000):
        assert state.enter("192.0.2.1")
    assert round(state.idle_ping_gap(10.0)) == gap


async def test_silent_clients_are_pinged_together() -> None:
    """Each ping at a time of its own wakes the server twice, which cost more than the pings."""
    async with serving(Recorder(), ping_interval=10.0) as served, upgraded(served.port), upgraded(served.port):
        for protocol in served.connections.connections:
            timer = cast(GuardedWebSocket, protocol).ping_timer
            assert timer is not None
            shares = timer.when() / 0.2
            assert shares == pytest.approx(round(shares), abs=0.011)  # uvloop keeps milliseconds


async def test_frames_in_the_segment_of_the_upgrade_are_not_lost() -> None:
    """RFC 6455 has a client wait for the 101, yet some do not; what httptools left over was dropped."""
    app = Recorder()
    async with serving(app) as served, wire(served.port) as client:
        await client.send(UPGRADE + frame(BINARY, b"early") + frame(PING) + frame(BINARY, b"bird"))
        await until(lambda: len(app.sizes) == 2)
        await client.send(frame(BINARY, b"and later"))
        await until(lambda: len(app.sizes) == 3)
        assert app.sizes == [5, 4, 9]
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 101 "), "a pong came before it"


async def test_a_ping_in_the_segment_of_the_upgrade_does_not_stop_the_reading() -> None:
    app = Recorder()
    async with serving(app) as served, wire(served.port) as client:
        await client.send(UPGRADE + frame(PING))
        assert b" 101 " in await client.answer()
        await client.send(frame(BINARY, b"later"))
        await until(lambda: app.sizes == [5])


@pytest.mark.parametrize("extra", [b"long: " + b"x" * 9000, b"\r\n".join(b"h%d: x" % n for n in range(200))])
async def test_a_handshake_with_too_much_in_it_is_told_so_and_does_not_stay_open(extra: bytes) -> None:
    """A browser with many cookies saw its connection cut, and nobody could tell why."""
    async with serving(Recorder()) as served, wire(served.port) as client:
        await client.send(UPGRADE[:-2] + extra + b"\r\n\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 431 ")
        assert await client.gone(within=3) < 2
        await until(lambda: served.connections.held("127.0.0.1") == 0)


async def test_a_handshake_that_is_no_get_is_told_so() -> None:
    async with serving(Recorder()) as served, wire(served.port) as client:
        await client.send(UPGRADE.replace(b"GET ", b"POST "))
        assert (await client.answer()).startswith(b"HTTP/1.1 405 ")
        assert await client.gone(within=3) < 2
        await until(lambda: served.connections.held("127.0.0.1") == 0)


@pytest.mark.parametrize("how", ["fin", "rst", "close frame"])
async def test_a_client_that_leaves_frees_its_place_at_once(how: str) -> None:
    app = Recorder()
    async with serving(app) as served:
        client = socket.create_connection(("127.0.0.1", served.port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, UPGRADE)
        assert b" 101 " in await loop.sock_recv(client, 4096)
        if how == "rst":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "close frame":
            await loop.sock_sendall(client, frame(8, struct.pack("!H", 1000)))
        if how != "close frame":
            client.close()
        async with asyncio.timeout(2):
            await app.over.wait()
        assert app.code == {"fin": 1005, "rst": 1005, "close frame": 1000}[how]
        await until(lambda: served.connections.held("127.0.0.1") == 0, within=2)
        client.close()


async def test_invalid_text_is_closed_with_1007() -> None:
    async with serving(Recorder()) as served, upgraded(served.port) as client:
        await client.send(frame(TEXT, b"\xff\xfe"))
        assert await closing_code(client) == 1007


@pytest.mark.parametrize(
    ("data", "code", "close"),
    [
        (frame(TEXT, b"\xff\xfe"), "bad_request", 1007),
        (frame(BINARY, b"x", reserved=4), "bad_request", 1002),
        (frame(BINARY, bytes(4 << 20)), "too_large", 1009),
        (frame(PING) * 200, "too_fast", 1008),
    ],
    ids=["not UTF-8", "not the protocol", "4 MiB", "pings"],
)
async def test_a_failed_connection_is_told_why_before_the_close(data: bytes, code: str, close: int) -> None:
    """Once the close frame came bare; and a client still sending its megabytes saw a reset instead."""
    app = Recorder()
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(data)
        opcode, payload = 10, b""
        async with asyncio.timeout(5):
            while opcode == 10:  # pongs
                head = await client.reader.readexactly(2)
                opcode, payload = head[0] & 15, await client.reader.readexactly(head[1])
        told = json.loads(payload)
        assert (opcode, told["code"], told["fatal"]) == (TEXT, code, True) and told["error"]
        assert await closing_code(client) == close
        await app.over.wait()
        assert app.code == close
        assert await client.reader.read() == b"", "then the connection ends"


async def test_random_bytes_after_the_handshake_end_the_connection_and_nothing_else() -> None:
    app = Recorder()
    async with serving(app) as served:
        for _ in range(20):
            async with upgraded(served.port) as client:
                await client.send(b"\xf7" + os.urandom(2000))  # a reserved opcode, then anything
                await client.gone(within=5)
        await until(lambda: served.connections.held("127.0.0.1") == 0)


async def test_a_client_that_is_held_back_is_not_taken_for_dead() -> None:
    """A caller far ahead of real time was not read from for a while, by design; its pong waited behind its own audio,
    and the keepalive closed it with 1011 for that."""
    recorder = Recorder(read=False)
    async with (
        serving(recorder, ping_interval=0.1, ping_timeout=0.1) as served,
        connect(f"ws://127.0.0.1:{served.port}/ws", compression=None, ping_interval=None) as client,
    ):
        for _ in range(20):
            await client.send(bytes(1000))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.wait_closed(), 0.8)
        recorder.reading.set()
        await until(lambda: len(recorder.sizes) == 20)


async def test_a_client_whose_line_is_slow_is_not_taken_for_dead() -> None:
    """Its pong waits behind its audio for longer than a pong may take; but the audio comes."""
    app = Recorder()
    async with serving(app, ping_interval=0.1, ping_timeout=0.2) as served, upgraded(served.port) as client:
        loop = asyncio.get_running_loop()
        until_then = loop.time() + 1.0
        while loop.time() < until_then:
            await client.send(frame(BINARY, b"xy"))
            await asyncio.sleep(0.02)
        assert app.code is None
        async with asyncio.timeout(5):
            await app.over.wait()  # and then it says nothing more


async def test_a_client_that_reads_slowly_is_not_taken_for_dead() -> None:
    """Our ping waits behind what it has not read yet; but it reads."""
    app = Recorder(send=bytes(8192))
    async with serving(app, ping_interval=0.1, ping_timeout=0.4) as served, upgraded(served.port) as client:
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        loop = asyncio.get_running_loop()
        until_then = loop.time() + 1.5
        while loop.time() < until_then:
            assert await client.reader.readexactly(65536)
            await asyncio.sleep(0.02)
        assert not app.over.is_set()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await app.over.wait()
        client.writer.transport.abort()


async def test_the_farewell_of_a_client_is_heard_behind_all_it_said() -> None:
    """What nobody took any more stood before its close frame, and both sides waited for each other for ten seconds."""
    began = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await began.wait()
        await send({"type": "websocket.close", "code": 1008})

    async with serving(app) as served, wire(served.port) as client:
        await client.send(UPGRADE)
        assert b" 101 " in await client.answer()
        await client.send(frame(BINARY, bytes(4000)) * 20)
        await until(lambda: served.connections.held("127.0.0.1") == 1)
        began.set()
        await client.send(frame(8, b"\x03\xf0"))
        assert await client.gone(within=5) < 3
