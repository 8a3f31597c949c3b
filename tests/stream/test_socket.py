"""The socket and its outbox, over a scripted ASGI server whose transport can be full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from stream.socket import Disconnected, Outbox, SendTimeout, Socket


class Transport:
    """The server's side of a connection; ``writable`` says whether a send is taken at once."""

    def __init__(self, **scope: Any) -> None:
        self.scope = {
            "type": "websocket", "path": "/v1/stream", "query_string": b"a=1&b=%C3%A9&a=2", "subprotocols": [],
            "headers": [(b"Host", b"x"), (b"x-two", b"1"), (b"X-Two", b"2")], "client": ("192.0.2.1", 1),
            "extensions": {"websocket.http.response": {}}, **scope,
        }  # fmt: skip
        self.incoming: list[dict[str, Any]] = [{"type": "websocket.connect"}]
        self.sent: list[dict[str, Any]] = []
        self.writable = asyncio.Event()
        self.writable.set()
        self.error: Exception | None = None

    async def receive(self) -> dict[str, Any]:
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(dict(message))

    def socket(self, deadline: float = 5.0) -> Socket:
        return Socket(self.scope, self.receive, self.send, send_deadline_s=deadline)

    @property
    def said(self) -> list[Any]:
        return [message.get("text", message.get("bytes")) for message in self.sent]


@asynccontextmanager
async def boxed(
    transport: Transport, deadline: float = 5.0, **limits: int
) -> AsyncIterator[tuple[Outbox, list[Exception]]]:
    """An outbox, and what broke it."""
    broken: list[Exception] = []
    async with asyncio.TaskGroup() as group:
        yield Outbox(transport.socket(deadline), group.create_task, broken.append, **limits), broken
        transport.writable.set()


# -- the request and the handshake -------------------------------------------------------------------


async def test_the_request() -> None:
    socket = Transport(subprotocols=["voxline", "x"]).socket()
    assert (socket.path, socket.address) == ("/v1/stream", "192.0.2.1")
    assert socket.header("HOST") == "x" and socket.header("x-two") == "1" and socket.header("y") is None
    assert socket.query("a") == "1" and socket.query("b") == "é" and socket.query("c") is None
    assert socket.subprotocols == ["voxline", "x"]
    assert Transport(client=None).socket().address == ""
    assert Transport(query_string=b"a=1&" * 200 + b"token=x").socket().query("token") is None


async def test_accept() -> None:
    transport = Transport()
    await transport.socket().accept("voxline", [(b"x-id", b"7")])
    accept = {"type": "websocket.accept", "subprotocol": "voxline", "headers": [(b"x-id", b"7")]}
    assert transport.sent == [accept]


async def test_a_client_that_does_not_wait_for_its_handshake() -> None:
    transport = Transport()
    transport.incoming = [{"type": "websocket.disconnect", "code": 1006}]
    with pytest.raises(Disconnected):
        await transport.socket().accept()


async def test_deny_is_an_http_answer() -> None:
    transport = Transport()
    socket = transport.socket()
    await socket.deny(429, b"{}", "application/json", [(b"retry-after", b"5")])
    start, body = transport.sent
    assert start["status"] == 429 and (b"retry-after", b"5") in start["headers"]
    assert (b"content-type", b"application/json") in start["headers"] and body["body"] == b"{}"
    await socket.close()  # nothing is left to close
    assert len(transport.sent) == 2


async def test_deny_where_the_server_knows_no_better() -> None:
    transport = Transport(extensions={})
    await transport.socket().deny(429, b"{}", "application/json")
    assert transport.sent == [{"type": "websocket.close"}]


# -- messages ----------------------------------------------------------------------------------------


async def test_receive() -> None:
    transport = Transport()
    transport.incoming = [
        {"type": "websocket.receive", "text": "a"},
        {"type": "websocket.receive", "bytes": b"b", "text": None},
        {"type": "websocket.receive", "bytes": b""},
        {"type": "websocket.disconnect", "code": 1001},
    ]
    socket = transport.socket()
    assert [await socket.receive() for _ in range(3)] == ["a", b"b", b""]
    with pytest.raises(Disconnected) as gone:
        await socket.receive()
    assert gone.value.code == 1001 and socket.closed


async def test_send_and_close() -> None:
    transport = Transport()
    socket = transport.socket()
    await socket.send("a")
    await socket.send(b"b")
    await socket.close(1008, "ấ" * 100)
    await socket.close(1000)
    assert transport.said[:2] == ["a", b"b"]
    assert len(transport.sent) == 3 and transport.sent[2]["code"] == 1008
    assert transport.sent[2]["reason"] == "ấ" * 41  # 123 bytes, whole letters


async def test_send_waits_for_a_full_transport() -> None:
    transport = Transport()
    transport.writable.clear()
    asyncio.get_running_loop().call_later(0.02, transport.writable.set)
    await transport.socket().send("late")
    assert transport.said == ["late"]


async def test_send_gives_up_after_its_deadline() -> None:
    transport = Transport()
    transport.writable.clear()
    socket = transport.socket(0.05)
    with pytest.raises(SendTimeout):
        await socket.send("never")
    assert socket.closed and transport.sent == []


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("Unexpected ASGI message")])
@pytest.mark.parametrize("late", [False, True])
async def test_a_client_that_has_gone(error: Exception, late: bool) -> None:
    transport = Transport()
    transport.error = error
    if late:
        transport.writable.clear()
        asyncio.get_running_loop().call_later(0.02, transport.writable.set)
    socket = transport.socket()
    with pytest.raises(Disconnected):
        await socket.send("x")
    await socket.close()
    assert socket.closed and transport.sent == []


async def test_a_cancelled_send_is_cancelled_inside_too() -> None:
    transport = Transport()
    transport.writable.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(transport.socket().send("x"))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    transport.writable.set()
    await asyncio.sleep(0)
    assert transport.sent == []


# -- outbox ------------------------------------------------------------------------------------------


async def test_put_sends_at_once_while_the_transport_takes_it() -> None:
    transport, sent = Transport(), []
    async with boxed(transport) as (box, _):
        box.put("a", on_sent=lambda: sent.append("a"))
        box.put(lambda: b"b")
        assert transport.said == ["a", b"b"] and sent == ["a"] and box.empty and not box.full


async def test_order_is_kept_and_a_newer_partial_replaces_an_unsent_one() -> None:
    transport, sent = Transport(), []
    transport.writable.clear()
    async with boxed(transport) as (box, _):
        box.put("first")
        await asyncio.sleep(0)
        for number in range(5):
            box.put(f"partial {number}", key="p", on_sent=lambda n=number: sent.append(n))  # type: ignore[misc]
        box.put("final")
        box.put("other partial", key="q")
        transport.writable.set()
        await box.flush()
    assert transport.said == ["first", "partial 4", "final", "other partial"]
    assert sent == [4]


async def test_a_full_box_drops_partials_and_keeps_finals() -> None:
    transport = Transport()
    transport.writable.clear()
    async with boxed(transport, events=3) as (box, broken):
        for name in ("sending", "f1", "f2", "f3"):
            box.put(name)
        assert box.full
        box.put("partial", key="p")
        box.put("f4")
        assert not broken
        transport.writable.set()
        async with asyncio.timeout(5):
            await box.room()
            await box.flush()
    assert transport.said == ["sending", "f1", "f2", "f3", "f4"]


async def test_bytes_are_bounded_too() -> None:
    transport = Transport()
    transport.writable.clear()
    async with boxed(transport, size=1000) as (box, broken):
        box.put(b"x")
        box.put(b"x" * 999)
        assert not box.full
        box.put(b"x")
        assert box.full
        box.put(b"x" * 1000)
        assert not broken
        box.put(b"x")
        assert isinstance(broken[0], SendTimeout) and box.broken is broken[0]
        assert box.clear() == []  # nothing is kept for a client that is given up


async def test_a_client_that_takes_nothing_breaks_the_box() -> None:
    transport = Transport()
    transport.writable.clear()
    async with boxed(transport, 0.05) as (box, broken):
        box.put("a")
        box.put("b")
        async with asyncio.timeout(5):
            await box.flush()
        assert isinstance(broken[0], SendTimeout) and len(broken) == 1
        box.put("c")
        assert box.empty
    assert transport.sent == []


async def test_a_client_that_has_gone_breaks_the_box() -> None:
    transport = Transport()
    async with boxed(transport) as (box, broken):
        transport.error = OSError("gone")
        box.put("a")
        assert isinstance(broken[0], Disconnected)
        transport.error = None
        box.put("b")
    assert transport.sent == []


async def test_clear_takes_back_what_was_not_begun() -> None:
    transport = Transport()
    transport.writable.clear()
    async with boxed(transport) as (box, _):
        box.put("begun")
        box.put("a", key="k")
        box.put(b"b")
        assert [(letter.data, letter.key) for letter in box.clear()] == [("a", "k"), (b"b", None)]
        box.put("after")
        transport.writable.set()
        await box.flush()
    assert transport.said == ["begun", "after"]


async def test_room_ends_when_the_session_is_cancelled() -> None:
    transport = Transport()
    transport.writable.clear()
    async with boxed(transport, events=1) as (box, _):
        box.put("a")
        box.put("b")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await box.room()
        assert box.full
