"""One stream's place in the voice activity batch: the windows that wait to be judged, and whom to tell."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from protocol.errors import Code, VoiceError

WINDOW = 512  # samples, 32 ms at 16 kHz
BACKLOG = 1024  # windows a lane may be behind: 33 s, for a client that sends a burst

_logger = logging.getLogger(__name__)


class Batcher(Protocol):
    """Who judges the windows, as far as a lane knows it."""

    def pushed(self, lane: "Lane") -> None: ...  # there is a window more

    def hastened(self, lane: "Lane") -> None: ...  # what is there may be due

    def closed(self, lane: "Lane") -> None: ...


class Lane:
    """One stream's place in the batch. Made by ``VadBatcher.open``."""

    __slots__ = ("_batcher", "_on_failure", "_on_probability", "_patience", "_pending", "_room", "closed", "slot")

    def __init__(
        self,
        batcher: Batcher,
        slot: int,
        on_probability: Callable[[float], None],
        on_failure: Callable[[VoiceError], None] | None,
    ) -> None:
        self._batcher = batcher
        self._on_probability = on_probability
        self._on_failure = on_failure
        self._patience = 1
        self._pending: deque[bytes] = deque(maxlen=BACKLOG)
        self._room = asyncio.Event()
        self._room.set()
        self.slot = slot
        self.closed = False

    @property
    def backlog(self) -> int:
        """Windows pushed and not yet judged."""
        return len(self._pending)

    @property
    def patience(self) -> int:
        """How many windows should wait before they are judged: 1 for each as it comes, 0 for at once what there is.

        Windows that are judged together cost less. Who knows that nothing depends on the next few may let them gather.
        """
        return self._patience

    @patience.setter
    def patience(self, windows: int) -> None:
        hastened = windows < self._patience
        self._patience = windows
        if hastened and self._pending:
            self._batcher.hastened(self)

    def push(self, window: bytes) -> None:
        """Ask for the probability of the next 512 samples, 16 kHz s16le; the answers come in order.

        Raises VoiceError(TOO_FAST) when ``BACKLOG`` windows are waiting; ``room`` says when there is place again.
        """
        if self.closed:
            return
        if len(window) != 2 * WINDOW:
            raise ValueError(f"a window has {2 * WINDOW} bytes, not {len(window)}")
        if len(self._pending) == BACKLOG:
            raise VoiceError(Code.TOO_FAST, "audio comes faster than it can be judged")
        self._pending.append(window)
        if len(self._pending) > BACKLOG // 2:
            self._room.clear()
        self._batcher.pushed(self)

    async def room(self) -> None:
        """Return when at most half of the backlog is used."""
        await self._room.wait()

    def close(self) -> None:
        """Forget the stream; no callback comes after this."""
        if not self.closed:
            self.closed = True
            self._pending.clear()
            self._room.set()
            self._batcher.closed(self)

    # -- called by the batcher -----------------------------------------------------------------------

    def peek(self, most: int) -> list[bytes]:
        """The oldest windows that wait."""
        return list(islice(self._pending, most))

    def drop(self, count: int) -> None:
        """The oldest ``count`` wait no more."""
        for _ in range(count):
            self._pending.popleft()
        if len(self._pending) <= BACKLOG // 2:
            self._room.set()

    def answer(self, probability: float) -> None:
        """Tell the owner; its bug must not silence the others."""
        if self.closed:
            return
        try:
            self._on_probability(probability)
        except Exception:
            _logger.exception("a voice activity callback failed")
            self.fail(VoiceError(Code.INTERNAL, "voice activity detection stopped"))

    def fail(self, error: VoiceError) -> None:
        """End the lane, and tell the owner why."""
        on_failure = None if self.closed else self._on_failure
        self.close()
        if on_failure is None:
            return
        try:
            on_failure(error)
        except Exception:
            _logger.exception("a voice activity failure callback failed")
