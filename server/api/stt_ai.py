"""Seed C's routes with a file: transcribe (C5, C6), enhance-audio (C16), tts (C17). The reply waits for the job.

A recording of any length is waited for. A client that leaves meanwhile takes nothing with it: the job goes on, and its
transcript is in the account (C22).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from accounts.names import clean_name
from batch.jobs import Job
from batch.media import MediaLimits, MediaReader
from batch.service import Order, result_of
from batch.transcripts import SECONDS
from protocol import pricing
from protocol.checking import read_form
from protocol.dialects.stt_ai import transcripts
from protocol.dialects.stt_ai.forms import DOCUMENTED_MODELS, REFERENCE_S, CloneForm, EnhanceForm, TranscribeForm
from protocol.errors import Code, VoiceError
from protocol.pricing import credits_text
from protocol.work import Outcome, Work
from server.api.exchange import Asked, Exchange, cap
from server.api.files import Files
from server.api.stt_ai_door import Door

DIALECT = "stt_ai"
PREFIX = "/c"
AUTO = "auto"
_DAY_S = 24 * 3600.0
_UNLIMITED = MediaLimits(_DAY_S, _DAY_S, size=40 << 30)  # a day of stereo; the time reading may take bounds the work
_WAIT_S = 2 * _DAY_S  # longer than anything takes that lasts a day
_SHORT_S = 120.0  # a recording up to this length goes before ordinary jobs, as seed A's (A37)
_CLONE_RATE, _ENHANCE_RATE = 24_000, 48_000
_REFERENCE_MB = 50
_MOST_REFERENCE_S = 600.0  # read to be told how long it is
_NAME_CHARACTERS = 200
_TEXTS = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


class SttAi:
    """The routes."""

    def __init__(self, exchange: Exchange, door: Door, media: MediaReader, files: Files) -> None:
        self._exchange = exchange
        self._service = exchange.service
        self._door = door
        self._media = media
        self._files = files

    def routes(self) -> list[BaseRoute]:
        """By the document's path and under the prefix; a clone under the prefix only, since its path is shared (X1)."""
        return [
            *(
                Route(prefix + path, handler, methods=["POST"])
                for prefix in ("", PREFIX)
                for path, handler in (("/v1/transcribe", self._transcribe), ("/v1/enhance-audio", self._enhance))
            ),
            Route(PREFIX + "/v1/tts", self._clone, methods=["POST"]),
        ]

    async def _transcribe(self, request: Request) -> Response:
        """C5: JSON as C6, or text."""
        caller = await self._door.listener(request)
        async with self._exchange.asked(request, {"file": cap(caller.plan.recording_mb)}, caller=caller) as asked:
            form = read_form(TranscribeForm, asked.form.fields)
            engine = self._engine(form)
            await self._service.check(caller, form.work("", 0.0, engine))
            upload = asked.form.files["file"]
            async with self._media.take(upload, _UNLIMITED) as sound:
                seconds = round(sound.seconds, 2)
                order = self._order(
                    asked,
                    form.work(sound.upload, seconds, engine),
                    pricing.Route.STT_AI_TRANSCRIBE,
                    seconds,
                    {"filename": clean_name(upload.filename, _NAME_CHARACTERS), "model": form.model, SECONDS: seconds},
                    hurried=seconds <= _SHORT_S,
                    heard=seconds,
                )
                job = await self._service.submit(caller, order)
        job = await self._finished(request, job)
        # In a thread: a day's recording has a hundred thousand words, and others speak meanwhile.
        text = await asyncio.to_thread(transcripts.written_as, form.response_format, job.outcome or Outcome())
        return Response(text, headers=_headers(job), media_type=_TEXTS[form.response_format])

    async def _enhance(self, request: Request) -> Response:
        """C16."""
        caller = await self._door.worker(request)
        async with self._exchange.asked(request, {"file": cap(caller.plan.recording_mb)}, caller=caller) as asked:
            form = read_form(EnhanceForm, asked.form.fields)
            await self._service.check(caller, form.work("", 0.0))
            upload = asked.form.files["file"]
            async with self._media.take(upload, _UNLIMITED, rate=_ENHANCE_RATE, channels=2, keep=True) as sound:
                seconds = round(sound.seconds, 2)
                work, route = form.work(sound.upload, seconds), pricing.Route.STT_AI_ENHANCE
                order = self._order(asked, work, route, seconds, {SECONDS: seconds}, hurried=seconds <= _SHORT_S)
                job = await self._service.submit(caller, order)
        return await self._file(await self._finished(request, job))

    async def _clone(self, request: Request) -> Response:
        """C17: with how long the sound is, and how long it took to make."""
        caller = await self._door.worker(request)
        most = min(caller.plan.recording_mb or _REFERENCE_MB, _REFERENCE_MB)
        async with self._exchange.asked(request, {"reference": cap(most)}, caller=caller) as asked:
            form = read_form(CloneForm, asked.form.fields)
            await self._service.check(caller, form.work(""))
            limits, upload = MediaLimits(_MOST_REFERENCE_S, _MOST_REFERENCE_S), asked.form.files["reference"]
            async with self._media.take(upload, limits, rate=_CLONE_RATE) as sound:
                _check_reference(sound.seconds)
                work, route = form.work(sound.upload), pricing.Route.STT_AI_CLONE
                order = self._order(asked, work, route, len(form.text), {}, hurried=True)
                job = await self._service.submit(caller, order)
        job = await self._finished(request, job)
        made_in = (job.finished_at or 0.0) - (job.started_at or 0.0)
        more = {"X-Duration": f"{(job.outcome or Outcome()).seconds:.2f}", "X-Generation-Time": f"{made_in:.2f}"}
        return await self._file(job, more)

    # -- inside ----------------------------------------------------------------------------------

    def _engine(self, form: TranscribeForm) -> str:
        """Who will recognise it: the model that was named, or the best there is for one of the document's (C5)."""
        try:
            self._service.abilities.recognizer(form.language, form.model)
            return form.model
        except VoiceError as error:
            if form.model in (*DOCUMENTED_MODELS, AUTO):
                return AUTO
            if error.code is Code.NOT_FOUND:  # a model is no resource: the request names one that there is not
                raise VoiceError(Code.BAD_REQUEST, "model must be one of GET /v1/models.", **error.facts) from None
            raise

    def _order(
        self,
        asked: Asked,
        work: Work,
        route: pricing.Route,
        quantity: float,
        details: Mapping[str, Any],
        *,
        hurried: bool,
        heard: float = 0.0,
    ) -> Order:
        return Order(
            DIALECT,
            work,
            route,
            quantity,
            {**details, **self._door.details(asked.caller)},
            waited=hurried,
            key=asked.key,
            fingerprint=asked.fingerprint,
            also=self._door.check(asked.caller, heard),
        )

    async def _finished(self, request: Request, job: Job) -> Job:
        return result_of(await self._exchange.finished(request, job, within_s=_WAIT_S))

    async def _file(self, job: Job, headers: Mapping[str, str] | None = None) -> Response:
        made = (job.outcome or Outcome()).file("audio")
        if made is None:
            raise RuntimeError(f"job {job.id} made no sound")
        return await self._files.whole(made.name, _headers(job) | dict(headers or {}))


def _headers(job: Job) -> dict[str, str]:
    """What a reply of C6 has no room for: who did it, what it cost, and where to find it again."""
    outcome = job.outcome or Outcome()
    return {"X-Engine": outcome.engine, "X-Credits-Used": credits_text(job.spent_units), "X-Job-Id": job.id}


def _check_reference(seconds: float) -> None:
    """C17: long enough to know a voice by, short enough to be one."""
    least, most = REFERENCE_S
    if not least <= round(seconds, 1) <= most:
        message = f"reference must be {least:g} to {most:g} seconds of a voice; this is {seconds:.1f}."
        raise VoiceError(Code.BAD_REQUEST, message, field="reference", allowed=[least, most])
