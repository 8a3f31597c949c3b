"""Speech out, live: who may open ``/v1/stream/tts``."""

from collections.abc import Callable

from engines.catalogue import Catalogue
from engines.fleet import Fleet
from protocol.dialects import voxline
from protocol.errors import VoiceError
from protocol.pricing import Route
from protocol.session import LIMITS, Limits
from protocol.speaker import LIMITS as SPEAKER_LIMITS
from protocol.speaker import SpeakerLimits
from stream.admission import Admission, Caller
from stream.billing import Bill, Lines
from stream.meter import Meter
from stream.pacing import Pacer
from stream.service import Service
from stream.socket import Socket
from stream.talking import KIND, Shared, Talking


class Speaking(Service[Talking]):
    """Serves the speech-out sessions of one server. ``limits`` are those of a session; ``now`` is monotonic seconds."""

    def __init__(
        self,
        fleet: Fleet,
        catalogue: Catalogue,
        admission: Admission,
        meter: Meter,
        lines: Lines,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        limits: Limits = LIMITS,
        speaker_limits: SpeakerLimits = SPEAKER_LIMITS,
    ) -> None:
        super().__init__(KIND, meter, voxline.error_reply)
        self._new_id = new_id
        self._shared = Shared(fleet, catalogue, meter, Pacer(now=now), now, limits, speaker_limits)
        self._admission = admission
        self._lines = lines

    def check(self, address: str) -> None:
        """Raise what would be refused whoever the caller is, so that nobody is asked for a token in vain."""
        self._check_open()
        self._admission.check(address)

    async def serve(self, socket: Socket, caller: Caller) -> None:
        """One connection, from the handshake's answer to its end."""
        try:
            self._check_open()
            slot = self._admission.enter(caller, socket.address)
        except VoiceError as error:
            await self.refuse(socket, error)
            return
        bill = Bill(self._lines, caller, Route.LIVE_SPEAK, most=caller.sessions)
        await self._run(socket, slot, lambda: Talking(self._shared, socket, slot, bill, self._new_id()))
