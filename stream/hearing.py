"""One client that is listened to, from its configuration to its last transcript.

There is a reader, in the connection's own task; a timer, for the session's next deadline; and a task for each decode
that is under way. All else is done in the callback that brings the news, so a frame of audio costs one wake-up, and a
transcript leaves in the very turn of the loop it comes in. Before its first audio a session has no listener, no lane
and no buffer: an idle connection is small.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engines.fleet import Fleet
from engines.scheduler import Scheduler
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
from protocol.session import Input, Limits, Pause, Session, State
from stream.admission import Slot
from stream.billing import Bill
from stream.meter import Meter
from stream.recognition import Owner, Recognition, recognizer
from stream.socket import Disconnected, Outbox, SendTimeout, Socket

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


class Hearing:
    """One session of speech in, over an accepted socket."""

    __slots__ = (
        "_audio_bytes", "_bill", "_closing", "_config", "_draining", "_first_audio_at", "_group", "_heard_at", "_id",
        "_outbox", "_paused_until", "_reading", "_recognition", "_scheduler", "_session", "_shared", "_slot",
        "_socket", "_timer", "_why",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, socket: Socket, slot: Slot, bill: Bill, admitted: Scheduler, name: str
    ) -> None:
        self._shared = shared
        self._socket = socket
        self._slot = slot
        self._bill = bill
        self._id = name
        self._session = Session(shared.now(), shared.limits)
        self._group = asyncio.TaskGroup()
        self._outbox = Outbox(socket, self._spawn, self._undeliverable)
        self._reading: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._config: ListenConfig | None = None
        self._scheduler = admitted  # which let the session in; the configuration may want another one
        self._recognition: Recognition | None = None  # from the first audio on
        self._draining = False
        self._closing: Closed | None = None  # set once, when the session is over: how to say goodbye
        self._why: Code | None = None
        self._paused_until: float | None = None
        self._audio_bytes = 0
        self._first_audio_at = self._heard_at = 0.0

    # -- life ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the client to the end; leaves nothing behind."""
        try:
            async with self._group:
                self._arm()
                try:
                    await self._read()
                finally:
                    self._release()
                await self._outbox.flush()  # each send has its deadline
                if self._closing is not None and self._outbox.broken is None:
                    await self._socket.close(self._closing.code, self._closing.reason)
        finally:
            await self._bill.settle(self._seconds)
            self._report()

    def drain(self) -> None:
        """End as if the client had said stop: the server is going down."""
        self._draining = True
        if self._session.state is State.LISTENING:
            with self._care():
                self._input(Stop())
        elif self._session.state is State.CONFIGURING:
            self.fail(VoiceError(Code.SHUTTING_DOWN, "The server is shutting down."))

    def fail(self, error: VoiceError) -> None:
        """End with an error that the client is told."""
        self._input(Failed(error))

    @contextmanager
    def _care(self) -> Iterator[None]:
        """What goes wrong inside ends this session, with an error, and nothing else."""
        try:
            yield
        except VoiceError as error:
            self.fail(error)
        except Exception:  # noqa: BLE001  (logged; a bug must not end the server)
            _log.exception("a listen session broke", extra={"session": self._id})
            self.fail(VoiceError(Code.INTERNAL, "Something went wrong in the server."))

    def _end(self, code: int, reason: str, why: Code | None) -> None:
        """The session is over: stop reading, and say goodbye when all is delivered."""
        if self._closing is None:
            self._closing = Closed(code, reason)
            self._why = why
            if self._reading is not None:
                self._reading.reschedule(asyncio.get_running_loop().time())

    def _release(self) -> None:
        """Give back what others could use, before the last bytes are on their way."""
        if self._timer is not None:
            self._timer.cancel()
        if self._recognition is not None:
            self._recognition.close()

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

    def _spawn(self, steps: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(steps)

    def _undeliverable(self, error: Exception) -> None:
        if isinstance(error, SendTimeout):
            self.fail(VoiceError(Code.SLOW_READER, str(error)))
        else:
            self._input(Closed(1006))

    # -- the clock -------------------------------------------------------------------------------

    def _arm(self) -> None:
        deadline = self._session.next_deadline()
        if deadline is not None:
            delay = max(0.0, deadline - self._shared.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        with self._care():
            for action in self._session.tick(self._shared.now()):
                self._act(action)
        if self._closing is None:
            self._arm()

    # -- from the client -------------------------------------------------------------------------

    async def _read(self) -> None:
        """Take in messages until the session is over; ``_end`` interrupts a wait by the time-out."""
        with self._care():
            try:
                async with asyncio.timeout(None) as self._reading:
                    try:
                        await self._take_in()
                    finally:
                        self._reading = None
            except TimeoutError:
                if self._closing is None:  # not our own
                    raise
            except Disconnected as gone:
                self._input(Closed(gone.code))

    async def _take_in(self) -> None:
        while self._closing is None:
            data = await self._socket.receive()
            if isinstance(data, str):
                self._message(data)
            elif self._config is None:
                self._input(Audio(data))  # too early: the session says so
            else:
                await self._bill.open()  # who cannot pay is told before anything is heard
                await self._input_audio(data)
                await self._bill.book(self._seconds)
            if self._paused_until is not None or self._behind():
                await self._hold()

    async def _input_audio(self, data: bytes) -> None:
        if len(data) <= SLICE:
            self._input(Audio(data))
            return
        for start in range(0, len(data), SLICE):
            if self._closing is None:
                self._input(Audio(data[start : start + SLICE]))
                if self._behind():
                    await self._hold()

    def _behind(self) -> bool:
        return self._outbox.full or (self._recognition is not None and self._recognition.behind)

    async def _hold(self) -> None:
        """Read nothing while the client is ahead of us, or takes nothing: the network pushes back."""
        if self._paused_until is not None:
            until, self._paused_until = self._paused_until, None
            await asyncio.sleep(max(0.0, until - self._shared.now()))
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
        now = self._shared.now()
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
            self._scheduler = recognizer(self._shared.fleet, config, stt_ai.DEFAULT_MODEL, admitted_by=self._scheduler)
        except VoiceError as error:
            self.fail(error)
            return
        self._config = config
        load, capabilities = self._scheduler.load(), self._scheduler.capabilities
        self._tell(Ready(self._id, capabilities.engine, capabilities.model, load.realtime_factor, load.queue_delay))

    def _recognition_of_this(self) -> Recognition:
        """What recognises; made when there is something to hear."""
        if self._recognition is None:
            assert self._config is not None
            self._slot.used = True
            self._recognition = Recognition(
                self._shared.fleet,
                self._scheduler,
                self._config,
                Owner(self._spawn, self._tell, self._finished, self.fail),
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
            self._finished()

    def _finished(self) -> None:
        """All is said, and the goodbye says whether it was us who wanted it (1012: come back, we restart)."""
        self._session.receive(Closed(1000), self._shared.now())
        if self._draining:
            self._end(1012, "the server restarts", None)
        else:
            self._end(1000, "", None)

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
            self._session.extend(self._shared.now())

    def _age(self, at: float) -> float:
        """How long ago the audio of second ``at`` came in; exact for audio that comes in at the pace of speech."""
        assert self._config is not None
        heard = self._config.audio.seconds(self._audio_bytes)
        arrived = max(self._first_audio_at, self._heard_at - max(0.0, heard - at))
        return self._shared.now() - arrived
