"""Seed D's speech with ``stream: true`` (D5): sent while it is made, by the engines of live speech, past the queue.

It is paid as live speech is: the characters are reserved before the first sound leaves, and booked when the last has;
a reply that breaks off costs nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batch.pipelines.delivery import rate_for
from engines.catalogue import VoiceEntry
from engines.encode import OPUS_RATES
from engines.encode_flac import MEDIA_TYPE as FLAC
from engines.encode_flac import FlacEncoder
from engines.fleet import Fleet
from protocol.audio import AudioFormat, Encoding
from protocol.dialects.tts_ai.errors import error_reply, in_own_words
from protocol.errors import VoiceError
from protocol.pricing import Route
from protocol.work import Delivery
from stream.admission import Admission, Caller, Limits
from stream.billing import Bill, Lines
from stream.exchange import Exchange
from stream.meter import Meter
from stream.recital import Recital, recite
from stream.rendering import Rendering
from stream.socket import Disconnected, SendTimeout

KIND = "stream"
_ENCODERS = 2  # threads
_ENCODINGS = {"mp3": Encoding.MP3, "wav": Encoding.WAV, "ogg": Encoding.OPUS}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveText:
    """What is to be sent, to whom, at whose cost."""

    caller: Caller
    recital: Recital
    format: str
    route: Route
    characters: int


class LiveSpeech:
    """Sends it. ``now`` is monotonic seconds."""

    def __init__(self, fleet: Fleet, lines: Lines, meter: Meter, *, now: Callable[[], float]) -> None:
        self._fleet = fleet
        self._lines = lines
        self._meter = meter
        self._now = now
        self._admission = Admission(Limits(0, 0, 0, 0, 0), now=now)  # only what a plan allows counts here
        self._pool = ThreadPoolExecutor(_ENCODERS, "encode")

    def reply(self, text: LiveText, headers: Mapping[str, str]) -> Response:
        """The reply that it is."""
        return _Reply(self, text, headers)

    async def send(self, exchange: Exchange, text: LiveText, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """All of it. Raises VoiceError, Disconnected, SendTimeout."""
        bill, delivered = Bill(self._lines, text.caller, text.route), False
        with self._admission.enter(text.caller, exchange.address), self._meter.session(KIND):
            try:
                async with asyncio.TaskGroup() as group:
                    watch = group.create_task(exchange.gone())
                    # The credits are set aside while the first sound is made, and are there before it is sent.
                    paid = group.create_task(bill.reserve(text.characters))
                    await self._deliver(exchange, text, headers, paid)
                    watch.cancel()
                delivered = True
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            finally:
                await bill.settle(text.characters if delivered else 0)
            self._meter.closed(KIND, None)

    def refused(self, error: VoiceError) -> None:
        """For the figures."""
        self._meter.refused(KIND, error.code)

    async def _deliver(
        self, exchange: Exchange, text: LiveText, headers: tuple[tuple[bytes, bytes], ...], paid: asyncio.Task[None]
    ) -> None:
        asked_at, coder = self._now(), _coder(text.format, text.recital.voice, self._fleet)
        async with aclosing(recite(text.recital, coder.rendering, self._fleet, self._pool)) as sound:
            async for piece, seconds in sound:
                self._meter.audio_out.inc(seconds)
                data = coder.encode(piece)
                if not data:
                    continue
                if not exchange.started:
                    await paid
                    self._meter.first_audio(self._now() - asked_at)
                await exchange.stream(data, coder.media_type, headers)
        await paid
        await exchange.stream(coder.finish(), coder.media_type, headers)
        await exchange.finish()


class _Reply(Response):
    """A reply whose body is made while it is sent."""

    def __init__(self, live: LiveSpeech, text: LiveText, headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        del self.headers["content-length"]
        self._live = live
        self._text = text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            await self._live.send(exchange, self._text, tuple(self.raw_headers))
        except VoiceError as error:
            self._live.refused(error)
            if exchange.started:
                # Too late for an error: returning without the end of the body makes the server cut the connection.
                _log.warning("a reply broke off", extra={"reason": error.code.value})
                return
            limits = tuple(one for one in self.raw_headers if one[0].startswith(b"x-ratelimit-"))
            reply = error_reply(in_own_words(error))
            body = Response(reply.body, reply.status, media_type=reply.content_type)
            body.raw_headers += [*reply.headers, *limits]
            await body(scope, receive, send)
        except (Disconnected, SendTimeout) as error:
            _log.info("the client of a reply went away", extra={"reason": type(error).__name__})


class _Coder:
    """Sound to a format that can be sent as it comes."""

    def __init__(self, audio: AudioFormat) -> None:
        self.rendering = Rendering(audio)
        self.media_type = audio.media_type

    def encode(self, piece: bytes) -> bytes:
        """What is ready."""
        return piece

    def finish(self) -> bytes:
        """The rest."""
        return self.rendering.finish()


class _FlacCoder(_Coder):
    def __init__(self, rate: int) -> None:
        super().__init__(AudioFormat(Encoding.PCM_S16LE, rate))
        self.media_type = FLAC
        self._encoder = FlacEncoder(rate)

    def encode(self, piece: bytes) -> bytes:
        return self._encoder.encode(piece)

    def finish(self) -> bytes:
        return self._encoder.encode(self.rendering.finish()) + self._encoder.finish()


def _coder(form: str, voice: VoiceEntry, fleet: Fleet) -> _Coder:
    """At the rate of the engine, or the next one that the format has."""
    native = next(able.rate for able in fleet.capabilities if able.engine == voice.engine)
    if form == "flac":
        return _FlacCoder(native)
    if form == "ogg":
        return _Coder(AudioFormat(Encoding.OPUS, next((one for one in OPUS_RATES if one >= native), OPUS_RATES[-1])))
    delivery = Delivery(format="mp3") if form == "mp3" else Delivery()
    return _Coder(AudioFormat(_ENCODINGS[form], rate_for(delivery, native)))
