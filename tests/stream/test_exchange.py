"""One HTTP request on plain ASGI: limits and deadlines of its body and its answer."""

import asyncio
from typing import Any

import pytest

from protocol.errors import Code, VoiceError
from protocol.reply import Reply
from stream.exchange import Exchange
from stream.socket import Disconnected, Message, SendTimeout

SCOPE = {
    "type": "http", "method": "POST", "path": "/v1/tts", "client": ("10.0.0.1", 5),
    "headers": [(b"App-Id", b"x"), (b"X-Name", "é".encode("latin-1"))],
}  # fmt: skip


class Peer:
    """The server's side of ASGI, as a script."""

    def __init__(self, *incoming: Message, block: bool = False, broken: bool = False) -> None:
        self.incoming = list(incoming)
        self.sent: list[Message] = []
        self.block = block
        self.broken = broken

    async def receive(self) -> Message:
        if not self.incoming:
            await asyncio.Event().wait()
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError("gone")
        if self.block:
            await asyncio.Event().wait()
        self.sent.append(message)


def exchange(peer: Peer, **options: Any) -> Exchange:
    return Exchange(dict(SCOPE), peer.receive, peer.send, **options)


def body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_request_is_read_whole() -> None:
    found = exchange(Peer(body(b"ab", more=True), {"type": "http.request", "more_body": True}, body(b"c", more=False)))
    assert (found.method, found.path, found.address) == ("POST", "/v1/tts", "10.0.0.1")
    assert found.headers == {"app-id": "x", "x-name": "é"}
    assert await found.read(3, 1.0) == b"abc"


async def test_a_body_has_limits() -> None:
    with pytest.raises(VoiceError) as caught:
        await exchange(Peer(body(b"abcd", more=True))).read(3, 1.0)
    assert caught.value.code is Code.TOO_LARGE
    with pytest.raises(VoiceError) as caught:
        await exchange(Peer(body(b"abc", more=True))).read(3, 0.02)
    assert caught.value.code is Code.TIMEOUT
    with pytest.raises(Disconnected):
        await exchange(Peer(body(b"abc", more=True), {"type": "http.disconnect"})).read(3, 1.0)


async def test_gone_waits_for_the_end() -> None:
    with pytest.raises(Disconnected):
        await exchange(Peer({"type": "http.request"}, {"type": "http.disconnect"})).gone()


async def test_a_reply_and_a_stream() -> None:
    peer = Peer()
    await exchange(peer).reply(Reply(404, b"no", ((b"x", b"y"),), "text/plain"))
    assert peer.sent[0] == {
        "type": "http.response.start", "status": 404,
        "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2"), (b"x", b"y")],
    }  # fmt: skip
    assert peer.sent[1] == {"type": "http.response.body", "body": b"no", "more_body": False}
    peer = Peer()
    streamed = exchange(peer)
    assert not streamed.started
    await streamed.stream(b"a", "audio/mpeg")
    assert streamed.started
    await streamed.stream(b"b", "audio/mpeg")
    await streamed.finish()
    assert [message.get("body") for message in peer.sent] == [None, b"a", b"b", b""]
    assert [message.get("more_body") for message in peer.sent] == [None, True, True, False]


async def test_a_client_that_takes_nothing() -> None:
    with pytest.raises(SendTimeout):
        await exchange(Peer(block=True), send_deadline_s=0.02).stream(b"a", "audio/mpeg")
    with pytest.raises(Disconnected):
        await exchange(Peer(broken=True)).stream(b"a", "audio/mpeg")
