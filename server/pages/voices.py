"""Voices on a page: design one in words or clone one, listen to it, save it under the quota (A31-A33)."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from batch.callers import Caller
from batch.form_limits import FileCap, FormLimits
from batch.media import MediaLimits
from batch.service import Order, result_of, view
from engines.base import Task
from protocol.checking import read_form
from protocol.dialects.studio.replies import AUDIO, JobType
from protocol.dialects.studio.speech import STYLES, CloneForm, DesignForm, characters
from protocol.errors import Code, VoiceError
from protocol.pricing import Route
from protocol.work import Speaking
from server.pages.desk import Desk, Page
from server.pages.entrance import complaint, status_of
from server.pages.language_choices import language_choices
from server.pages.references import CLONE_RATE, References
from server.pages.render import Renderer, go
from server.pages.visit import Visit

PATH = "/voices"
DIALECT = "studio"
_MIB = 1024 * 1024
_REFERENCE_S = 60.0
_TRIAL_CHARACTERS = 500
_TRYING = FormLimits(files={"ref_audio": FileCap(20 * _MIB)})
_DESIGN = ("gender", "age", "pitch", "style", "instruct")
_TRIAL = "Hello! This is how I sound. I can read to you for as long as you like."


class VoicePages:
    """The voices of whoever is logged in."""

    def __init__(self, desk: Desk, render: Renderer) -> None:
        self._desk = desk
        self._render = render
        self._references = References(desk.service.uploads)

    def pages(self) -> Sequence[Page]:
        """The page, and what it does."""
        return [
            Page(PATH, self.show),
            Page(PATH + "/preview", self.preview, post=True, form=_TRYING),
            Page(PATH + "/save", self.save, post=True, form=_TRYING),
            Page(PATH + "/{id:int}/delete", self.delete, post=True),
        ]

    async def show(self, visit: Visit) -> Response:
        """The saved voices, and a form to try one."""
        return await self._page(visit)

    async def preview(self, visit: Visit) -> Response:
        """Speak the text with the voice, and offer to save it."""
        try:
            heard = await self._hear(visit)
        except VoiceError as error:
            return await self._wrong(visit, error)
        return await self._page(visit, heard=heard)

    async def save(self, visit: Visit) -> Response:
        """Keep a voice; CONFLICT (409) when the user has as many as he may."""
        user, name, language = visit.member, visit.field("name"), visit.field("language") or "auto"
        try:
            if visit.field("type") == "clone":
                reference = await self._reference(visit)
                await self._desk.accounts.voices.save_clone(user.id, name, reference, language=language)
                await self._references.forget(visit.field("reference"))
            else:
                design = read_form(DesignForm, {**self._chosen(visit), "text": "-"}).work().lines[0].voice
                if design.kind != "design":
                    raise TypeError("a design form made no design")
                await self._desk.accounts.voices.save_design(user.id, name, design, language=language)
        except VoiceError as error:
            return await self._wrong(visit, error)
        return go(PATH)

    async def delete(self, visit: Visit) -> Response:
        """Remove a saved voice."""
        await self._desk.accounts.voices.delete(visit.member.id, visit.request.path_params["id"])
        return go(PATH)

    # -- trying ----------------------------------------------------------------------------------

    async def _hear(self, visit: Visit) -> dict[str, Any]:
        user = visit.member
        caller = Caller(user.id, await self._desk.accounts.limits.of(user.id))
        await self._desk.rates.hit(user.id, caller.plan.requests_per_minute)
        if len(visit.field("text")) > _TRIAL_CHARACTERS:
            message = f"At most {_TRIAL_CHARACTERS} characters to try a voice with."
            raise VoiceError(Code.TEXT_TOO_LONG, message, field="text")
        again = {"type": visit.field("type"), "language": visit.field("language")}
        if visit.field("type") != "clone":
            again |= self._chosen(visit)
            work = read_form(DesignForm, {**again_without_type(again), "text": visit.field("text")}).work()
            return await self._spoken(caller, work, JobType.DESIGN, again)
        upload = visit.form and visit.form.files.get("ref_audio")
        if not upload:
            raise VoiceError(Code.BAD_REQUEST, "Choose a recording of the voice.", field="ref_audio")
        form = read_form(CloneForm, {"text": visit.field("text"), "language": visit.field("language") or "auto"})
        limits = MediaLimits(_REFERENCE_S, _REFERENCE_S)
        async with self._desk.media.take(upload, limits, rate=CLONE_RATE) as sound:
            kept = await self._references.keep(sound.upload)
            return await self._spoken(
                caller, form.work(sound.upload), JobType.CLONE, {**again, "reference": kept}
            )

    async def _spoken(
        self, caller: Caller, work: Speaking, kind: JobType, again: Mapping[str, str]
    ) -> dict[str, Any]:
        service, details = self._desk.service, {"job_type": kind.value}
        order = Order(DIALECT, work, Route.STUDIO_TTS, characters(work), details, waited=True)
        job = result_of(await service.wait(await service.submit(caller, order)))
        outcome = job.outcome
        made = None if outcome is None else outcome.file("audio")
        if outcome is None or made is None:
            raise VoiceError(Code.ENGINE_FAILED, "The engine made no sound.")
        notes = {one.engine: one.note for one in self._desk.capabilities() if one.task is Task.SYNTHESIZE}
        return {
            "url": AUDIO + made.name,
            "engine": outcome.engine,
            "note": notes.get(outcome.engine, ""),
            "credits": f"{view(job).credits:g}",
            "again": list(again.items()),
        }

    async def _reference(self, visit: Visit) -> bytes:
        """The recording of a clone to save: as it was heard in the trial, or sent along."""
        if visit.field("reference"):
            return await self._references.read(visit.field("reference"))
        upload = visit.form and visit.form.files.get("ref_audio")
        if not upload:
            raise VoiceError(Code.BAD_REQUEST, "A clone needs a recording.", field="ref_audio")
        async with self._desk.media.take(upload, MediaLimits(_REFERENCE_S, _REFERENCE_S), rate=CLONE_RATE) as sound:
            kept = await self._references.keep(sound.upload)
        try:
            return await self._references.read(kept)
        finally:
            await self._references.forget(kept)

    def _chosen(self, visit: Visit) -> dict[str, str]:
        return {name: visit.field(name) for name in (*_DESIGN, "language") if visit.field(name)}

    # -- showing ---------------------------------------------------------------------------------

    async def _wrong(self, visit: Visit, error: VoiceError) -> Response:
        errors, problem = complaint(error)
        return await self._page(visit, status=status_of(error), errors=errors, problem=problem or error.message)

    async def _page(
        self,
        visit: Visit,
        *,
        status: int = 200,
        heard: Mapping[str, Any] | None = None,
        errors: Mapping[str, str] | None = None,
        problem: str = "",
    ) -> Response:
        user, accounts = visit.member, self._desk.accounts
        quota, voices = (await accounts.limits.of(user.id)).voices, await accounts.voices.of(user.id)
        form = {"type": "design", "language": "auto", "text": _TRIAL} | dict.fromkeys(_DESIGN, "")
        form |= {name: visit.field(name) for name in form if visit.field(name)}
        return self._render.page(
            visit,
            "voices.html",
            status=status,
            voices=voices,
            quota=quota,
            full=bool(quota) and len(voices) >= quota,
            languages=language_choices(self._desk.service.abilities.spoken_languages()),
            options=_OPTIONS,
            form=form,
            heard=heard,
            errors=errors or {},
            problem=problem,
        )


def again_without_type(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a design, as its form knows them."""
    return {name: value for name, value in fields.items() if name != "type" and value}


def _any(*values: str) -> list[tuple[str, str]]:
    return [("", "any"), *((value, value) for value in values)]


_OPTIONS = {
    "gender": _any("female", "male"),
    "age": _any("child", "young adult", "middle-aged", "elderly"),
    "pitch": _any("low pitch", "moderate pitch", "high pitch"),
    "style": _any(*STYLES),
}
