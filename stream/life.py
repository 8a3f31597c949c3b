"""The life of a live session, whichever way speech flows: it reads, keeps its deadlines, and ends in order.

There is a reader, in the connection's own task, and a timer for the session's next deadline; all else is done in the
callback that brings the news. ``Hearing`` and ``Talking`` say what is done with a message and what an end gives back.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from protocol.errors import Code, VoiceError
from protocol.events import Closed, Failed
from protocol.session import Input, Limits, Pause, Session
from stream.admission import Slot
from stream.billing import Bill
from stream.socket import Disconnected, Outbox, SendTimeout, Socket

_log = logging.getLogger(__name__)


class Life(ABC):
    """One client over an accepted socket, from its configuration to the goodbye."""

    kind: ClassVar[str]

    __slots__ = (
        "_bill", "_closing", "_draining", "_group", "_id", "_now", "_outbox", "_paused_until", "_reading", "_session",
        "_slot", "_socket", "_timer", "_why",
    )  # fmt: skip

    def __init__(
        self, socket: Socket, slot: Slot, bill: Bill, name: str, *, now: Callable[[], float], limits: Limits
    ) -> None:
        self._socket = socket
        self._slot = slot
        self._bill = bill
        self._id = name
        self._now = now
        self._session = Session(now(), limits)
        self._group = asyncio.TaskGroup()
        self._outbox = Outbox(socket, self._spawn, self._undeliverable)
        self._reading: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._closing: Closed | None = None  # set once, when the session is over: how to say goodbye
        self._why: Code | None = None
        self._paused_until: float | None = None

    # -- what each kind says -----------------------------------------------------------------------

    @abstractmethod
    async def _take_in(self) -> None:
        """Take in messages while the session is not over."""

    @abstractmethod
    def _input(self, event: Input) -> None:
        """Give the session machine an event, and carry out what follows."""

    @abstractmethod
    def _act(self, action: Input | Pause) -> None:
        """Carry out one action of the session machine."""

    @abstractmethod
    def _silence(self) -> None:
        """Ask nothing more of the engines."""

    @abstractmethod
    def _used(self) -> float:
        """How much was used, in the unit of the bill."""

    @abstractmethod
    def _report(self) -> None:
        """Tell the meter and the log how it was."""

    # -- from the first message to the last ---------------------------------------------------------

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
            await self._bill.settle(self._used())
            self._report()

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
            _log.exception("a %s session broke", self.kind, extra={"session": self._id})
            self.fail(VoiceError(Code.INTERNAL, "Something went wrong in the server."))

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

    def _end(self, code: int, reason: str, why: Code | None) -> None:
        """The session is over: stop reading, and say goodbye when all is delivered."""
        if self._closing is None:
            self._closing = Closed(code, reason)
            self._why = why
            if self._reading is not None:
                self._reading.reschedule(asyncio.get_running_loop().time())

    def _goodbye(self) -> None:
        """All is said, and the goodbye says whether it was us who wanted it (1012: come back, we restart)."""
        self._session.receive(Closed(1000), self._now())
        if self._draining:
            self._end(1012, "the server restarts", None)
        else:
            self._end(1000, "", None)

    def _release(self) -> None:
        """Give back what others could use, before the last bytes are on their way."""
        if self._timer is not None:
            self._timer.cancel()
        self._silence()

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
            delay = max(0.0, deadline - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        with self._care():
            for action in self._session.tick(self._now()):
                self._act(action)
        if self._closing is None:
            self._arm()

    async def _pause(self) -> None:
        """Read nothing while the client is ahead of real time: the network pushes back."""
        if self._paused_until is not None:
            until, self._paused_until = self._paused_until, None
            await asyncio.sleep(max(0.0, until - self._now()))
