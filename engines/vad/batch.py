"""Voice activity of all sessions in one call: collects the windows that are ready, keeps each lane's state.

The detector is somewhere else (``engines.host``); what it must remember of a stream is kept here, so a detector that
crashed and was replaced continues where the last one was. Nothing a lane does changes what another lane hears.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt

from protocol.errors import Code, VoiceError

Detect = Callable[[bytes, bytes], Awaitable[tuple[bytes, bytes]]]

WINDOW = 512  # samples, 32 ms at 16 kHz
BACKLOG = 1024  # windows a lane may be behind: 33 s, for a client that sends a burst
_CONTEXT = 64  # samples of the window before, which the model sees again
_STATE = 128
_SCALE = np.float32(1 / 32768)
_WINDOW_S = WINDOW / 16000

# Waking a process whose caches have gone cold costs as much as a dozen windows, so fewer and fuller calls are cheaper;
# waiting delays the endpoint.
_SHORTEST_TICK_S = 0.010
_LONGEST_TICK_S = 0.045  # with this many lanes and more:
_MANY = 16
_WINDOWS_A_CALL = 48
_A_TICKS_WORTH = 2  # windows a lane may gather in the longest tick; with more it is behind
_ACTIVE_S = 0.1  # a lane that pushed within this time is expected to push again

# A window that never exceeds -66 dBFS is not speech: speech scaled to that peak scores at most 0.2. After a second of
# them the model is spared and its state kept as it is. It would go on drifting: of 108 utterances after 2 to 8 s of
# silence 18 began, and 8 ended, one window earlier or later than without the gate, one ended two later.
_QUIET_PEAK = 16
_SETTLED_WINDOWS = 31

_RETRY_FIRST_S = 0.02
_RETRY_LONGEST_S = 1.0
_GIVE_UP_S = 15.0  # a dead detector is replaced within 5 s
_PASSING = frozenset({Code.ENGINE_RESTARTED, Code.ENGINE_FAILED})

_logger = logging.getLogger(__name__)


class Lane:
    """One stream's place in the batch. Made by ``VadBatcher.open``."""

    __slots__ = ("_batcher", "_on_failure", "_on_probability", "_pending", "_room", "closed", "slot")

    def __init__(
        self,
        batcher: "VadBatcher",
        slot: int,
        on_probability: Callable[[float], None],
        on_failure: Callable[[VoiceError], None] | None,
    ) -> None:
        self._batcher = batcher
        self._on_probability = on_probability
        self._on_failure = on_failure
        self._pending: deque[bytes] = deque(maxlen=BACKLOG)
        self._room = asyncio.Event()
        self._room.set()
        self.slot = slot
        self.closed = False

    @property
    def backlog(self) -> int:
        """Windows pushed and not yet judged."""
        return len(self._pending)

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
        self._batcher._pushed(self)

    async def room(self) -> None:
        """Return when at most half of the backlog is used."""
        await self._room.wait()

    def close(self) -> None:
        """Forget the stream; no callback comes after this."""
        if not self.closed:
            self.closed = True
            self._pending.clear()
            self._room.set()
            self._batcher._closed(self)

    def _take(self) -> bytes:
        window = self._pending.popleft()
        if len(self._pending) <= BACKLOG // 2:
            self._room.set()
        return window

    def _answer(self, probability: float) -> None:
        if self.closed:
            return
        try:
            self._on_probability(probability)
        except Exception:
            # One session's bug must not silence the others.
            _logger.exception("a voice activity callback failed")
            self._fail(VoiceError(Code.INTERNAL, "voice activity detection stopped"))

    def _fail(self, error: VoiceError) -> None:
        on_failure = None if self.closed else self._on_failure
        self.close()
        if on_failure is None:
            return
        try:
            on_failure(error)
        except Exception:
            _logger.exception("a voice activity failure callback failed")


class VadBatcher:
    """Judges the windows of any number of lanes with one detector. Run ``run`` in a TaskGroup while lanes are open."""

    def __init__(self, detect: Detect, *, now: Callable[[], float]) -> None:
        self._detect = detect
        self._now = now
        self._ready: dict[int, Lane] = {}  # by slot, in the order they became ready
        self._free: list[int] = []
        self._in_flight: frozenset[int] = frozenset()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stepping = False
        self._called = -1.0  # when the last call began
        self._active = 1
        self._state = np.zeros((0, 2, _STATE), np.float32)
        self._context = np.zeros((0, _CONTEXT), np.float32)
        self._pushed_at = np.zeros(0, np.float64)
        self._quiet_run = np.zeros(0, np.int32)
        self._last = np.zeros(0, np.float32)
        self._input = np.zeros((0, _CONTEXT + WINDOW), np.float32)

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
                    behind = await self._step()
                finally:
                    self._stepping = False
                self._arm(behind)
        finally:
            self._disarm()

    # -- called by lanes -----------------------------------------------------------------------------

    def _pushed(self, lane: Lane) -> None:
        self._pushed_at[lane.slot] = self._now()
        behind = lane.backlog > _A_TICKS_WORTH
        self._ready[lane.slot] = lane
        if not self._stepping:
            self._arm(behind)

    def _closed(self, lane: Lane) -> None:
        self._ready.pop(lane.slot, None)
        self._pushed_at[lane.slot] = -1.0
        if lane.slot not in self._in_flight:
            self._free.append(lane.slot)

    # -- when to call --------------------------------------------------------------------------------

    def _arm(self, behind: bool) -> None:
        """Wake ``run`` at once when no lane is left to wait for or one is behind, else when the tick is over."""
        if not self._ready:
            return
        wait = self._called + self._tick() - self._now()
        at_once = behind or wait <= 0 or len(self._ready) >= self._active
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

    async def _step(self) -> bool:
        """Judge one window of each ready lane; True when a lane has more than one left."""
        lanes = list(self._ready.values())
        if not lanes:
            return False
        self._ready.clear()
        started = self._called = self._now()
        self._active = max(int((self._pushed_at > started - _ACTIVE_S).sum()), 1)
        slots = np.array([lane.slot for lane in lanes])
        samples = np.frombuffer(b"".join([lane._take() for lane in lanes]), "<i2").reshape(-1, WINDOW)
        loud = self._hear(slots, samples)
        self._in_flight = frozenset(slots.tolist())
        error: VoiceError | None = None
        try:
            if len(loud):
                error = await self._judge(slots[loud], samples[loud], started)
        finally:
            self._in_flight = frozenset()
            self._free.extend(lane.slot for lane in lanes if lane.closed)
        self._context[slots] = samples[:, -_CONTEXT:] * _SCALE
        failed = set(loud.tolist()) if error else set()
        for index, (lane, probability) in enumerate(zip(lanes, self._last[slots].tolist(), strict=True)):
            if error is not None and index in failed:
                lane._fail(error)
            else:
                lane._answer(probability)
            if lane.backlog:
                self._ready[lane.slot] = lane
        return any(lane.backlog > 1 for lane in lanes)

    def _hear(self, slots: npt.NDArray[np.int_], samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int_]:
        """Which of the windows the model must judge; the others keep their lane's last probability."""
        quiet = (samples.max(axis=1) <= _QUIET_PEAK) & (samples.min(axis=1) >= -_QUIET_PEAK)
        settled = quiet & (self._quiet_run[slots] >= _SETTLED_WINDOWS)
        self._quiet_run[slots] = np.where(quiet, np.minimum(self._quiet_run[slots] + 1, _SETTLED_WINDOWS), 0)
        return np.flatnonzero(~settled)

    async def _judge(
        self, slots: npt.NDArray[np.int_], samples: npt.NDArray[np.int16], started: float
    ) -> VoiceError | None:
        """Ask the detector, again when it is being replaced, and keep what it says."""
        count = len(slots)
        windows = self._input[:count]
        windows[:, :_CONTEXT] = self._context[slots]
        np.multiply(samples, _SCALE, out=windows[:, _CONTEXT:])
        question = windows.tobytes()
        state = self._state[slots].transpose(1, 0, 2).tobytes()
        wait = _RETRY_FIRST_S
        while True:
            try:
                probabilities, after = _checked(await self._detect(question, state), count)
            except VoiceError as error:
                if error.code not in _PASSING or self._now() - started + wait > _GIVE_UP_S:
                    return error
                await asyncio.sleep(wait)
                wait = min(2 * wait, _RETRY_LONGEST_S)
            else:
                self._last[slots] = probabilities
                self._state[slots] = after.transpose(1, 0, 2)
                return None

    def _grow(self) -> None:
        size = len(self._last)
        larger = max(16, 2 * size)
        for name in ("_state", "_context", "_pushed_at", "_quiet_run", "_last", "_input"):
            old = getattr(self, name)
            new = np.zeros((larger, *old.shape[1:]), old.dtype)
            new[:size] = old
            setattr(self, name, new)
        self._free.extend(range(larger - 1, size - 1, -1))


def _checked(answer: tuple[bytes, bytes], count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The detector's answer as arrays; VoiceError(ENGINE_FAILED) when it is not an answer to ``count`` windows."""
    probabilities, after = answer
    if len(probabilities) != 4 * count or len(after) != 4 * 2 * count * _STATE:
        raise VoiceError(Code.ENGINE_FAILED, "the voice activity detector answered with the wrong size")
    values, state = np.frombuffer(probabilities, np.float32), np.frombuffer(after, np.float32)
    if not (np.isfinite(values).all() and np.isfinite(state).all()):
        raise VoiceError(Code.ENGINE_FAILED, "the voice activity detector answered with numbers that are none")
    return values, state.reshape(2, count, _STATE)
