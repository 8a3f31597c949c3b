"""Speech in, live: who may open ``/v1/stream``."""

from collections.abc import Callable

from engines.fleet import Fleet
from engines.scheduler import Seat
from protocol.dialects import stt_ai
from protocol.errors import VoiceError
from protocol.pricing import Route
from protocol.session import LIMITS, Limits
from stream.admission import Admission, Caller, Slot
from stream.billing import Bill, Lines
from stream.hearing import KIND, Hearing, Shared
from stream.meter import Meter
from stream.service import Service
from stream.socket import Socket

PARTIAL_INTERVAL_S = 0.48  # fifteen windows: where every other one is left out, there is still one a second


class Listening(Service[Hearing]):
    """Serves the speech-in sessions of one server. ``limits`` are those of a session; ``now`` is monotonic seconds."""

    def __init__(
        self,
        fleet: Fleet,
        admission: Admission,
        meter: Meter,
        lines: Lines,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        limits: Limits = LIMITS,
        partial_interval_s: float = PARTIAL_INTERVAL_S,
    ) -> None:
        super().__init__(KIND, meter, stt_ai.error_reply)
        self._fleet = fleet
        self._new_id = new_id
        self._shared = Shared(fleet, meter, now, limits, partial_interval_s)
        self._admission = admission
        self._lines = lines

    def check(self, address: str) -> None:
        """Raise what would be refused whoever the caller is, so that nobody is asked for a token in vain."""
        self._check_open()
        self._admission.check(address)
        self._fleet.recognizer("auto", "auto").check()

    async def serve(self, socket: Socket, caller: Caller) -> None:
        """One connection, from the handshake's answer to its end."""
        try:
            slot, seat = self._enter(caller, socket.address)
        except VoiceError as error:
            await self.refuse(socket, error)
            return
        bill = Bill(self._lines, caller, Route.LIVE_LISTEN, most=caller.sessions)
        try:
            await self._run(socket, slot, lambda: Hearing(self._shared, socket, slot, bill, seat, self._new_id()))
        finally:
            seat.leave()  # also where the client has gone before there was a session

    def _enter(self, caller: Caller, address: str) -> tuple[Slot, Seat]:
        """A slot, and a recogniser that can carry one session more."""
        self._check_open()
        slot = self._admission.enter(caller, address)
        try:
            return slot, self._fleet.recognizer("auto", "auto").admit()
        except VoiceError:
            slot.used = False
            slot.release()
            raise
