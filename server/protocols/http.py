"""HTTP connections that must deliver their headers and bodies in time."""

import asyncio
import sys
from enum import Enum, auto
from typing import cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from server.protocols.connections import Connections

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


_OFFERS = (b"upgrade", b"http2-settings")  # headers, and names in ``Connection``, that offer another protocol


class _Phase(Enum):
    """What of a request the client owes us."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline from the first moment until the headers are complete and from there until
    the body is, a cap on header bytes, and a place in the count of its address. One that is late is aborted."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guard = cast(Connections, server_state)
        self._counted = ""
        self._received = b""  # while it is being parsed
        self._again = b""  # what is to be parsed next, in its place
        self._phase = _Phase.NOTHING
        self._deadline: asyncio.TimerHandle | None = None
        self._phase_began = 0.0
        self._phase_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if not self._guard.enter(host):
            transport.abort()
            return
        self._counted = host
        self._expect(_Phase.HEADERS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(_Phase.NOTHING)
        if self._counted:
            self._guard.leave(self._counted)
            self._counted = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        while data:
            self._received, self._again = data, b""
            try:
                self._take(data)
            finally:
                self._received = b""
            data = self._again

    def _take(self, data: bytes) -> None:
        # The keep-alive timer ends with the first byte, even one that begins no request (an empty line).
        if self._phase is _Phase.NOTHING and (self.cycle is None or self.cycle.response_complete):
            self._expect(_Phase.HEADERS)
        super().data_received(data)
        if self._phase is _Phase.HEADERS and not self._again:
            self._phase_bytes += len(data)
            if self._phase_bytes > self._guard.limits.header_bytes and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._phase is not _Phase.HEADERS:
            self._expect(_Phase.HEADERS)

    @property
    def _offers_another(self) -> bool:
        """A protocol that is not ours, as Java's own client offers HTTP/2 with every request."""
        offered = self.parser.should_upgrade() and not self._should_upgrade()
        return offered and self.parser.get_method() != b"CONNECT"

    def _unsupported_upgrade_warning(self) -> None:
        """Serve the request as if nothing else were offered (RFC 9110, section 7.8).

        To httptools all behind such a head is of the other protocol. So the head is parsed once more, without the
        offer, and then what follows it. (uvicorn answers the head alone, and takes the body for another request.)
        """
        upgrade = sys.exc_info()[1]
        if not self._offers_another or not isinstance(upgrade, HttpParserUpgrade):
            super()._unsupported_upgrade_warning()
            return
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(word for word in value.split(b",") if word.strip().lower() not in _OFFERS)
            if name not in _OFFERS and (value or name != b"connection"):
                head += [name, b": ", value, b"\r\n"]
        self._again = b"".join([*head, b"\r\n", self._received[upgrade.args[0] :]])
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def on_headers_complete(self) -> None:
        if self._offers_another:
            return  # its head comes once more
        self._expect(_Phase.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._phase_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offers_another:
            return
        self._expect(_Phase.NOTHING)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection, and its place in the count, to the WebSocket protocol."""
        self._expect(_Phase.NOTHING)
        self._counted = ""
        super().handle_websocket_upgrade()
        self._hand_over_rest()
        self.parser = None  # type: ignore[assignment]  # it refers back to us: free both now, not at a collection

    def _hand_over_rest(self) -> None:
        """Frames that came in one segment with the request: uvicorn, whose ``except`` we are called in, drops them."""
        upgrade = sys.exc_info()[1]
        rest = self._received[upgrade.args[0] :] if isinstance(upgrade, HttpParserUpgrade) else b""
        if rest and not self.transport.is_closing():
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(rest)

    def _expect(self, phase: _Phase) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._phase, self._phase_bytes = phase, 0
        if phase is not _Phase.NOTHING:
            limits = self._guard.limits
            allowed = limits.header_timeout if phase is _Phase.HEADERS else limits.body_timeout
            self._phase_began = self.loop.time()
            self._deadline = self.loop.call_later(allowed, self._overdue)

    def _overdue(self) -> None:
        """The time is up; a body gets more for what it has delivered, and while it is we who do not read."""
        self._deadline = None
        if self._phase is _Phase.BODY:
            limits = self._guard.limits
            allowed = limits.body_timeout + self._phase_bytes / limits.body_rate
            left = self._phase_began + allowed - self.loop.time()
            if self.flow.read_paused:
                left = max(left, limits.body_timeout)
            if left > 0:
                self._deadline = self.loop.call_later(left, self._overdue)
                return
        self.transport.abort()
