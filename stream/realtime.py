"""The synchronous call, ``POST /v1/tts`` (E1-E12): a short text in, its sound out while it is being made.

The path is shared by three documented APIs (X1); what comes here is this one's. The text is synthesised clause by
clause, the next one while this one is on its way, so that many callers share the engine fairly and the first sound
leaves before the rest is made. It never waits behind batch work (E12).
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

from engines.catalogue import Catalogue, VoiceEntry
from engines.encode import mp3_bitrates, mp3_rates
from engines.fleet import Fleet
from engines.voices import find_voice
from protocol.audio import AudioFormat, Encoding
from protocol.dialects import vbee_realtime
from protocol.dialects.vbee_realtime import Request
from protocol.errors import Code, VoiceError
from protocol.pricing import Route
from stream.admission import Admission, Authenticate, Caller
from stream.billing import Bill, Lines
from stream.exchange import Exchange
from stream.meter import Meter
from stream.recital import Recital, clauses_of, recite
from stream.rendering import Rendering
from stream.socket import Disconnected, Receive, Scope, Send, SendTimeout

KIND = "call"
ENCODERS = 2  # threads

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What one call may take, seconds."""

    body_s: float = 30.0
    send_s: float = 10.0


LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class Plan:
    """A request with everything decided; ``bitrate`` in bits a second, None where the format has none."""

    recital: Recital
    audio: AudioFormat
    bitrate: int | None
    characters: int  # of the text, as they are paid for


class Realtime:
    """Serves ``POST /v1/tts`` as an ASGI application. ``admission`` counts calls, so it is not that of sessions."""

    def __init__(
        self,
        fleet: Fleet,
        catalogue: Catalogue,
        admission: Admission,
        meter: Meter,
        authenticate: Authenticate,
        lines: Lines,
        *,
        now: Callable[[], float],
        limits: CallLimits = LIMITS,
    ) -> None:
        self._fleet = fleet
        self._catalogue = catalogue
        self._admission = admission
        self._meter = meter
        self._authenticate = authenticate
        self._lines = lines
        self._now = now
        self._limits = limits
        self._pool = ThreadPoolExecutor(ENCODERS, "encode")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that is this dialect's, whatever its path."""
        exchange = Exchange(scope, receive, send, send_deadline_s=self._limits.send_s)
        try:
            if exchange.method != "POST":
                raise VoiceError(Code.METHOD_NOT_ALLOWED, "this path takes POST")
            body, unreadable = await self._body(exchange)
            caller = await self._caller(exchange)  # who has no right to ask is told that first (E11)
            if unreadable is not None:
                raise unreadable
            await self._call(exchange, caller, self._plan(vbee_realtime.decode(body)))
        except VoiceError as error:
            await self._refuse(exchange, error)
        except (Disconnected, SendTimeout) as error:
            _log.info("the client of a call went away", extra={"reason": type(error).__name__})

    async def _body(self, exchange: Exchange) -> tuple[object, VoiceError | None]:
        """The parsed body, or None and why it cannot be read."""
        try:
            return vbee_realtime.parse_json(await exchange.read(vbee_realtime.MAX_BODY, self._limits.body_s)), None
        except VoiceError as error:
            return None, error

    async def _refuse(self, exchange: Exchange, error: VoiceError) -> None:
        self._meter.refused(KIND, error.code)
        if exchange.started:
            # Too late for an error: returning without the end of the body makes the server cut the connection.
            _log.warning("a call broke off", extra={"reason": error.code.value})
            return
        await exchange.reply(vbee_realtime.error_reply(error))

    async def _call(self, exchange: Exchange, caller: Caller, plan: Plan) -> None:
        asked_at, bill, delivered = self._now(), Bill(self._lines, caller, Route.VBEE_REALTIME), False
        with self._admission.enter(caller, exchange.address), self._meter.session(KIND):
            try:
                async with asyncio.TaskGroup() as group:
                    watch = group.create_task(exchange.gone())
                    # The credits are set aside while the first sound is made, and are there before it is sent.
                    paid = group.create_task(bill.reserve(plan.characters))
                    await self._deliver(exchange, plan, asked_at, paid)
                    watch.cancel()
                delivered = True
            except ExceptionGroup as errors:
                raise _first(errors) from None
            finally:
                await bill.settle(plan.characters if delivered else 0)
            self._meter.closed(KIND, None)

    async def _caller(self, exchange: Exchange) -> Caller:
        token, _ = vbee_realtime.credentials(exchange.headers)
        caller = await self._authenticate(token)
        if caller is None:
            raise VoiceError(Code.UNAUTHORIZED, "access token is invalid")
        return caller

    # -- what to do ------------------------------------------------------------------------------

    def _plan(self, request: Request) -> Plan:
        """Raises BAD_REQUEST for a voice, rate or pair that does not exist, NOT_INSTALLED."""
        try:
            voice = find_voice(self._catalogue, self._fleet, request.voice)
        except VoiceError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            raise VoiceError(Code.BAD_REQUEST, "voiceCode does not exist", field="voiceCode") from None
        rate, bitrate = resolve_rates(request, voice)
        recital = Recital(clauses_of(request.text), voice, request.speed)
        return Plan(recital, AudioFormat(request.encoding, rate), bitrate, len(request.text))

    # -- doing it --------------------------------------------------------------------------------

    async def _deliver(self, exchange: Exchange, plan: Plan, asked_at: float, paid: asyncio.Task[None]) -> None:
        rendering = Rendering(plan.audio, plan.bitrate)
        headers = ((b"x-engine", plan.recital.voice.engine.encode()),)
        async with aclosing(recite(plan.recital, rendering, self._fleet, self._pool)) as sound:
            async for data, seconds in sound:
                self._meter.audio_out.inc(seconds)
                if not data:
                    continue
                if not exchange.started:
                    await paid
                    self._meter.first_audio(self._now() - asked_at)
                await exchange.stream(data, plan.audio.media_type, headers)
        await paid
        await exchange.stream(rendering.finish(), plan.audio.media_type, headers)
        await exchange.finish()


def resolve_rates(request: Request, voice: VoiceEntry) -> tuple[int, int | None]:
    """The sample rate and the bitrate (bits a second) to use, where the request leaves one or both open (E6, E8).

    What was asked for is kept; the other follows what MPEG allows. Raises BAD_REQUEST for a rate the voice does not
    have, or for a pair that does not exist in MPEG, naming the pairs that do.
    """
    if request.sample_rate is not None and request.sample_rate not in voice.rates:
        rates = ", ".join(map(str, voice.rates))
        message = f"sampleRate must be one of {rates} for voiceCode {voice.code}"
        raise VoiceError(Code.BAD_REQUEST, message, field="sampleRate", allowed=list(voice.rates))
    if request.encoding is not Encoding.MP3:
        return request.sample_rate or voice.default_rate, None
    if request.sample_rate is None:
        rate = voice.default_rate
        if request.bitrate is not None:
            rate = max(set(mp3_rates(1000 * request.bitrate)) & set(voice.rates))
        return rate, 1000 * (request.bitrate or vbee_realtime.DEFAULT_BITRATE)
    able = [kbps for kbps in vbee_realtime.BITRATES if 1000 * kbps in mp3_bitrates(request.sample_rate)]
    if request.bitrate is None:
        return request.sample_rate, 1000 * max(able)
    if request.bitrate not in able:
        raise _no_such_pair(request.bitrate, request.sample_rate, able, voice)
    return request.sample_rate, 1000 * request.bitrate


def _no_such_pair(bitrate: int, rate: int, able: list[int], voice: VoiceEntry) -> VoiceError:
    rates = [one for one in voice.rates if one in mp3_rates(1000 * bitrate)]
    message = (
        f"bitrate {bitrate} is not possible at sampleRate {rate} in mp3: at sampleRate {rate} bitrate must be one of "
        f"{', '.join(map(str, able))}; at bitrate {bitrate} sampleRate must be one of {', '.join(map(str, rates))}"
    )
    return VoiceError(Code.BAD_REQUEST, message, field="bitrate", allowed=able)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """One of the errors of a group; which does not matter, the first to happen cancelled the others."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
