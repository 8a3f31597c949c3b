"""One HTTP request on plain ASGI: its headers, a small body, and an answer, each with its limit and deadline."""

import asyncio

from protocol.errors import Code, VoiceError
from protocol.reply import Reply
from stream.socket import Disconnected, Receive, Scope, Send, SendTimeout


class Exchange:
    """A request and its answer. ``send_deadline_s`` is how long the client may take nothing."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, send_deadline_s: float = 10.0) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.address = str(client[0]) if client else ""
        self.headers = {bytes(k).decode("latin-1").lower(): bytes(v).decode("latin-1") for k, v in scope["headers"]}
        self.started = False  # the status is out: what goes wrong now can only cut the answer short
        self._receive = receive
        self._send = send
        self._send_deadline_s = send_deadline_s

    async def read(self, limit: int, within_s: float) -> bytes:
        """The whole body. Raises TOO_LARGE, TIMEOUT; Disconnected when the client has gone."""
        body = bytearray()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected(1006)
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise VoiceError(Code.TOO_LARGE, f"request body must be at most {limit} bytes", allowed=limit)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise VoiceError(Code.TIMEOUT, f"request body must arrive within {within_s:g} seconds") from None

    async def gone(self) -> None:
        """Wait for the client to leave, then raise Disconnected; only when the body has been read."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected(1006)

    async def reply(self, reply: Reply) -> None:
        """A whole answer at once."""
        size = (b"content-length", str(len(reply.body)).encode())
        await self._start(reply.status, reply.content_type, (size, *reply.headers))
        await self._body(reply.body, more=False)

    async def stream(self, data: bytes, content_type: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """A piece of a 200 answer of unknown length; the first one sends the status before it."""
        if not self.started:
            await self._start(200, content_type, headers)
        await self._body(data, more=True)

    async def finish(self) -> None:
        """The end of a streamed answer; without it the client sees that the answer was cut short."""
        await self._body(b"", more=False)

    async def _start(self, status: int, content_type: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.started = True
        fields = [(b"content-type", content_type.encode("latin-1")), *headers]
        await self._deliver({"type": "http.response.start", "status": status, "headers": fields})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._deliver({"type": "http.response.body", "body": data, "more_body": more})

    async def _deliver(self, message: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(self._send_deadline_s):
                await self._send(message)
        except TimeoutError:
            raise SendTimeout(f"the client took nothing for {self._send_deadline_s:g} s") from None
        except OSError as error:
            raise Disconnected(1006) from error


