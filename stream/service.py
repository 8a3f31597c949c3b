"""What the live services have in common: their sessions, the refusals before them, and how they all get to finish."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from protocol.errors import Code, VoiceError
from protocol.reply import Reply
from stream.admission import Slot, presented
from stream.meter import Meter
from stream.socket import Disconnected, SendTimeout, Socket

_log = logging.getLogger(__name__)


class Live(Protocol):
    """A session over an accepted socket."""

    async def run(self) -> None: ...  # to its end, leaving nothing behind

    def drain(self) -> None: ...  # end as if the client had said stop

    def fail(self, error: VoiceError) -> None: ...  # end with an error that the client is told


S = TypeVar("S", bound=Live)


class Service(Generic[S]):
    """The sessions of one ``kind``; ``error_reply`` puts a refusal in the dialect's envelope."""

    def __init__(self, kind: str, meter: Meter, error_reply: Callable[[VoiceError], Reply]) -> None:
        self._kind = kind
        self._meter = meter
        self._error_reply = error_reply
        self._streams: set[S] = set()
        self._draining = False
        self._none_left = asyncio.Event()

    async def refuse(self, socket: Socket, error: VoiceError) -> None:
        """Answer the handshake with an HTTP error instead of a WebSocket."""
        self._meter.refused(self._kind, error.code)
        reply = self._error_reply(error)
        try:
            await socket.deny(reply.status, reply.body, reply.content_type, reply.headers)
        except (Disconnected, SendTimeout):
            _log.debug("the client of a refused handshake has gone")

    async def drain(self, soft_s: float, hard_s: float = 5.0) -> None:
        """Let nobody in, let every session have its last words within ``soft_s``, then cut off what is left.

        A session ends as if its client had said stop, with close code 1012; one that takes longer gets SHUTTING_DOWN.
        Returns when all are gone, or ``hard_s`` later.
        """
        self._draining = True
        for stream in list(self._streams):
            try:
                stream.drain()
            except Exception:  # noqa: BLE001  (logged; one session's bug must not cost the others their last words)
                _log.exception("a session broke in the drain")
                stream.fail(VoiceError(Code.INTERNAL, "Something went wrong in the server."))
        if await self._emptied(soft_s):
            return
        for stream in list(self._streams):
            stream.fail(_going_down())
        await self._emptied(hard_s)

    def _check_open(self) -> None:
        if self._draining:
            raise _going_down()

    async def _run(self, socket: Socket, slot: Slot, begin: Callable[[], S]) -> None:
        """An admitted connection, from the handshake's answer to its end."""
        slot.used = False  # until something is said
        with slot, self._meter.session(self._kind):
            try:
                await socket.accept(presented(socket).subprotocol)
            except (Disconnected, SendTimeout):
                return
            stream = begin()
            self._streams.add(stream)
            try:
                await stream.run()
            finally:
                self._streams.discard(stream)
                if not self._streams:
                    self._none_left.set()

    async def _emptied(self, within_s: float) -> bool:
        self._none_left.clear()
        if self._streams:
            try:
                async with asyncio.timeout(within_s):
                    await self._none_left.wait()
            except TimeoutError:
                return False
        return True


def _going_down() -> VoiceError:
    return VoiceError(Code.SHUTTING_DOWN, "The server is shutting down; connect again in a moment.", retry_after=5)
