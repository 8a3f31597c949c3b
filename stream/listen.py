"""Speech in, live: who may open ``/v1/stream``, and how everybody gets to finish when the server goes down."""

import asyncio
import logging
from collections.abc import Callable

from engines.fleet import Fleet
from engines.scheduler import Scheduler
from protocol.dialects import stt_ai
from protocol.errors import Code, VoiceError
from protocol.session import LIMITS, Limits
from stream.admission import Admission, Caller, Slot, presented
from stream.hearing import KIND, Hearing, Shared
from stream.meter import Meter
from stream.socket import Disconnected, SendTimeout, Socket

_log = logging.getLogger(__name__)


class Listening:
    """Serves the speech-in sessions of one server. ``limits`` are those of a session; ``now`` is monotonic seconds."""

    def __init__(
        self,
        fleet: Fleet,
        admission: Admission,
        meter: Meter,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        limits: Limits = LIMITS,
        partial_interval_s: float = 0.5,
    ) -> None:
        self._fleet = fleet
        self._meter = meter
        self._new_id = new_id
        self._shared = Shared(fleet, meter, now, limits, partial_interval_s)
        self._admission = admission
        self._streams: set[Hearing] = set()
        self._draining = False
        self._none_left = asyncio.Event()

    async def serve(self, socket: Socket, caller: Caller) -> None:
        """One connection, from the handshake's answer to its end."""
        try:
            slot, admitted = self._enter(caller, socket.address)
        except VoiceError as error:
            await self.refuse(socket, error)
            return
        with slot, self._meter.session(KIND):
            try:
                await socket.accept(presented(socket).subprotocol)
            except (Disconnected, SendTimeout):
                return
            stream = Hearing(self._shared, socket, slot, admitted, self._new_id())
            self._streams.add(stream)
            try:
                await stream.run()
            finally:
                self._streams.discard(stream)
                if not self._streams:
                    self._none_left.set()

    async def refuse(self, socket: Socket, error: VoiceError) -> None:
        """Answer the handshake with an HTTP error (C20, C21) instead of a WebSocket."""
        self._meter.refused(KIND, error.code)
        reply = stt_ai.error_reply(error)
        try:
            await socket.deny(reply.status, reply.body, reply.content_type, reply.headers)
        except (Disconnected, SendTimeout):
            _log.debug("the client of a refused handshake has gone")

    async def drain(self, soft_s: float, hard_s: float = 5.0) -> None:
        """Let nobody in, let every session have its last transcript within ``soft_s``, then cut off what is left.

        A session ends as if its client had said stop, with close code 1012; one that takes longer gets SHUTTING_DOWN.
        Returns when all are gone, or ``hard_s`` later.
        """
        self._draining = True
        for stream in list(self._streams):
            stream.drain()
        if await self._emptied(soft_s):
            return
        for stream in list(self._streams):
            stream.fail(_going_down())
        await self._emptied(hard_s)

    async def _emptied(self, within_s: float) -> bool:
        self._none_left.clear()
        if self._streams:
            try:
                async with asyncio.timeout(within_s):
                    await self._none_left.wait()
            except TimeoutError:
                return False
        return True

    def _enter(self, caller: Caller, address: str) -> tuple[Slot, Scheduler]:
        """A slot, and a recogniser that can carry one session more."""
        if self._draining:
            raise _going_down()
        slot = self._admission.enter(caller, address)
        try:
            recogniser = self._fleet.recognizer("auto", "auto")
            recogniser.admit()
        except VoiceError:
            slot.used = False
            slot.release()
            raise
        slot.used = False  # until something is said
        return slot, recogniser


def _going_down() -> VoiceError:
    return VoiceError(Code.SHUTTING_DOWN, "The server is shutting down; connect again in a moment.", retry_after=5)
