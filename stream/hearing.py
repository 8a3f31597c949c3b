"""One client that is listened to, from its configuration to its last transcript.

There is a reader, in the connection's own task; a timer, for the session's next deadline; and a task for each decode
that is under way. All else is done in the callback that brings the news, so a frame of audio costs one wake-up, and a
transcript leaves in the very turn of the loop it comes in. Before its first audio a session has no listener, no lane
and no buffer: an idle connection is small.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from engines.fleet import Fleet
from engines.scheduler import Seat
from protocol.dialects import stt_ai
from protocol.errors import Code, VoiceError
from protocol.events import (
    Audio,
    Closed,
    Configure,
    Failed,
    Final,
    Flush,
    KeepAlive,
    ListenConfig,
    ListenOutcome,
    Partial,
    Ready,
    Stop,
)
from protocol.session import Input, Limits, Pause, State
from stream.admission import Slot
from stream.billing import Bill
from stream.life import Life
from stream.meter import Meter
from stream.recognition import Owner, Recognition, recognizer
from stream.socket import Socket

KIND = "listen"
SLICE = 64 * 1024  # bytes of audio handled at a time, so that one message cannot hold the loop

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a server use."""

    fleet: Fleet
    meter: Meter
    now: Callable[[], float]
    limits: Limits
    partial_interval_s: float


class Hearing(Life):
    """One session of speech in, over an accepted socket."""

    kind = KIND

    __slots__ = (
        "_audio_bytes", "_config", "_first_audio_at", "_heard_at", "_recognition", "_seat", "_shared",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, socket: Socket, slot: Slot, bill: Bill, seat: Seat, name: str
    ) -> None:
        super().__init__(socket, slot, bill, name, now=shared.now, limits=shared.limits)
        self._shared = shared
        self._config: ListenConfig | None = None
        self._seat = seat  # of the recogniser that let the session in; the configuration may want another one
        self._recognition: Recognition | None = None  # from the first audio on
        self._audio_bytes = 0
        self._first_audio_at = self._heard_at = 0.0

    # -- life ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """End as if the client had said stop: the server is going down."""
        self._draining = True
        if self._session.state is State.LISTENING:
            with self._care():
                self._input(Stop())
        elif self._session.state is State.CONFIGURING:
            self.fail(VoiceError(Code.SHUTTING_DOWN, "The server is shutting down."))

    def _silence(self) -> None:
        self._seat.leave()
        if self._recognition is not None:
            self._recognition.close()

    def _used(self) -> float:
        return self._seconds

    @property
    def _seconds(self) -> float:
        """Of audio that came in."""
        return self._config.audio.seconds(self._audio_bytes) if self._config is not None else 0.0

    def _report(self) -> None:
        seconds = self._seconds
        self._shared.meter.closed(KIND, self._why)
        self._shared.meter.audio_in.inc(seconds)
        facts = {"session": self._id, "audio_s": round(seconds, 3), "reason": self._why or "done"}
        _log.info("listen session ended", extra=facts)

    # -- from the client -------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while self._closing is None:
            data = await self._socket.receive()
            if isinstance(data, str):
                self._message(data)
            elif self._config is None:
                self._input(Audio(data))  # too early: the session says so
            else:
                if not self._bill.opened:
                    await self._bill.open()  # who cannot pay is told before anything is heard
                if len(data) <= SLICE:
                    self._input(Audio(data))
                else:
                    await self._input_slices(data)
                await self._bill.book(self._seconds)
            if self._paused_until is not None or self._behind():
                await self._hold()

    async def _input_slices(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE):
            if self._closing is None:
                self._input(Audio(data[start : start + SLICE]))
                if self._behind():
                    await self._hold()

    def _behind(self) -> bool:
        return self._outbox.full or (self._recognition is not None and self._recognition.behind)

    async def _hold(self) -> None:
        """Read nothing while the client is ahead of us, or takes nothing: the network pushes back."""
        await self._pause()
        await self._outbox.room()
        if self._recognition is not None:
            await self._recognition.caught_up()

    def _message(self, line: str) -> None:
        configured = self._session.state is not State.CONFIGURING
        try:
            event = stt_ai.decode(line, configured=configured)
        except VoiceError as error:
            if not configured:
                self.fail(error)
                return
            # A bad message in mid-stream changes nothing and ends nothing; it counts as one for the flood limit.
            self._tell(Failed(error, fatal=False))
            event = KeepAlive()
        self._input(event)

    def _input(self, event: Input) -> None:
        now = self._now()
        for action in self._session.receive(event, now):
            if type(action) is Audio:
                self._hear(action.data, now)
            else:
                self._act(action)

    def _act(self, action: Input | Pause) -> None:
        match action:
            case ListenConfig():
                self._open(action)
            case Pause(until):
                self._paused_until = until
            case Flush():
                self._recognition_of_this().finalize()
            case Configure(changes):
                self._recognition_of_this().configure(changes)
            case Stop():
                self._stop()
            case Failed():
                self._tell(action)
            case Closed(code):
                self._end(code, "", None)
            case Audio() | KeepAlive():
                return

    # -- to the listener and the engines -----------------------------------------------------------

    def _open(self, config: ListenConfig) -> None:
        try:
            self._seat = recognizer(self._shared.fleet, config, stt_ai.DEFAULT_MODEL, self._seat)
        except VoiceError as error:
            self.fail(error)
            return
        self._config = config
        load, capabilities = self._seat.scheduler.load(), self._seat.scheduler.capabilities
        self._tell(Ready(self._id, capabilities.engine, capabilities.model, load.realtime_factor, load.queue_delay))

    def _recognition_of_this(self) -> Recognition:
        """What recognises; made when there is something to hear."""
        if self._recognition is None:
            assert self._config is not None
            self._slot.used = True
            self._recognition = Recognition(
                self._shared.fleet,
                self._seat.scheduler,
                self._config,
                Owner(self._spawn, self._tell, self._goodbye, self.fail),
                partial_interval_s=self._shared.partial_interval_s,
                name=self._id,
            )
        return self._recognition

    def _hear(self, data: bytes, now: float) -> None:
        recognition = self._recognition
        if recognition is None:
            self._first_audio_at = now
            recognition = self._recognition_of_this()
        self._heard_at = now
        self._audio_bytes += len(data)
        recognition.hear(data)

    def _stop(self) -> None:
        if self._recognition is not None:
            self._recognition.stop()
        else:  # nothing was ever said
            self._tell(Final("", 0.0, 0.0, 0, "", last=True))
            self._goodbye()

    # -- to the client ---------------------------------------------------------------------------

    def _tell(self, event: ListenOutcome) -> None:
        line = stt_ai.encode(event)
        if line is None or self._closing is not None:
            return
        if isinstance(event, Partial):
            self._outbox.put(line, key=("partial", event.utterance))
            self._shared.meter.partial(self._age(event.end))
            return
        self._outbox.put(line)
        if isinstance(event, Final) and event.text:
            self._shared.meter.final(self._age(event.end))
        elif isinstance(event, Failed) and event.fatal:
            self._end(stt_ai.close_code(event.error), event.error.code.value, event.error.code)
        if self._session.state is State.STOPPING:
            self._session.extend(self._now())

    def _age(self, at: float) -> float:
        """How long ago the audio of second ``at`` came in; exact for audio that comes in at the pace of speech."""
        assert self._config is not None
        heard = self._config.audio.seconds(self._audio_bytes)
        arrived = max(self._first_audio_at, self._heard_at - max(0.0, heard - at))
        return self._now() - arrived
