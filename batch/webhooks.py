"""Sends one webhook, and is the only module to open connections to where a user says (RELIABILITY P8, X1, X2).

The name in a URL is resolved once for each attempt; its addresses are judged and the connection goes to one of them,
not to the name, while TLS still demands the name's certificate. Redirects are failures, and what a receiver answers is
read for 4 KiB at most and shown to nobody.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import certifi
import httpcore

from batch.addresses import Target, permitted

log = logging.getLogger("voxline.batch.webhooks")

TIMEOUT_S = 15.0  # until the receiver has answered with a status

_MOST_BODY = 4096
_BODY_S = 5.0
_MOST_WAIT_S = 86_400.0
_TRIED_ADDRESSES = 3
_RESOLVERS = 16
_WAIT = (429, 503)
_TROUBLE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, TimeoutError)

Resolve = Callable[[str, int], Awaitable[list[str]]]


class Forbidden(OSError):
    """The name resolves to an address that must not be called for a user."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: a status (0: nothing), and how long it wants to be left alone."""

    status: int
    retry_after: float = 0.0


class Sender:
    """One attempt at a time and place; ``resolve`` and ``tls`` are for tests."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout_s: float = TIMEOUT_S,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.allow_private = allow_private
        self._timeout_s = timeout_s
        self._tls = tls
        self._backend = _Checked(resolve or _Names(), allow_private)

    async def post(self, target: Target, headers: dict[str, str], body: bytes) -> Answer:
        """Send it; the answer's status counts once it has come, whatever becomes of its body. Never raises for it."""
        if self._tls is None:  # when it is first needed, beside the loop: there are many authorities to read
            self._tls = await asyncio.to_thread(_tls)
        async with httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._backend) as connection:
            try:
                async with asyncio.timeout(self._timeout_s):
                    response = await connection.handle_async_request(_request(target, headers, body))
            except _TROUBLE as error:
                log.info("webhook not delivered", extra={"cause": type(error).__name__})
                return Answer(0)
            try:
                async with asyncio.timeout(_BODY_S):
                    await _read_some(response)  # some receivers accept only when they have been heard out
            except _TROUBLE as error:
                log.debug("a receiver broke off its answer", extra={"cause": type(error).__name__})
            finally:
                await response.aclose()
            return Answer(response.status, _retry_after(response.headers) if response.status in _WAIT else 0.0)


class _Names:
    """Asks the machine's resolver, which can hang for as long as a user's name server likes.

    So it is asked in threads of its own that nobody joins, neither other work in the pool of the event loop nor the end
    of the process.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_RESOLVERS)

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def settle(found: list[str], error: OSError | None) -> None:
            if not answer.done():
                answer.set_result(found) if error is None else answer.set_exception(error)

        def look() -> None:
            found, failure = [], None
            try:
                found = [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
            except OSError as error:
                failure = error
            except UnicodeError:  # a label too long for DNS
                failure = OSError("no host name")
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, list(dict.fromkeys(found)), failure)

        async with self._free:
            threading.Thread(target=look, name="resolve", daemon=True).start()
            return await answer


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to an address that was judged, in place of a name that might mean another one by then."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one. Raises Forbidden."""
        addresses = permitted(await self._resolve(host, port), allow_private=self._allow_private)
        failure: Exception = Forbidden("not a public address")
        for address in addresses[:_TRIED_ADDRESSES]:
            try:
                found = await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
                return _Sipped(found)
            except httpcore.ConnectError as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Between retries of the library, of which there are none."""
        await asyncio.sleep(seconds)


class _Sipped(httpcore.AsyncNetworkStream):
    """A connection that is read from in small pieces, so that not much more is read than asked for."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most 4 KiB of what has come."""
        return await self._stream.read(min(max_bytes, _MOST_BODY), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """The same, encrypted; the certificate must be that of the name."""
        return _Sipped(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What the transport knows."""
        return self._stream.get_extra_info(info)


def _request(target: Target, headers: dict[str, str], body: bytes) -> httpcore.Request:
    url = httpcore.URL(
        scheme=b"https" if target.secure else b"http",
        host=target.host.encode(),
        port=target.port,
        target=target.path.encode(),
    )
    sent = {
        "Host": target.authority,
        "User-Agent": "Voxline-Webhooks/1",
        "Accept": "*/*",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    return httpcore.Request("POST", url, headers=list(sent.items()), content=body)


async def _read_some(response: httpcore.Response) -> None:
    left = _MOST_BODY
    async for piece in response.aiter_stream():
        left -= len(piece)
        if left <= 0:
            return


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Seconds of ``Retry-After``, a day at most; 0 without it, or when it is a date."""
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit():
            return min(float(value), _MOST_WAIT_S)
    return 0.0


@cache
def _tls() -> ssl.SSLContext:
    """The machine's certificate authorities, and the well-known ones where it has none; read once."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
