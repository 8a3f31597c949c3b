"""WebSocket connections that are cheap while idle and let go of a client that does not read."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame

from protocol.allowance import Allowance
from server.protocols.connections import Connections
from server.protocols.farewell import FarewellWebSocket

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_PIECE = 4096  # bytes parsed at a time, so that a read full of tiny frames does not become a queue full of events
_CONTROL = 100.0  # pings and pongs, at once and a second; who sends more is cut off: no session sees them
_TOGETHER_S = 0.2  # between two moments at which silent clients are pinged
_TALKING = 5  # messages between two pings that make a client one who talks; keepalives alone do not


class GuardedWebSocket(FarewellWebSocket):
    """uvicorn's sans-I/O protocol with rare pings while nothing is said, aborts where a close would wait behind a full
    buffer, and bounds on queued and on control frames, and on pongs nobody takes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guard = cast(Connections, server_state)
        self._unparsed = b""
        self._control: Allowance | None = None
        self._alive = False  # since the last ping something came from the client, or was taken by it
        self._messages = 0  # since the last ping was planned
        self._silent = True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            self._guard.leave(self.client[0])
        self._unparsed = b""
        self._forget_unread()
        super().connection_lost(exc)

    def _forget_unread(self) -> None:
        """Nobody waits for answers any more: a client that was held back is not to live on for as long as that."""
        events = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for event in events:
            if event["type"] != "websocket.receive":
                self.queue.put_nowait(event)

    def data_received(self, data: bytes) -> None:
        self._alive = True
        if self.failed:
            return
        if self._unanswered:
            self._keep_early(data)
            return
        if self.close_sent:
            self._hear_out(data)
        elif len(data) <= _PIECE and not self._unparsed:
            super().data_received(data)
        else:
            self._unparsed += data
            self._parse()
        if not self.handshake_initiated:
            self._refuse()

    def _refuse(self) -> None:
        """End on a request that httptools takes and websockets does not, by its own words: too long, or no GET."""
        if not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
        self.transport.close()

    @property
    def _unanswered(self) -> bool:
        """The application has not yet decided on the client's request."""
        return self.handshake_initiated and not self.handshake_complete

    def _keep_early(self, data: bytes) -> None:
        """A client should wait for our answer to its request; one that does not is heard when that is given."""
        self._unparsed += data
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        message = await self.queue.get()
        if self.queue.empty():
            if self._unanswered:
                return message
            if self._unparsed:
                self._parse()
            self._read_on()
        return message

    def _read_on(self) -> None:
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()

    def send(self, message: ASGISendEvent) -> Coroutine[Any, Any, None]:
        self._count()
        return self._close(message) if message["type"] == "websocket.close" else super().send(message)

    async def _close(self, message: ASGISendEvent) -> None:
        await super().send(message)
        self._hear_out()

    def _hear_out(self, data: bytes = b"") -> None:
        """Nobody takes messages any more, but the client's own close frame is somewhere behind them."""
        data, self._unparsed = self._unparsed + data, b""
        if data:
            super().data_received(data)

    def _parse(self) -> None:
        """Parse what was read until the application has something to do."""
        while self._unparsed and self.queue.empty() and not self.transport.is_closing():
            piece, self._unparsed = self._unparsed[:_PIECE], self._unparsed[_PIECE:]
            super().data_received(piece)

    def send_receive_event_to_app(self) -> None:
        super().send_receive_event_to_app()
        self._count()

    def handle_ping(self) -> None:
        if not self._bearable():
            return
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the pong; a client that pings and never reads must not fill our buffer

    def handle_pong(self, event: Frame) -> None:
        if self._bearable():
            super().handle_pong(event)

    def _bearable(self) -> bool:
        """Count a control frame; the one too many ends the connection."""
        now = self.loop.time()
        if self._control is None:
            self._control = Allowance(_CONTROL, _CONTROL, now)
        if not self.close_sent and self._control.spend(1, now) > now:
            self.conn.fail(1008, "too many pings")
            self.handle_parser_exception()
        return not self.close_sent

    def resume_writing(self) -> None:
        super().resume_writing()
        self._alive = True

    def start_keepalive(self) -> None:
        """The handshake is over: what it needed is not kept for the hours that may follow."""
        del self.request, self.response
        super().start_keepalive()
        if self._unparsed:
            self._parse()
            self._read_on()

    def schedule_ping(self) -> None:
        """The next ping: soon where messages flow, so that a client who freezes is found, and rarer where none do.

        Ten thousand silent clients are too many to ask often. Their pings go out together, a few times a second: a
        wake-up costs as much as a ping does.
        """
        interval = self.ping_interval or 0.0
        self._silent = self._messages < _TALKING
        self._messages = 0
        gap = self._guard.idle_ping_gap(interval) if self._silent else interval
        due = self.loop.time() + max(0.0, gap - self.last_ping_rtt)
        if self._silent and gap > interval:
            due = math.ceil(due / _TOGETHER_S) * _TOGETHER_S
        self.ping_timer = self.loop.call_at(due, self.send_keepalive_ping)

    def send_keepalive_ping(self) -> None:
        self._alive = False
        super().send_keepalive_ping()

    def _count(self) -> None:
        """A message, either way; with enough of them a silent connection is one that talks."""
        self._messages += 1
        if self._messages == _TALKING and self._silent and self.ping_timer is not None:
            self.ping_timer.cancel()
            self.schedule_ping()

    def keepalive_timeout(self) -> None:
        if (self.read_paused or self._alive) and not self.transport.is_closing():
            # The pong may well be waiting behind the client's audio, because we hold it back or the line is slow; or
            # our ping waits behind what it has not read yet. A peer that is gone still shows, in the next ping (nobody
            # reads the reset that answers this one) or in TCP_USER_TIMEOUT (``server.guard.listen``).
            self.send_keepalive_ping()
            return
        super().keepalive_timeout()
