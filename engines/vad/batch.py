"""Voice activity of all sessions in one call: collects the windows that are ready, keeps each lane's state.

The detector is somewhere else (``engines.host``); what it must remember of a stream is kept here, so a detector that
crashed and was replaced continues where the last one was. Nothing a lane does changes what another lane hears, and
what it hears does not depend on how its windows were gathered.
"""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt

from engines.vad import gathering
from engines.vad.gathering import Share
from engines.vad.lane import BACKLOG, WINDOW, Lane
from protocol.errors import Code, VoiceError

__all__ = ["BACKLOG", "WINDOW", "Detect", "Lane", "VadBatcher"]

Detect = Callable[[bytes, bytes], Awaitable[tuple[bytes, bytes]]]

_STATE = 128
_WINDOW_S = WINDOW / 16000

# Waking a process whose caches have gone cold costs as much as a dozen windows, so fewer and fuller calls are cheaper.
# Two things make them so. A lane that says that nothing depends on its next windows (``Lane.patience``) lets some
# gather, and delays nothing. And a window that is due waits for those of other lanes, which delays an endpoint.
_GATHER = 6  # windows of one lane
_GATHERED_A_CALL = 96  # windows of all; with many lanes calls are full without gathering, and should not get long
_SHORTEST_TICK_S = 0.010
_LONGEST_TICK_S = 0.045  # with this many lanes and more:
_MANY = 16
_WINDOWS_A_CALL = 48
_ACTIVE_S = 0.1  # a lane that pushed within this time is expected to push again

_RETRY_FIRST_S = 0.02
_RETRY_LONGEST_S = 1.0
_GIVE_UP_S = 15.0  # a dead detector is replaced within 5 s
_PASSING = frozenset({Code.ENGINE_RESTARTED, Code.ENGINE_FAILED})


class VadBatcher:
    """Judges the windows of any number of lanes with one detector. Run ``run`` in a TaskGroup while lanes are open."""

    def __init__(self, detect: Detect, *, now: Callable[[], float]) -> None:
        self._detect = detect
        self._now = now
        self._ready: dict[int, Lane] = {}  # by slot: those with windows
        self._due: set[int] = set()  # those of them that should wait no longer
        self._free: list[int] = []
        self._in_flight: frozenset[int] = frozenset()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stepping = False
        self._called = -1.0  # when the last call began
        self._active = 1
        self._gather = _GATHER
        self._state = np.zeros((0, 2, _STATE), np.float32)
        self._context = np.zeros((0, gathering.CONTEXT), np.float32)
        self._pushed_at = np.zeros(0, np.float64)
        self._quiet_run: list[int] = []
        self._last: list[float] = []

    def open(
        self, on_probability: Callable[[float], None], on_failure: Callable[[VoiceError], None] | None = None
    ) -> Lane:
        """A new lane. ``on_probability`` is called once for each pushed window, in order; ``on_failure`` at most once,
        when the detector stays away for longer than a restart takes: the lane is closed then."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._state[slot] = 0.0
        self._context[slot] = 0.0
        self._quiet_run[slot] = 0
        self._last[slot] = 0.0
        self._pushed_at[slot] = -1.0
        return Lane(self, slot, on_probability, on_failure)

    async def run(self) -> None:
        """Serve the lanes until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._stepping = True
                try:
                    await self._step()
                finally:
                    self._stepping = False
                self._due = {slot for slot, lane in self._ready.items() if lane.backlog >= self._need(lane)}
                self._arm(any(self._late(self._ready[slot]) for slot in self._due))
        finally:
            self._disarm()

    # -- called by lanes -----------------------------------------------------------------------------

    def pushed(self, lane: Lane) -> None:
        """A lane has a window more."""
        self._pushed_at[lane.slot] = self._now()
        self._ready[lane.slot] = lane
        self.hastened(lane)

    def hastened(self, lane: Lane) -> None:
        """A lane's windows may be due by now."""
        if lane.backlog >= self._need(lane):
            self._due.add(lane.slot)
            if not self._stepping:
                self._arm(self._late(lane))

    def closed(self, lane: Lane) -> None:
        """A lane is given up."""
        self._ready.pop(lane.slot, None)
        self._due.discard(lane.slot)
        self._pushed_at[lane.slot] = -1.0
        if lane.slot not in self._in_flight:
            self._free.append(lane.slot)

    # -- when to call --------------------------------------------------------------------------------

    def _need(self, lane: Lane) -> int:
        return min(lane.patience, self._gather)

    def _late(self, lane: Lane) -> bool:
        """It must not even wait for the others: it is behind, or in a hurry."""
        return not lane.patience or lane.backlog > self._need(lane) + 1

    def _arm(self, late: bool) -> None:
        """Wake ``run`` at once when no lane is left to wait for or one is late, else when the tick is over."""
        if not self._due:
            return
        wait = self._called + self._tick() - self._now()
        at_once = late or wait <= 0 or len(self._due) >= self._active
        if at_once:
            self._disarm()
        if self._timer is None:
            # Never set directly: ``run`` must let others run between two calls, those that ask no detector too.
            self._timer = asyncio.get_running_loop().call_later(0.0 if at_once else wait, self._ring)

    def _tick(self) -> float:
        filled = _WINDOWS_A_CALL * _WINDOW_S / max(self._active, 1)
        longest = _LONGEST_TICK_S * min(1.0, self._active / _MANY)  # a few lanes cost little however they are asked
        return max(_SHORTEST_TICK_S, min(filled, longest))

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- one call ------------------------------------------------------------------------------------

    async def _step(self) -> None:
        """Judge what is due, and with it what of the other lanes fits into the same call."""
        if not self._due:
            return
        started = self._called = self._now()
        self._active = max(int((self._pushed_at > started - _ACTIVE_S).sum()), 1)
        self._gather = max(1, min(_GATHER, _GATHERED_A_CALL // self._active))
        samples, shares = self._choose()
        lanes = [self._take(mine) for mine in shares]
        asked = [mine for mine in shares if mine.judged]
        self._in_flight = frozenset(mine.slot for mine in shares)
        judged: dict[int, list[float]] | VoiceError = {}
        try:
            if asked:
                judged = await self._judge(samples, asked, started)
        finally:
            self._in_flight = frozenset()
            self._free.extend(lane.slot for lane in lanes if lane.closed)
        self._context[[mine.slot for mine in shares]] = gathering.contexts(samples, shares)
        for lane, mine in zip(lanes, shares, strict=True):
            self._tell(lane, mine, judged)

    def _choose(self) -> tuple[npt.NDArray[np.int16], list[Share]]:
        """The windows that wait, and what each lane gives of them, the deepest first."""
        heads = [(slot, lane.peek(self._gather + 1)) for slot, lane in self._ready.items()]
        samples = gathering.rows([window for _, head in heads for window in head])
        quiet = gathering.quiet_rows(samples)
        shares, at = [], 0
        for slot, head in heads:
            shares.append(gathering.share(slot, at, quiet[at : at + len(head)], self._quiet_run[slot]))
            at += len(head)
        due = [mine.judged for mine in shares if mine.judged and mine.slot in self._due]
        deepest = gathering.depth(due, [mine.judged for mine in shares], self._gather + 1)
        chosen = [
            gathering.reduce_to(mine, deepest, quiet[mine.first : mine.first + mine.taken], self._quiet_run[mine.slot])
            for mine in shares
        ]
        return samples, sorted((mine for mine in chosen if mine.taken), key=lambda mine: -mine.judged)

    def _take(self, mine: Share) -> Lane:
        lane = self._ready[mine.slot]
        lane.drop(mine.taken)
        self._quiet_run[mine.slot] = mine.quiet
        if not lane.backlog:
            del self._ready[mine.slot]
        return lane

    def _tell(self, lane: Lane, mine: Share, judged: dict[int, list[float]] | VoiceError) -> None:
        for _ in range(mine.spared):
            lane.answer(self._last[mine.slot])
        if not mine.judged:
            return
        if isinstance(judged, VoiceError):
            lane.fail(judged)
            return
        for probability in judged[mine.slot]:
            lane.answer(probability)
        if not lane.closed:  # else the place may have a new lane already
            self._last[mine.slot] = judged[mine.slot][-1]

    async def _judge(
        self, samples: npt.NDArray[np.int16], asked: list[Share], started: float
    ) -> dict[int, list[float]] | VoiceError:
        """Ask the detector, again when it is being replaced; what it says of each slot, and its state is kept."""
        slots = np.array([mine.slot for mine in asked])
        question = gathering.question(samples, asked, self._context[slots])
        windows, state = question.tobytes(), self._state[slots].transpose(1, 0, 2).tobytes()
        wait = _RETRY_FIRST_S
        while True:
            try:
                probabilities, after = _checked(await self._detect(windows, state), len(question), len(slots))
            except VoiceError as error:
                if error.code not in _PASSING or self._now() - started + wait > _GIVE_UP_S:
                    return error
                await asyncio.sleep(wait)
                wait = min(2 * wait, _RETRY_LONGEST_S)
            else:
                self._state[slots] = after.transpose(1, 0, 2)
                return dict(zip(slots.tolist(), gathering.answers(probabilities, asked), strict=True))

    def _grow(self) -> None:
        size = len(self._last)
        larger = max(16, 2 * size)
        for name in ("_state", "_context", "_pushed_at"):
            old = getattr(self, name)
            new = np.zeros((larger, *old.shape[1:]), old.dtype)
            new[:size] = old
            setattr(self, name, new)
        self._quiet_run += [0] * (larger - size)
        self._last += [0.0] * (larger - size)
        self._free.extend(range(larger - 1, size - 1, -1))


def _checked(answer: tuple[bytes, bytes], windows: int, lanes: int) -> tuple[list[float], npt.NDArray[np.float32]]:
    """The detector's answer; VoiceError(ENGINE_FAILED) when it is none to so many windows of so many lanes."""
    probabilities, after = answer
    if len(probabilities) != 4 * windows or len(after) != 4 * 2 * lanes * _STATE:
        raise VoiceError(Code.ENGINE_FAILED, "the voice activity detector answered with the wrong size")
    values, state = np.frombuffer(probabilities, np.float32), np.frombuffer(after, np.float32)
    if not (np.isfinite(values).all() and np.isfinite(state).all()):
        raise VoiceError(Code.ENGINE_FAILED, "the voice activity detector answered with numbers that are none")
    return values.tolist(), state.reshape(2, lanes, _STATE)
