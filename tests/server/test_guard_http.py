"""Row S3 and its like: clients that stall, drip, hoard connections or send endless headers."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.server.serving import Message, Receive, Send, Wire, lifespan, serving, until, wire

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the length of the body."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    body = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


STALLS = {
    "nothing at all": (b"",),
    "half a request line": (b"GET / HT",),
    "empty lines": (b"\r\n", b"\r\n", b"\r\n"),
    "a header line at a time": (b"GET / HTTP/1.1\r\n", b"host: x\r\n", b"a: b\r\n", b"c: d\r\n"),
    "half a second request": (GET + b"GET / HTTP/1.1\r\nho",),
    "an empty line after a request": (GET, b"\r\n"),
    "a body that stops": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n", b"abc"),
    "chunks that stop": (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", b"3\r\nabc\r\n"),
}


@pytest.mark.parametrize("what", STALLS)
async def test_a_connection_that_stalls_is_aborted_at_its_deadline(what: str) -> None:
    async with serving(echo, header_timeout=0.5, body_timeout=0.5) as served, wire(served.port) as client:
        for piece in STALLS[what]:
            await client.send(piece)
            await asyncio.sleep(0.05)
        assert await client.gone(within=5) < 3
        await until(lambda: served.connections.held("127.0.0.1") == 0)


async def test_a_header_line_now_and_then_does_not_move_the_deadline() -> None:
    async with serving(echo, header_timeout=0.6) as served, wire(served.port) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises((ConnectionError, TimeoutError)):
            await client.send(b"GET / HTTP/1.1\r\n")
            async with asyncio.timeout(5):
                while True:
                    await client.send(b"x-more: y\r\n")
                    await asyncio.sleep(0.1)
        assert 0.5 < loop.time() - began < 3


async def test_fifty_slow_clients_go_and_a_normal_one_is_answered_meanwhile() -> None:
    """S3 at its per-commit count, with the deadline shortened."""
    async with serving(echo, header_timeout=1.5) as served, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(wire(served.port)) for _ in range(50)]
        for number, client in enumerate(slow):
            await client.send((b"", b"GET / HTTP/1.1\r\nhost: x\r\n")[number % 2])
        loop, waits = asyncio.get_running_loop(), list[float]()
        while not waits or (waits[-1] >= 0.2 and len(waits) < 3):  # what else the machine does is not theirs
            began = loop.time()
            async with wire(served.port) as normal:
                await normal.send(GET)
                assert b" 200 " in await normal.answer()
            waits.append(loop.time() - began)
        assert min(waits) < 0.2
        await asyncio.gather(*(client.gone(within=10) for client in slow))
        await until(lambda: served.connections.held("127.0.0.1") == 0)


async def test_one_address_gets_so_many_connections_and_its_place_back_when_one_ends() -> None:
    async with serving(echo, connections_per_address=3) as served, AsyncExitStack() as stack:
        for _ in range(3):
            client = await stack.enter_async_context(wire(served.port))
            await client.send(GET)
            assert b" 200 " in await client.answer()
        async with wire(served.port) as refused:
            assert await refused.gone(within=2) < 1
        assert served.connections.refused == 1 and served.connections.held("127.0.0.1") == 3
        client.writer.close()
        await until(lambda: served.connections.held("127.0.0.1") == 2)
        again = await stack.enter_async_context(wire(served.port))
        await again.send(GET)
        assert b" 200 " in await again.answer()


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "*"])
async def test_a_trusted_proxy_may_have_more(trusted: str) -> None:
    """Named by its address or its network, as those whose word on a client's address is taken."""
    async with serving(echo, connections_per_address=1, trusted_proxies=trusted) as served, AsyncExitStack() as s:
        for _ in range(4):
            client = await s.enter_async_context(wire(served.port))
            await client.send(GET)
            assert b" 200 " in await client.answer()


@pytest.mark.parametrize(
    ("trusted", "seen"), [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9"), ("10.0.0.1", "127.0.0.1")]
)
async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only(trusted: str, seen: str) -> None:
    clients: list[str] = []

    async def note(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            clients.append(scope["client"][0])
        await echo(scope, receive, send)

    async with serving(note, trusted_proxies=trusted) as served, wire(served.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.9\r\n\r\n")
        assert b" 200 " in await client.answer()
    assert clients == [seen]


@pytest.mark.parametrize("header", [b"x" * 300_000, b"a: b\r\n" * 20_000], ids=["one line", "many lines"])
async def test_headers_without_end_are_refused(header: bytes) -> None:
    async with serving(echo) as served, wire(served.port) as client:
        try:
            await client.send(b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + header)
            assert b" 431 " in await client.answer()
        except ConnectionError:
            pass  # the answer was lost in the reset that our unread headers cause
        assert await client.gone(within=2) < 2


async def test_a_slow_body_that_keeps_its_rate_is_waited_for() -> None:
    """Longer than the body's timeout in all, but each 64 KiB earns a second."""
    async with serving(echo, body_timeout=0.3) as served, wire(served.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (8 * 65536))
        for _ in range(8):
            await client.send(bytes(65536))
            await asyncio.sleep(0.1)
        assert b" 200 " in await client.answer()
        assert await client.reader.read(6) == b"524288"


async def test_a_body_is_not_late_while_it_is_the_application_that_does_not_read() -> None:
    release = asyncio.Event()

    async def lazy(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await release.wait()
        await echo(scope, receive, send)

    async with serving(lazy, body_timeout=0.2) as served, wire(served.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n" + bytes(200_000))
        await asyncio.sleep(0.7)
        release.set()
        await client.send(bytes(3_800_000))
        assert b" 200 " in await client.answer()


async def test_keep_alive_and_pipelined_requests_work_as_ever() -> None:
    async with serving(echo, header_timeout=0.3, body_timeout=0.3) as served, wire(served.port) as client:
        await client.send(GET + GET)
        for _ in range(2):
            assert b" 200 " in await client.answer()
            assert await client.reader.readexactly(1) == b"0"
        await asyncio.sleep(0.5)  # idle between requests is the keep-alive timer's business, not the header deadline's
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        assert b" 200 " in await client.answer()


OFFER = b"connection: keep-alive, Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAA\r\n"
OFFERING = b"POST / HTTP/1.1\r\nhost: x\r\n" + OFFER


@pytest.mark.parametrize("pieces", [1, 2, 7, 300])
async def test_a_request_that_offers_http_2_is_served_whole(pieces: int) -> None:
    """Java's client offers it with every request, and each was answered as if it had no body."""
    request = OFFERING + b"content-length: 100\r\n\r\n" + bytes(100)
    chunked = OFFERING + b"transfer-encoding: chunked\r\n\r\n64\r\n" + bytes(100) + b"\r\n0\r\n\r\n"
    async with serving(echo) as served, wire(served.port) as client:
        sent = request + chunked + request + GET
        step = -(-len(sent) // pieces)
        for at in range(0, len(sent), step):
            await client.send(sent[at : at + step])
            await asyncio.sleep(0)
        assert [await counted(client) for _ in range(4)] == [100, 100, 100, 0]


async def test_a_thousand_such_requests_in_one_go_are_answered_one_by_one() -> None:
    async with serving(echo) as served, wire(served.port) as client:
        await client.send((OFFERING + b"content-length: 3\r\n\r\nabc") * 1000)
        assert [await counted(client) for _ in range(1000)] == [3] * 1000


async def counted(client: Wire) -> int:
    """What ``echo`` counted."""
    answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 200 ")
    return int(await client.reader.readexactly(int(answer.partition(b"content-length: ")[2].split()[0])))


async def test_rubbish_gets_a_400_and_an_end() -> None:
    async with serving(echo) as served, wire(served.port) as client:
        await client.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert b" 400 " in await client.answer()
        assert await client.gone(within=2) < 1
