"""WebSocket connections that say why before they fail: a message of the session's own kind, then the close frame."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from protocol.errors import Code, VoiceError
from protocol.events import Failed
from protocol.stream_errors import encode_failure

_FRAGMENTS = 1024  # frames of one message
_LINGER_S = 1.0  # how long what comes is thrown away once a connection has failed


class FarewellWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O protocol with a bound on fragments, where a failed connection is told why and given time to
    read it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.failed = False  # by what the client sent: nothing more of it is looked at

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= _FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_parser_exception(self) -> None:
        """Tell the client, and read on for a moment: closing a socket with unread bytes resets it, and a client that is
        still sending would see neither message nor close frame."""
        if self.failed:
            return
        self.failed = True
        close = self.conn.close_sent
        if close is None:  # the handshake has not been answered yet
            self.transport.abort()
            return
        self._tell(close.code)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(_LINGER_S, self._let_go)

    def keepalive_timeout(self) -> None:
        self._tell(1011)
        super().keepalive_timeout()
        self._let_go()

    def _tell(self, code: int) -> None:
        """What the close code means, where the client takes it at once."""
        if self.handshake_complete and not self.close_sent and self.writable.is_set():
            line = encode_failure(Failed(_failure(code)))
            self.transport.write(Frame(Opcode.TEXT, line.encode()).serialize(mask=False))

    def _let_go(self) -> None:
        self.transport.close()
        if self.transport.get_write_buffer_size():  # what is left waits behind what nobody reads
            self.transport.abort()


def _failure(code: int) -> VoiceError:
    """In short: it may be all that still fits."""
    match code:
        case 1007:
            return VoiceError(Code.BAD_REQUEST, "A text message must be UTF-8.")
        case 1008:
            return VoiceError(Code.TOO_FAST, "Too many pings.")
        case 1009:
            return VoiceError(Code.TOO_LARGE, "A message may have 256 KiB in 1024 frames.")
        case 1011:
            return VoiceError(Code.TIMEOUT, "A ping was not answered.")
    return VoiceError(Code.BAD_REQUEST, "That is not the WebSocket protocol.")
