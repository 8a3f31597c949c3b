"""X2, one attempt: real receivers that fail in every way, and TLS to an address we chose. X1: names that rebind."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpcore
import pytest

from batch.addresses import read_url
from batch.webhooks import Answer, Sender
from tests.batch.receiver import Receiver, make_certificate, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def sender() -> Sender:
    """As patient as a busy machine may need: an answer that is there is not to be missed."""
    return Sender(allow_private=True, timeout_s=10.0)


@pytest.fixture
def hasty() -> Sender:
    return Sender(allow_private=True, timeout_s=0.5)


async def send(sender: Sender, url: str, body: bytes = b"{}") -> Answer:
    return await sender.post(read_url(url, allow_private=True), {"webhook-id": "msg_1"}, body)


@pytest.mark.parametrize("status", [200, 201, 204, 299, 301, 302, 308, 400, 404, 410, 500])
async def test_the_status_is_what_counts(receiver: Receiver, sender: Sender, status: int) -> None:
    assert await send(sender, receiver.url(f"/{status}"), b'{"a": 1}') == Answer(status)
    (heard,) = receiver.heard  # a redirect was not followed
    assert heard.body == b'{"a": 1}' and heard.headers["content-type"] == "application/json"
    assert heard.headers["webhook-id"] == "msg_1" and heard.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("manner", ["/429-120", "/503-120"])
async def test_a_receiver_can_ask_to_be_left_alone(receiver: Receiver, sender: Sender, manner: str) -> None:
    assert await send(sender, receiver.url(manner)) == Answer(int(manner[1:4]), 120.0)


@pytest.mark.parametrize("manner", ["/429-999999999", "/429-soon", "/429--5", "/500-120"])
async def test_but_not_for_ever_and_not_in_riddles(receiver: Receiver, sender: Sender, manner: str) -> None:
    assert (await send(sender, receiver.url(manner))).retry_after in (0.0, 86_400.0)


@pytest.mark.parametrize("manner", ["/never", "/drip", "/reset", "/garbage", "/endless-head"])
async def test_no_answer_is_a_failure_within_the_time_limit(receiver: Receiver, hasty: Sender, manner: str) -> None:
    began = asyncio.get_running_loop().time()
    assert await send(hasty, receiver.url(manner)) == Answer(0)
    assert asyncio.get_running_loop().time() - began < 2.0


async def test_nobody_there_is_a_failure(sender: Sender, unused_tcp_port: int) -> None:
    assert await send(sender, f"http://127.0.0.1:{unused_tcp_port}/") == Answer(0)
    assert await send(sender, "http://no-such-host.invalid/") == Answer(0)


async def test_of_an_endless_body_no_more_is_read_than_4_kib(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    backend = sender._backend
    connect = backend._network.connect_tcp

    async def counted(*given: object) -> httpcore.AsyncNetworkStream:
        stream = await connect(*given)  # type: ignore[arg-type]
        reads = stream.read

        async def counting(max_bytes: int, timeout: float | None = None) -> bytes:
            nonlocal read
            piece = await reads(max_bytes, timeout)
            read += len(piece)
            return piece

        stream.read = counting  # type: ignore[method-assign]
        return stream

    monkeypatch.setattr(backend._network, "connect_tcp", counted)
    assert await send(sender, receiver.url("/endless")) == Answer(200)
    assert 0 < read <= 2 * 4096, "the head, and 4 KiB of the body"


async def test_what_is_dripped_after_the_status_does_not_matter(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.webhooks._BODY_S", 0.1)
    assert await send(sender, receiver.url("/drip-body")) == Answer(200)


async def test_what_the_receiver_says_is_shown_to_nobody(
    receiver: Receiver, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "voxline"):
        for manner in ("/200", "/500", "/garbage"):
            answer = await send(sender, receiver.url(manner))
            assert "private thing" not in repr(answer)
    assert "private thing" not in caplog.text and "not HTTP" not in caplog.text


# -- where it connects to ----------------------------------------------------------------------------


class Resolver:
    """A name server that answers differently each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = answers

    async def __call__(self, host: str, port: int) -> list[str]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return answer


async def test_a_name_that_resolves_to_a_private_address_is_never_called(receiver: Receiver) -> None:
    for inside in ("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"):
        resolver = Resolver([inside])
        sender = Sender(timeout_s=0.5, resolve=resolver)
        assert await send(sender, receiver.url("/200", "rebound.example")) == Answer(0)
        assert resolver.asked == 1
    assert receiver.connections == 0


async def test_a_name_is_resolved_once_so_that_it_cannot_change_between_judging_and_connecting(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public when it is judged, private a moment later: the connection goes to what was judged."""
    resolver = Resolver(["93.184.215.14"], ["127.0.0.1"])
    sender = Sender(timeout_s=0.5, resolve=resolver)
    tried: list[str] = []

    async def connect(address: str, *_given: object) -> None:
        tried.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(sender._backend._network, "connect_tcp", connect)
    assert await send(sender, receiver.url("/200", "rebound.example")) == Answer(0)
    assert tried == ["93.184.215.14"] and resolver.asked == 1
    assert await send(sender, receiver.url("/200", "rebound.example")) == Answer(0)  # the next attempt asks anew
    assert tried == ["93.184.215.14"] and resolver.asked == 2


async def test_a_redirect_inside_is_not_followed(receiver: Receiver, sender: Sender) -> None:
    for status in (301, 302, 307, 308):
        assert await send(sender, receiver.url(f"/{status}")) == Answer(status)
    assert all(heard.path != "/trap" for heard in receiver.heard)


async def test_several_addresses_are_tried_in_turn(receiver: Receiver) -> None:
    sender = Sender(allow_private=True, timeout_s=2.0, resolve=Resolver(["127.0.0.2", "::1", "127.0.0.1"]))
    assert await send(sender, receiver.url("/200", "several.example")) == Answer(200)


async def test_tls_demands_the_certificate_of_the_name_although_an_address_is_connected_to(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "hooks.example")
    trusting = ssl.create_default_context(cafile=f"{certificate}.crt")
    async with receiving(certificate) as receiver:
        sender = Sender(allow_private=True, timeout_s=5.0, resolve=Resolver(["127.0.0.1"]), tls=trusting)
        for host, status in (("hooks.example", 200), ("other.example", 0)):
            assert await send(sender, f"https://{host}:{receiver.port}/200") == Answer(status)
        strict = Sender(allow_private=True, timeout_s=5.0, resolve=Resolver(["127.0.0.1"]))
        assert await send(strict, f"https://hooks.example:{receiver.port}/200") == Answer(0), "nobody vouches for it"
        assert [heard.headers["host"] for heard in receiver.heard] == [f"hooks.example:{receiver.port}"]
