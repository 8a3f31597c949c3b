"""The engines' side of one session of speech in: audio goes in, events and requests to engines come out at once.

Made when a session has its first audio. It carries out what ``protocol.listener`` asks for: windows go to the shared
voice activity batcher, decodes to the recogniser's scheduler, one task each, and what comes back is acted on in the
callback that brings it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from engines.fleet import Fleet
from engines.scheduler import Scheduler, Seat, Superseded
from protocol.effects import Detect, Effect, Emit, Forget, Kind, Recognize
from protocol.errors import Code, VoiceError
from protocol.events import VAD_OFF, ListenConfig, ListenOutcome
from protocol.listener import Listener
from protocol.requests import Priority
from stream.intake import Intake

LONGEST_PARTIAL_INTERVAL_S = 4.0
BACKLOG = 256  # windows that may wait for their probability before the client is read no further: 8 s
DECODES = 8  # decodes of one session that may be under way; likewise

_log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


@dataclass(frozen=True, slots=True)
class Owner:
    """The session a Recognition belongs to, as far as it matters here."""

    spawn: Spawn
    tell: Callable[[ListenOutcome], None]
    finished: Callable[[], None]
    fail: Callable[[VoiceError], None]


class Recognition:
    """One stream of audio being recognised. ``name`` is unique to the session."""

    __slots__ = ("_decodes", "_intake", "_lane", "_listener", "_moved", "_owner", "_partial_interval_s", "_scheduler",
                 "_session", "closed")  # fmt: skip

    def __init__(
        self,
        fleet: Fleet,
        scheduler: Scheduler,
        config: ListenConfig,
        owner: Owner,
        *,
        partial_interval_s: float,
        name: str,
    ) -> None:
        self.closed = False
        self._owner = owner
        self._scheduler = scheduler
        self._session = name
        self._partial_interval_s = partial_interval_s
        self._intake = Intake(config.audio)
        self._listener = Listener(
            config,
            partial_interval_s=partial_interval_s,
            incremental=scheduler.capabilities.incremental,
            name=name,
        )
        # Without voice activity detection all is speech, and the client says where an utterance ends.
        self._lane = None if config.vad.threshold == VAD_OFF else fleet.detector.open(self._judged, owner.fail)
        self._be_patient()
        self._decodes: dict[int, asyncio.Task[None]] = {}
        self._moved: asyncio.Event | None = None  # somebody waits for the engines

    # -- from the session ------------------------------------------------------------------------

    def hear(self, data: bytes) -> None:
        """Take whole samples of the configured format."""
        pcm = self._intake.push(data)
        if pcm:
            self._perform(self._listener.feed(pcm))
            if self._lane is None:
                self._be_patient()

    def finalize(self) -> None:
        """End the utterance here."""
        self._perform(self._listener.feed(self._intake.take()))
        self._perform(self._listener.finalize())
        self._be_patient()

    def configure(self, changes: Mapping[str, object]) -> None:
        """Change options from the next utterance on."""
        self._perform(self._listener.configure(changes))
        self._be_patient()

    def stop(self) -> None:
        """No more audio comes; ``finished`` is called when all is said."""
        self._perform(self._listener.feed(self._intake.finish()))
        self._perform(self._listener.stop())
        self._be_patient()

    def close(self) -> None:
        """Give lane and decodes back; nothing is told any more."""
        self.closed = True
        if self._lane is not None:
            self._lane.close()
        for task in self._decodes.values():
            task.cancel()
        self._progress()

    @property
    def behind(self) -> bool:
        """More audio should wait: the engines have enough of it."""
        return self._listener.backlog > BACKLOG or len(self._decodes) > DECODES

    async def caught_up(self) -> None:
        """Wait until the engines can take more audio, or the session is over."""
        while self.behind and not self.closed:
            self._moved = asyncio.Event()
            await self._moved.wait()
        self._moved = None

    def _progress(self) -> None:
        if self._moved is not None:
            self._moved.set()

    # -- to and from the engines -----------------------------------------------------------------

    def _judged(self, probability: float) -> None:
        self._perform(self._listener.probability(probability))
        self._be_patient()
        self._progress()

    def _be_patient(self) -> None:
        """Let windows gather as long as nothing depends on them: to be judged together, or heard if nobody judges."""
        if self._lane is not None:
            self._lane.patience = self._listener.patience
        else:
            self._intake.patience = self._listener.patience

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if self.closed:
                return
            match effect:
                case Detect(window):
                    if self._lane is not None:
                        self._lane.push(window)
                    else:
                        self._perform(self._listener.probability(1.0))
                case Recognize(ticket):
                    self._decodes[ticket] = self._owner.spawn(self._recognize(effect))
                case Forget(ticket):
                    task = self._decodes.pop(ticket, None)
                    if task is not None:
                        task.cancel()
                case Emit(event):
                    self._owner.tell(event)
                case _:
                    self._owner.finished()

    async def _recognize(self, request: Recognize) -> None:
        """One decode, and what follows from it."""
        try:
            effects = await self._answer(request)
            self._decodes.pop(request.ticket, None)
            self._perform(effects)
        except VoiceError as error:
            self._owner.fail(error)
        except Exception:  # noqa: BLE001  (a bug must end one session, with an error, not the server)
            _log.exception("a listen session broke", extra={"session": self._session})
            self._owner.fail(VoiceError(Code.INTERNAL, "Something went wrong in the server."))
        self._progress()

    async def _answer(self, request: Recognize) -> list[Effect]:
        ticket, partial = request.ticket, request.kind is Kind.PARTIAL
        priority = Priority.PARTIAL if partial else Priority.FINAL
        try:
            hypothesis = await self._scheduler.recognize(
                request.decode, priority=priority, session=self._session, supersede=partial
            )
        except Superseded:
            # More partials than this machine carries: ask for fewer, so that what is decoded is also used.
            slower = 2 * self._listener.partial_interval_s
            self._listener.partial_interval_s = min(slower, LONGEST_PARTIAL_INTERVAL_S)
            return self._listener.superseded(ticket)
        except VoiceError as error:
            return self._listener.failed(ticket, error)
        if partial:
            faster = 0.8 * self._listener.partial_interval_s
            self._listener.partial_interval_s = max(faster, self._partial_interval_s)
        return self._listener.answer(ticket, hypothesis)


def recognizer(fleet: Fleet, config: ListenConfig, default_model: str, seat: Seat) -> Seat:
    """A seat at the recogniser that serves ``config``, in place of the one it has; raises what is missing
    (NOT_INSTALLED, NOT_FOUND), or BUSY.

    ``default_model`` is the one a dialect's documents name by default: it stands for the best there is (C5), and
    ``Ready`` tells which that was.
    """
    try:
        scheduler = fleet.recognizer(config.language, config.model)
    except VoiceError as error:
        if config.model != default_model or error.code not in (Code.NOT_FOUND, Code.NOT_INSTALLED):
            raise
        scheduler = fleet.recognizer(config.language, "auto")
    if config.word_timestamps and not scheduler.capabilities.word_timestamps:
        what = f"{scheduler.capabilities.engine} gives no word times."
        raise VoiceError(Code.NOT_INSTALLED, what, field="word_timestamps")
    if config.vad.threshold != VAD_OFF:
        _ = fleet.detector  # raises NOT_INSTALLED where there is none
    if scheduler is seat.scheduler:
        return seat
    other = scheduler.admit()
    seat.leave()
    return other
