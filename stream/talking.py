"""One client that is spoken to, from its configuration to its last sound.

There is a reader, in the connection's own task; a timer, for the session's next deadline; a task of the narrator's
while clauses are synthesised; and the shared clock of ``stream.pacing``, in whose ticks sound is sent without any task.
Sound waits in the ``Speaker``, not in a queue before the socket, and is taken from there only when the transport takes
it: so ``Clear`` silences what was not yet sent, and what the client is told was spoken is what was sent. Before its
first text a session has no speaker, no encoder and no buffer: an idle connection is small.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.catalogue import Catalogue, VoiceEntry
from engines.encode import check_format
from engines.fleet import Fleet
from engines.voices import find_voice
from protocol.dialects import voxline
from protocol.errors import Code, VoiceError
from protocol.events import (
    Clear,
    Closed,
    Failed,
    Flush,
    KeepAlive,
    Mark,
    Ready,
    SpeakConfig,
    Speech,
    SpeechDone,
    Stop,
    Text,
)
from protocol.session import Input, Limits, Pause, State
from protocol.speaker import Speaker, SpeakerLimits
from stream.admission import Slot
from stream.billing import Bill
from stream.life import Life
from stream.meter import Meter
from stream.narrator import Narrator, Stage
from stream.pacing import Pacer
from stream.socket import Socket

KIND = "speak"

# Pieces of sound that are sent in one tick of the pacer. What a client is ahead of its playback takes ten times as long
# to send as the sound it begins with: when many begin at one moment, all should have that first.
BURST = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a server use."""

    fleet: Fleet
    catalogue: Catalogue
    meter: Meter
    pacer: Pacer
    now: Callable[[], float]
    limits: Limits
    speaker_limits: SpeakerLimits


class Talking(Life):
    """One session of speech out, over an accepted socket."""

    kind = KIND

    __slots__ = (
        "_asked_at", "_characters", "_config", "_narrator", "_paying", "_shared", "_speaker", "_stalled", "_tick_left",
        "_tick_number", "_voice", "_wake_at",
    )  # fmt: skip

    def __init__(self, shared: Shared, socket: Socket, slot: Slot, bill: Bill, name: str) -> None:
        super().__init__(socket, slot, bill, name, now=shared.now, limits=shared.limits)
        self._shared = shared
        self._config: SpeakConfig | None = None
        self._characters = 0  # of text that came in
        self._voice: VoiceEntry | None = None
        self._speaker: Speaker | None = None  # this and the next: from the first text on
        self._narrator: Narrator | None = None
        self._paying: asyncio.Task[None] | None = None  # the bill is being opened: nothing may be heard yet
        self._tick_number = -1  # the pacer's, in which ...
        self._tick_left = BURST  # ... so many pieces of sound may still be sent
        self._stalled = False  # the transport is full
        self._wake_at: float | None = None  # when the pacer will wake us
        self._asked_at: float | None = None  # when the text came whose first sound is to come

    # -- life ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """End as if the client had said stop, sending what there is as fast as it is made: the server is going down."""
        self._draining = True
        if self._session.state is State.CONFIGURING:
            self.fail(VoiceError(Code.SHUTTING_DOWN, "The server is shutting down."))
            return
        if self._speaker is not None:
            self._speaker.hurry()
        if self._session.state is State.SPEAKING:
            self._input(Stop())
        self._push()

    def _end(self, code: int, reason: str, why: Code | None) -> None:
        if self._closing is None:
            self._silence()
        super()._end(code, reason, why)

    def _silence(self) -> None:
        if self._narrator is not None:
            self._narrator.silence()

    def _used(self) -> float:
        return self._speaker.characters_said if self._speaker is not None else 0

    def _report(self) -> None:
        seconds = self._speaker.sent if self._speaker is not None else 0.0
        self._shared.meter.closed(KIND, self._why)
        self._shared.meter.audio_out.inc(seconds)
        facts = {"session": self._id, "audio_s": round(seconds, 3), "reason": self._why or "done"}
        _log.info("speak session ended", extra=facts)

    def _tick(self) -> None:
        if self._speaker is not None and not self._speaker.idle and self._session.state is not State.CLOSED:
            self._session.extend(self._now())  # whoever listens need say nothing
        super()._tick()

    # -- from the client -------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while self._closing is None:
            events = self._decoded(await self._socket.receive())
            if text := sum(len(event.delta) for event in events if type(event) is Text):
                self._characters += text
                await self._reserve()
            for event in events:
                self._input(event)
            self._push()
            if self._speaker is not None and self._paying is None:
                await self._bill.book(self._speaker.characters_said)
            await self._pause()

    async def _reserve(self) -> None:
        """See that the text can be paid for: who cannot pay is told before anything is heard.

        To open the bill takes longer than to make the first sound, so that goes on meanwhile.
        """
        if self._paying is not None:
            await asyncio.wait([self._paying])
        if self._closing is not None:
            return
        if self._bill.opened:
            await self._bill.reserve(self._characters)
        else:
            self._paying = self._spawn(self._pay())

    async def _pay(self) -> None:
        with self._care():
            try:
                await self._bill.reserve(self._characters)
                self._bill.release(self._characters)  # some of it may have been cleared meanwhile
            finally:
                self._paying = None
            self._push()

    def _decoded(self, data: str | bytes) -> Sequence[Input]:
        """What a message says; nothing when it ended the session."""
        configured = self._session.state is not State.CONFIGURING
        try:
            if isinstance(data, bytes):
                raise voxline.binary()
            return voxline.decode(data, configured=configured)
        except VoiceError as error:
            if not configured:
                self.fail(error)
                return ()
            # A bad message in mid-stream changes nothing and ends nothing; it counts as one for the flood limit.
            self._deliver(voxline.encode(Failed(error, fatal=False)))
            return (KeepAlive(),)

    def _input(self, event: Input) -> None:
        for action in self._session.receive(event, self._now()):
            self._act(action)

    def _act(self, action: Input | Pause) -> None:
        match action:
            case SpeakConfig():
                self._open(action)
            case Pause(until):
                self._paused_until = until
            case Text() | Flush() | Mark() | Clear() | Stop():
                self._speak(action)
            case Failed(error):
                self._deliver(voxline.encode(action))
                self._end(voxline.close_code(error), error.code.value, error.code)
            case Closed(code):
                self._end(code, "", None)
            case _:
                return

    def _open(self, config: SpeakConfig) -> None:
        try:
            self._voice = find_voice(self._shared.catalogue, self._shared.fleet, config.voice, config.language)
            check_format(config.audio, config.bitrate)
        except VoiceError as error:
            self.fail(error)
            return
        self._config = config
        self._deliver(voxline.ready(Ready(self._id, self._voice.engine, self._voice.code), config))

    def _speak(self, event: Text | Flush | Mark | Clear | Stop) -> None:
        now = self._now()
        if self._speaker is None:
            if isinstance(event, Stop):
                self._finished()
                return
            self._speaker, self._narrator = self._start()
        idle = self._speaker.idle
        if isinstance(event, Clear) and self._narrator is not None:
            self._narrator.clear()
        try:
            self._speaker.receive(event, now)
        except VoiceError as error:
            self.fail(error)
        if isinstance(event, Clear):  # what is not to be spoken any more need not be paid for
            self._characters = self._speaker.characters_said
            self._tick_number = -1
            if self._paying is None:
                self._bill.release(self._characters)
        if idle and not self._speaker.idle:  # there is a clause to be spoken, and nobody kept us waiting for it
            self._asked_at = now

    def _start(self) -> tuple[Speaker, Narrator]:
        """The speaker and its narrator; made when there is something to say."""
        assert self._config is not None and self._voice is not None
        self._slot.used = True
        shared, audio = self._shared, self._config.audio
        speaker = Speaker(self._config, bytes_per_second=audio.sample_bytes * audio.rate, limits=shared.speaker_limits)
        stage = Stage(shared.fleet, shared.catalogue, self._spawn, self._push, self.fail, shared.now)
        return speaker, Narrator(stage, speaker, self._config, self._voice)

    # -- to the client ---------------------------------------------------------------------------

    def _deliver(self, message: str | bytes | None) -> None:
        if message is not None:
            self._outbox.put(message, on_sent=self._sent)

    def _push(self) -> None:
        """Send what is due, as long as the transport takes it; then see when and by what it goes on."""
        speaker = self._speaker
        if speaker is None or self._closing is not None:
            return
        now = self._now()
        speaker.tick(now)
        if self._paying is not None:
            self._advance()
            return
        paced = self._count_tick(now)
        while self._outbox.empty and (self._tick_left or not paced) and (outcome := speaker.take(now)) is not None:
            if type(outcome) is Speech:
                self._tick_left -= paced
                self._session.extend(now)
                if self._asked_at is not None:
                    self._shared.meter.first_audio(now - self._asked_at)
                    self._asked_at = None
            elif type(outcome) is SpeechDone:
                self._asked_at = None  # there was nothing to be heard
            self._deliver(voxline.encode(outcome))
        if self._closing is not None:
            return
        if speaker.finished:
            if self._outbox.empty:
                self._finished()
            else:
                self._stalled = True
            return
        self._advance()
        if self._outbox.empty:
            self._sleep(speaker.due(now))
        else:
            self._stalled = True

    def _advance(self) -> None:
        if self._narrator is not None:
            self._narrator.advance()

    def _count_tick(self, now: float) -> bool:
        """See how many pieces may still be sent in this tick; a new utterance need not wait for the next. False where
        nobody counts them."""
        if self._draining or self._config is None or not self._config.pace:
            return False
        tick = self._shared.pacer.tick(now)
        if tick != self._tick_number or self._asked_at is not None:
            self._tick_number, self._tick_left = tick, BURST
        return True

    def _sent(self) -> None:
        """The transport takes data again, once what it was full of has gone."""
        if self._stalled:
            self._stalled = False
            asyncio.get_running_loop().call_soon(self._woken)

    def _sleep(self, at: float | None) -> None:
        if at is not None and (self._wake_at is None or at < self._wake_at):
            self._wake_at = at
            self._shared.pacer.wake(self._woken, at)

    def _woken(self) -> None:
        self._wake_at = None
        with self._care():
            self._push()

    def _finished(self) -> None:
        self._deliver(voxline.final())
        self._goodbye()
