"""Seed A's routes (A9-A60): forms to jobs, jobs to files and JSON. The same under ``/a`` (CONTRACT, escape hatch)."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from accounts.policy import UploadCaps
from accounts.voices import SavedVoices
from batch.form_limits import FileCap
from batch.jobs import Job
from batch.media import MediaLimits, MediaReader, Recording
from batch.service import Order, result_of, view
from batch.subtitle_files import read_subtitles
from protocol import pricing
from protocol.checking import read_form
from protocol.dialects.studio import replies
from protocol.dialects.studio.form_fields import SpeechForm
from protocol.dialects.studio.options import options_body
from protocol.dialects.studio.recordings import (
    SYNC_SECONDS,
    V1_ENGINE,
    SeparateForm,
    TranscribeForm,
    TranscribeV2Form,
    V2Defaults,
)
from protocol.dialects.studio.replies import JobType
from protocol.dialects.studio.speech import (
    AutoForm,
    CloneForm,
    DesignForm,
    DialogueForm,
    DubForm,
    SavedForm,
    characters,
)
from protocol.dialogue import parse_dialogue
from protocol.work import Speaking, Work
from server.api.exchange import Asked, Exchange, cap
from server.api.files import Files

DIALECT = "studio"
PREFIX = "/a"
_UNLIMITED_S = 24 * 3600.0
_CLONE_RATE, _SEPARATE_RATE = 24_000, 44_100
_NAMES = {"srt": "transcription.srt", "vtt": "subtitles.vtt", "txt": "transcript.txt"}


class Studio:
    """The routes. ``ready`` says whether every engine is warm."""

    def __init__(
        self,
        exchange: Exchange,
        media: MediaReader,
        voices: SavedVoices,
        files: Files,
        *,
        ready: Callable[[], bool],
        version: str,
    ) -> None:
        self._exchange = exchange
        self._service = exchange.service
        self._media = media
        self._voices = voices
        self._files = files
        self._ready = ready
        self._version = version

    def routes(self) -> list[BaseRoute]:
        """Every route, by the document's path and under the prefix."""
        table = {
            "/api/v1/health": (self._health, "GET"),
            "/api/v1/options": (self._options, "GET"),
            "/api/v1/tts/design": (self._design, "POST"),
            "/api/v1/tts/clone": (self._clone, "POST"),
            "/api/v1/tts/auto": (self._auto, "POST"),
            "/api/v1/tts/saved": (self._saved, "POST"),
            "/api/v1/tts/dialogue": (self._dialogue, "POST"),
            "/api/v1/voices": (self._list_voices, "GET"),
            "/api/v1/stt": (self._stt, "POST"),
            "/api/v2/stt": (self._stt_v2, "POST"),
            "/api/v1/srt-to-voice": (self._dub, "POST"),
            "/api/v1/audio-separate": (self._separate, "POST"),
            "/api/v1/job/{job_id}": (self._job, "GET"),
            "/api/v1/job/{job_id}/cancel": (self._cancel, "POST"),
            "/audio/{name}": (self._files.get, "GET"),
        }
        return [
            Route(prefix + path, handler, methods=[method])
            for prefix in ("", PREFIX)
            for path, (handler, method) in table.items()
        ]

    # -- what there is -------------------------------------------------------------------------------

    async def _health(self, _request: Request) -> Response:
        """A9, without a key."""
        health = replies.Health(status="ok" if self._ready() else "starting", version=self._version)
        return JSONResponse(health.body())

    async def _options(self, request: Request) -> Response:
        """A10."""
        await self._exchange.caller(request, reading=True)
        return JSONResponse(options_body(self._service.abilities.spoken_languages()))

    async def _list_voices(self, request: Request) -> Response:
        """A31: a bare array."""
        caller = await self._exchange.caller(request, reading=True)
        voices = await self._voices.of(caller.user_id)
        return JSONResponse(
            [
                replies.saved_voice(one.id, one.name, one.type, one.instruct, one.language, one.created_at)
                for one in voices
            ]
        )

    # -- speech --------------------------------------------------------------------------------------

    async def _design(self, request: Request) -> Response:
        async with self._exchange.asked(request) as asked:
            form = read_form(DesignForm, asked.form.fields)
            return await self._speak(request, asked, form, form.work(), JobType.DESIGN)

    async def _auto(self, request: Request) -> Response:
        async with self._exchange.asked(request) as asked:
            form = read_form(AutoForm, asked.form.fields)
            return await self._speak(request, asked, form, form.work(), JobType.AUTO)

    async def _saved(self, request: Request) -> Response:
        async with self._exchange.asked(request) as asked:
            form = read_form(SavedForm, asked.form.fields)
            return await self._speak(request, asked, form, form.work(), JobType.SAVED)

    async def _dialogue(self, request: Request) -> Response:
        async with self._exchange.asked(request) as asked:
            form = read_form(DialogueForm, asked.form.fields)
            work = form.work([(turn.speaker, turn.text) for turn in parse_dialogue(form.text)])
            return await self._speak(request, asked, form, work, JobType.DIALOGUE)

    async def _clone(self, request: Request) -> Response:
        caps = (await self._service.policy()).upload
        async with self._exchange.asked(request, {"ref_audio": cap(caps.audio_mb)}) as asked:
            form = read_form(CloneForm, asked.form.fields)
            await self._service.check(asked.caller, form.work(""))
            limits = _limits(caps.audio_s, caps.video_s)
            async with self._media.take(asked.form.files["ref_audio"], limits, rate=_CLONE_RATE) as sound:
                return await self._speak(request, asked, form, form.work(sound.upload), JobType.CLONE)

    async def _speak(self, request: Request, asked: Asked, form: SpeechForm, work: Speaking, kind: JobType) -> Response:
        waited = not form.async_mode
        route = pricing.Route.STUDIO_TTS
        order = _order(asked, work, route, characters(work), {"job_type": kind.value}, waited=waited)
        job = await self._service.submit(asked.caller, order)
        if not waited:
            return _accepted(job)
        return await self._file(await self._exchange.finished(request, job), "audio")

    async def _dub(self, request: Request) -> Response:
        caps = (await self._service.policy()).upload
        size = FileCap((caps.srt_kb or 4096) * 1024)
        async with self._exchange.asked(request, {"srt_file": size}) as asked:
            form = read_form(DubForm, asked.form.fields)
            cues = await read_subtitles(asked.form.files["srt_file"].path, caps.srt_cues)
            work = form.work(cues)
            said = {"cue_count": len(cues), "total_duration": round(max(cue.end for cue in cues), 3)}
            details = {"job_type": JobType.DUB.value, **said}
            order = _order(asked, work, pricing.Route.STUDIO_DUB, characters(work), details)
            return _accepted(await self._service.submit(asked.caller, order))

    # -- recordings ----------------------------------------------------------------------------------

    async def _stt(self, request: Request) -> Response:
        """A37: waited for, unless it is long or was not to be."""
        caps = (await self._service.policy()).upload
        async with self._exchange.asked(request, _recording_files(caps)) as asked:
            form = read_form(TranscribeForm, asked.form.fields)
            engine = self._service.abilities.preferred(V1_ENGINE, form.language)
            await self._service.check(asked.caller, form.work("", 0.0, engine))
            async with self._media.take(asked.form.files["audio_file"], _limits(caps.audio_s, caps.video_s)) as sound:
                seconds = round(sound.seconds, 2)
                waited = not form.async_mode and sound.seconds <= SYNC_SECONDS
                details = _heard(JobType.STT, sound) | {"output_format": form.output_format}
                route = pricing.Route.STUDIO_STT_VIDEO if sound.kind == "video" else pricing.Route.STUDIO_STT
                work = form.work(sound.upload, seconds, engine)
                order = _order(asked, work, route, seconds, details, waited=waited)
                job = await self._service.submit(asked.caller, order)
        if not waited:
            return _accepted(job)
        job = await self._exchange.finished(request, job)
        if form.output_format == "json":
            return JSONResponse(replies.transcript(view(result_of(job))))
        return await self._file(job, form.output_format)

    async def _stt_v2(self, request: Request) -> Response:
        """A44: never waited for."""
        policy = await self._service.policy()
        caps, defaults = policy.upload, V2Defaults.model_validate(policy.stt_v2.model_dump())
        async with self._exchange.asked(request, _recording_files(caps)) as asked:
            form = read_form(TranscribeV2Form, asked.form.fields)
            asked_for = form.work("", 0.0, defaults)
            engine = self._service.abilities.recognizer(asked_for.language, asked_for.engine)
            async with self._media.take(asked.form.files["audio_file"], _limits(caps.audio_s, caps.video_s)) as sound:
                seconds = round(sound.seconds, 2)
                details = _heard(JobType.STT_V2, sound) | {"output_format": form.output_format, "engine": engine}
                work = form.work(sound.upload, seconds, defaults)
                order = _order(asked, work, pricing.Route.STUDIO_STT_V2_API, seconds, details)
                return _accepted(await self._service.submit(asked.caller, order))

    async def _separate(self, request: Request) -> Response:
        caps = (await self._service.policy()).upload
        async with self._exchange.asked(request, {"audio_file": cap(caps.separate_mb)}) as asked:
            form = read_form(SeparateForm, asked.form.fields)
            await self._service.check(asked.caller, form.work("", 0.0))
            limits = _limits(caps.separate_s, caps.separate_s)
            upload = asked.form.files["audio_file"]
            async with self._media.take(upload, limits, rate=_SEPARATE_RATE, channels=2) as sound:
                seconds = round(sound.seconds, 2)
                details = _heard(JobType.SEPARATE, sound) | {"mode": form.mode}
                work = form.work(sound.upload, seconds)
                order = _order(asked, work, pricing.Route.STUDIO_SEPARATE, seconds, details)
                return _accepted(await self._service.submit(asked.caller, order))

    # -- jobs ----------------------------------------------------------------------------------------

    async def _job(self, request: Request) -> Response:
        """A21: a job of this dialect, the caller's own."""
        caller = await self._exchange.caller(request, reading=True)
        job = await self._service.job(caller.user_id, request.path_params["job_id"], DIALECT)
        return JSONResponse(replies.polled(await self._service.view(job)))

    async def _cancel(self, request: Request) -> Response:
        """A24."""
        caller = await self._exchange.caller(request, reading=True)
        await self._service.cancel(caller.user_id, request.path_params["job_id"], DIALECT)
        return JSONResponse(replies.Cancelled().body())

    async def _file(self, job: Job, role: str) -> Response:
        """The file that came of a job, with the headers of A40."""
        made = (outcome := result_of(job).outcome) and outcome.file(role)
        if not made:
            raise RuntimeError(f"job {job.id} made no {role}")
        headers = replies.file_headers(view(job))
        if role in _NAMES:
            headers["Content-Disposition"] = f'attachment; filename="{_NAMES[role]}"'
        return await self._files.whole(made.name, headers)


def _order(
    asked: Asked,
    work: Work,
    route: pricing.Route,
    quantity: float,
    details: Mapping[str, Any],
    *,
    waited: bool = False,
) -> Order:
    mark, key = asked.fingerprint, asked.key
    return Order(DIALECT, work, route, quantity, details, waited=waited, key=key, fingerprint=mark)


def _accepted(job: Job) -> Response:
    return JSONResponse(replies.submitted(view(job)))


def _heard(kind: JobType, sound: Recording) -> dict[str, Any]:
    return {"job_type": kind.value, "media_type": sound.kind, "duration_secs": round(sound.seconds, 2)}


def _recording_files(caps: UploadCaps) -> dict[str, FileCap]:
    return {"audio_file": cap(caps.audio_mb, caps.video_mb)}


def _limits(audio_s: float, video_s: float) -> MediaLimits:
    return MediaLimits(audio_s or _UNLIMITED_S, video_s or _UNLIMITED_S)
