"""Jobs on a page: the list with moving progress, one job with its files, cancelling, and a recording to transcribe."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from batch.callers import Caller
from batch.form_limits import FileCap, FormLimits
from batch.jobs import Job, Status
from batch.media import MediaLimits
from batch.service import Order
from protocol.checking import read_form
from protocol.dialects.studio.recordings import TranscribeV2Form, V2Defaults
from protocol.dialects.studio.replies import AUDIO, JobType
from protocol.errors import Code, VoiceError
from protocol.language_names import language_code
from protocol.pricing import Route
from server.pages.desk import Desk, Page
from server.pages.entrance import complaint, status_of
from server.pages.language_choices import language_choices
from server.pages.render import Renderer, go
from server.pages.visit import NO_STORE, Visit
from server.pages.written import credits, moment, size

PATH = "/jobs"
DIALECT = "studio"
_PER_PAGE = 25
_MIB = 1024 * 1024
# What the form reads before the policy in force says how much is too much.
_RECORDING = FormLimits(files={"audio_file": FileCap(2048 * _MIB)})
_WHAT = {
    "tts_design": "Speech in a designed voice",
    "tts_clone": "Speech in a cloned voice",
    "tts_auto": "Speech",
    "tts_saved": "Speech in a saved voice",
    "tts_dialogue": "Dialogue",
    "stt": "Transcript",
    "stt_v2": "Transcript",
    "srt_to_voice": "Subtitles to speech",
    "audio_separate": "Separation of voice and music",
}
KINDS = {  # of work that another API was asked for
    "speak": "Speech",
    "dub": "Subtitles to speech",
    "transcribe": "Transcript",
    "separate": "Separation",
    "enhance": "Enhancement",
    "deecho": "Removal of echo",
    "convert": "Conversion",
    "analyze": "Analysis of music",
    "revoice": "Change of voice",
    "interpret": "Translated speech",
    "converse": "Spoken answer",
}


class JobPages:
    """The jobs of whoever is logged in, by whichever API they came."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render

    def pages(self) -> Sequence[Page]:
        """The list, one job, and what can be done."""
        return [
            Page(PATH, self.show),
            Page(PATH + "/transcribe", self.transcribe, post=True, form=_RECORDING),
            Page(PATH + "/{id}", self.one),
            Page(PATH + "/{id}/state", self.state),
            Page(PATH + "/{id}/cancel", self.cancel, post=True),
        ]

    async def show(self, visit: Visit) -> Response:
        """The latest jobs; ``before``: those older than one."""
        return await self._list(visit)

    async def one(self, visit: Visit) -> Response:
        """All there is to say of a job."""
        job = await self._desk.queue.get(visit.member.id, visit.request.path_params["id"])
        view = await self._desk.service.view(job)
        outcome = job.outcome
        files = [
            {
                "role": made.role,
                "url": AUDIO + made.name,
                "size": size(made.size),
                "plays": made.media_type.startswith("audio/"),
            }
            for made in (outcome.made if outcome and not view.expired else ())
        ]
        shown = {
            **_row(job),
            "error": job.error.message if job.error else "",
            "engine": outcome.engine if outcome else "",
            "text": outcome.text if outcome else "",
            "files": files,
            "expired": view.expired,
        }
        return self._render.page(visit, "job.html", job=shown)

    async def state(self, visit: Visit) -> Response:
        """What the page asks for while a job is under way."""
        job = await self._desk.queue.get(visit.member.id, visit.request.path_params["id"])
        state = {"status": job.status.value, "progress": job.progress, "over": job.finished}
        return JSONResponse(state, headers={"cache-control": NO_STORE})

    async def cancel(self, visit: Visit) -> Response:
        """Take a job back that has not begun."""
        job = await self._desk.queue.get(visit.member.id, visit.request.path_params["id"])
        await self._desk.service.cancel(visit.member.id, job.id, job.dialect)
        return go(f"{PATH}/{job.id}")

    async def transcribe(self, visit: Visit) -> Response:
        """A recording to text, at the price of the pages (A50)."""
        try:
            job = await self._transcribe(visit)
        except VoiceError as error:
            errors, problem = complaint(error)
            return await self._list(visit, status=status_of(error), errors=errors, problem=problem)
        return go(f"{PATH}/{job.id}")

    # -- inside ----------------------------------------------------------------------------------

    async def _transcribe(self, visit: Visit) -> Job:
        desk, user = self._desk, visit.member
        policy, caller = await desk.accounts.policies.current(), Caller(user.id, await desk.accounts.limits.of(user.id))
        await desk.rates.hit(user.id, caller.plan.requests_per_minute)
        upload = visit.form and visit.form.files.get("audio_file")
        if not upload:
            raise VoiceError(Code.BAD_REQUEST, "Choose a recording.", field="audio_file")
        caps = policy.upload
        cap = FileCap((caps.audio_mb or 2048) * _MIB, (caps.video_mb or 2048) * _MIB).of(upload.filename)
        if upload.size > cap:
            message = f"The recording may have at most {cap // _MIB} MiB."
            raise VoiceError(Code.TOO_LARGE, message, field="audio_file")
        code = language_code(visit.field("language"))
        if code is None:
            raise VoiceError(Code.BAD_REQUEST, "Choose one of the languages.", field="language")
        defaults = V2Defaults.model_validate(policy.stt_v2.model_dump())
        form = read_form(TranscribeV2Form, {"language": code})
        limits = MediaLimits(caps.audio_s or 86_400.0, caps.video_s or 86_400.0)
        await desk.service.check(caller, form.work("", 0.0, defaults))
        async with desk.media.take(upload, limits) as sound:
            seconds = round(sound.seconds, 2)
            details = {"job_type": JobType.STT_V2.value, "media_type": sound.kind, "duration_secs": seconds}
            work = form.work(sound.upload, seconds, defaults)
            return await desk.service.submit(caller, Order(DIALECT, work, Route.STUDIO_STT_V2_WEB, seconds, details))

    async def _list(
        self, visit: Visit, *, status: int = 200, errors: Mapping[str, str] | None = None, problem: str = ""
    ) -> Response:
        before = visit.request.query_params.get("before")
        jobs = await self._desk.queue.page(visit.member.id, limit=_PER_PAGE + 1, before=before)
        return self._render.page(
            visit,
            "jobs.html",
            status=status,
            jobs=[_row(job) for job in jobs[:_PER_PAGE]],
            older=jobs[_PER_PAGE - 1].id if len(jobs) > _PER_PAGE else "",
            newest=before is None,
            languages=language_choices(self._desk.service.abilities.recognized_languages()),
            errors=errors or {},
            problem=problem,
        )


def _row(job: Job) -> dict[str, Any]:
    what = _WHAT.get(str(job.details.get("job_type", "")), KINDS[job.work.kind])
    return {
        "id": job.id,
        "what": what,
        "created": moment(job.created_at),
        "status": job.status.value,
        "progress": 100 if job.status is Status.COMPLETED else job.progress,
        "over": job.finished,
        "credits": credits(job.spent_units),
    }
