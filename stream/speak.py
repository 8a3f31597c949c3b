"""Speech out, live: who may open ``/v1/stream/tts``, and how everybody gets to finish when the server goes down."""

import asyncio
import logging
from collections.abc import Callable

from engines.catalogue import Catalogue
from engines.fleet import Fleet
from protocol.dialects import voxline
from protocol.errors import Code, VoiceError
from protocol.session import LIMITS, Limits
from protocol.speaker import LIMITS as SPEAKER_LIMITS
from protocol.speaker import SpeakerLimits
from stream.admission import Admission, Caller, Slot, presented
from stream.meter import Meter
from stream.pacing import Pacer
from stream.socket import Disconnected, SendTimeout, Socket
from stream.talking import KIND, Shared, Talking

_log = logging.getLogger(__name__)


class Speaking:
    """Serves the speech-out sessions of one server. ``limits`` are those of a session; ``now`` is monotonic seconds."""

    def __init__(
        self,
        fleet: Fleet,
        catalogue: Catalogue,
        admission: Admission,
        meter: Meter,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        limits: Limits = LIMITS,
        speaker_limits: SpeakerLimits = SPEAKER_LIMITS,
    ) -> None:
        self._meter = meter
        self._new_id = new_id
        self._shared = Shared(fleet, catalogue, meter, Pacer(now=now), now, limits, speaker_limits)
        self._admission = admission
        self._streams: set[Talking] = set()
        self._draining = False
        self._none_left = asyncio.Event()

    async def serve(self, socket: Socket, caller: Caller) -> None:
        """One connection, from the handshake's answer to its end."""
        try:
            slot = self._enter(caller, socket.address)
        except VoiceError as error:
            await self.refuse(socket, error)
            return
        with slot, self._meter.session(KIND):
            slot.used = False
            try:
                await socket.accept(presented(socket).subprotocol)
            except (Disconnected, SendTimeout):
                return
            stream = Talking(self._shared, socket, slot, self._new_id())
            self._streams.add(stream)
            try:
                await stream.run()
            finally:
                self._streams.discard(stream)
                if not self._streams:
                    self._none_left.set()

    async def refuse(self, socket: Socket, error: VoiceError) -> None:
        """Answer the handshake with an HTTP error instead of a WebSocket."""
        self._meter.refused(KIND, error.code)
        reply = voxline.error_reply(error)
        try:
            await socket.deny(reply.status, reply.body, reply.content_type, reply.headers)
        except (Disconnected, SendTimeout):
            _log.debug("the client of a refused handshake has gone")

    async def drain(self, soft_s: float, hard_s: float = 5.0) -> None:
        """Let nobody in, let every session have the rest of its sound within ``soft_s``, then cut off what is left.

        A session ends as if its client had said stop, its sound sent as fast as it is made, with close code 1012; one
        that takes longer gets SHUTTING_DOWN. Returns when all are gone, or ``hard_s`` later.
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

    def _enter(self, caller: Caller, address: str) -> Slot:
        if self._draining:
            raise _going_down()
        return self._admission.enter(caller, address)


def _going_down() -> VoiceError:
    return VoiceError(Code.SHUTTING_DOWN, "The server is shutting down; connect again in a moment.", retry_after=5)
