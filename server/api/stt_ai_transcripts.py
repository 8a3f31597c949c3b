"""Seed C's kept transcripts (C22): pages of them, one with its segments, files of it, questions about it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import PurePath
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from batch.callers import Caller
from batch.jobs import Job, Status
from batch.service import Service, view
from batch.texts import Texts
from batch.transcripts import Transcripts, Wanted
from protocol.checking import check, read_form
from protocol.dialects.stt_ai import account, transcripts
from protocol.dialects.stt_ai import texts as wire
from protocol.errors import Code, VoiceError
from protocol.languages import language_name
from protocol.moments import iso_moment
from protocol.transcripts import speaker_name
from protocol.work import Outcome, Transcribing
from server.api.conversations import Conversations
from server.api.exchange import Exchange, while_there
from server.api.json_bodies import read_json
from server.api.stt_ai import DIALECT, PREFIX
from server.exporting.paper import Line, Paper, clock

PATH = "/api/v1/transcripts"
_BODY_BYTES = 64 * 1024
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MEDIA_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "docx": _WORD,
    "pdf": "application/pdf",
}
_PAPERS = ("csv", "docx", "pdf")  # made of a ``Paper``
_LAID_OUT = ("docx", "pdf")  # what takes a while to make
M = TypeVar("M", bound=BaseModel)


class SttAiTranscripts:
    """The routes. ``new_id`` names conversations; ``public_url``: where clients reach this server, "" = as they did."""

    def __init__(
        self,
        exchange: Exchange,
        kept: Transcripts,
        texts: Texts,
        *,
        public_url: str = "",
        new_id: Callable[[], str],
    ) -> None:
        self._exchange = exchange
        self._service: Service = exchange.service
        self._kept = kept
        self._texts = texts
        self._public_url = public_url.rstrip("/")
        self._new_id = new_id
        self._conversations = Conversations()
        self._writing = asyncio.Lock()  # one at a time: the threads that wait would be missed elsewhere

    def routes(self) -> list[BaseRoute]:
        """With a slash at the end as the document has it, and without; by the document's path and under the prefix."""
        one = PATH + "/{id}"
        table = {
            PATH: (self._list, ["GET"]),
            one: (self._one, ["GET", "DELETE"]),
            one + "/export/{format}": (self._export, ["GET"]),
            one + "/chat": (self._chat, ["POST"]),
            one + "/analyze": (self._analyze, ["POST"]),
            one + "/generate": (self._generate, ["POST"]),
        }
        return [
            Route(prefix + path + end, handler, methods=methods)
            for prefix in ("", PREFIX)
            for path, (handler, methods) in table.items()
            for end in ("/", "")
        ]

    async def _list(self, request: Request) -> Response:
        """A page of them, newest first."""
        caller = await self._exchange.caller(request, reading=True)
        asked = read_form(transcripts.TranscriptQuery, dict(request.query_params))
        offset = (asked.page - 1) * asked.page_size
        count, found = await self._kept.page(caller.user_id, _wanted(asked), limit=asked.page_size, offset=offset)
        body = {
            "count": count,
            "next": self._page(request, asked.page + 1) if offset + len(found) < count and found else None,
            "previous": self._page(request, asked.page - 1) if asked.page > 1 else None,
            "results": [transcripts.row(view(job), finished_at=job.finished_at) for job in found],
        }
        return JSONResponse(body)

    async def _one(self, request: Request) -> Response:
        """One, or the end of it."""
        caller = await self._exchange.caller(request, reading=True)
        job = await self._job(caller, request)
        if request.method == "DELETE":
            await self._delete(caller, job)
            return Response(status_code=204)
        return JSONResponse(transcripts.detail(view(job), finished_at=job.finished_at))

    async def _export(self, request: Request) -> Response:
        """A file of it."""
        form = request.path_params["format"].lower()
        caller = await self._exchange.caller(request, reading=form not in _LAID_OUT)
        if form not in MEDIA_TYPES:
            allowed = list(MEDIA_TYPES)
            what = "format must be one of " + ", ".join(allowed)
            raise VoiceError(Code.BAD_REQUEST, f"{what}.", field="format", allowed=allowed)
        job = await self._job(caller, request)
        outcome = _completed(job)
        async with self._writing:
            made = await asyncio.to_thread(_file, form, job, outcome)
        name = quote(f"{PurePath(_title(job)).stem or 'transcript'}.{form}", safe="")
        saved = f"attachment; filename=\"transcript.{form}\"; filename*=UTF-8''{name}"
        return Response(made, headers={"Content-Disposition": saved}, media_type=MEDIA_TYPES[form])

    async def _chat(self, request: Request) -> Response:
        """A question; the answer's sources are segments."""
        caller, job, asked = await self._asked(request, account.Question)
        outcome, session = _spoken(job), asked.session_id or self._new_id()
        which = (caller.user_id, job.id, session)
        heard = [one.text for one in outcome.segments]
        asking = self._texts.answer(asked.question, heard, self._conversations.of(which))
        answered = await while_there(request, asking)
        self._conversations.add(which, asked.question, answered.text)
        return JSONResponse(account.answer(answered, session))

    async def _analyze(self, request: Request) -> Response:
        """C14 of what was said."""
        _, job, asked = await self._asked(request, wire.AnalyzeTranscript)
        made = self._texts.analyze(_spoken(job).text, asked.type)
        return JSONResponse(wire.analysis(await while_there(request, made)))

    async def _generate(self, request: Request) -> Response:
        """C15 of what was said."""
        _, job, asked = await self._asked(request, wire.GenerateFromTranscript)
        made = self._texts.generate(_spoken(job).text, asked.type)
        return JSONResponse(wire.generated(await while_there(request, made), asked.type))

    # -- inside ----------------------------------------------------------------------------------

    async def _asked(self, request: Request, model: type[M]) -> tuple[Caller, Job, M]:
        caller = await self._exchange.caller(request)
        job = await self._job(caller, request)
        return caller, job, check(model, await read_json(request, most=_BODY_BYTES))

    async def _job(self, caller: Caller, request: Request) -> Job:
        try:
            job = await self._service.job(caller.user_id, request.path_params["id"], DIALECT)
        except VoiceError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            raise _unknown() from None
        if not isinstance(job.work, Transcribing):
            raise _unknown()
        return job

    async def _delete(self, caller: Caller, job: Job) -> None:
        if job.status in (Status.QUEUED, Status.PICKED):
            job = await self._service.cancel(caller.user_id, job.id, DIALECT)
        await self._kept.forget(job)

    def _page(self, request: Request, number: int) -> str:
        url = request.url.include_query_params(page=number)
        return f"{self._public_url}{url.path}?{url.query}" if self._public_url else str(URL(str(url)))


def _wanted(asked: transcripts.TranscriptQuery) -> Wanted:
    first, last = asked.date or asked.date_from, asked.date or asked.date_to
    language = asked.language if asked.language not in (None, "auto") else ""
    return Wanted(
        statuses=frozenset(Status(state.value) for state in asked.states()),
        language=language or "",
        since=None if first is None else _midnight(first),
        until=None if last is None else _midnight(last) + timedelta(days=1).total_seconds(),
    )


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _completed(job: Job) -> Outcome:
    if job.status is not Status.COMPLETED or job.outcome is None:
        raise VoiceError(Code.CONFLICT, f"This transcript is {job.status.value}; there is nothing in it yet.")
    return job.outcome


def _spoken(job: Job) -> Outcome:
    outcome = _completed(job)
    if not outcome.text.strip():
        raise VoiceError(Code.BAD_REQUEST, "Nothing was said in this recording.")
    return outcome


def _title(job: Job) -> str:
    return str(job.details.get("filename", "")) or "Transcript"


def _file(form: str, job: Job, outcome: Outcome) -> bytes:
    if form in _PAPERS:
        return _maker(form)(_paper(job, outcome))
    return transcripts.written_as(form, outcome).encode()


def _maker(form: str) -> Callable[[Paper], bytes]:
    """Loaded with the first that is asked for: what lays out pages is large, and most servers never need it."""
    made: Callable[[Paper], bytes] = getattr(import_module(f"server.exporting.{form}_file"), f"to_{form}")
    return made


def _paper(job: Job, outcome: Outcome) -> Paper:
    facts = [clock(outcome.seconds), iso_moment(job.created_at)[:10]]
    facts += [language_name(outcome.language)] if outcome.language else []
    lines = [
        Line(
            one.start,
            one.end,
            " ".join("".join(filter(_fit, one.text)).split()),
            speaker_name(one.speaker),
            one.confidence,
        )
        for one in outcome.segments
    ]
    return Paper(_title(job), facts, lines)


def _fit(mark: str) -> bool:
    """What a document can hold: XML knows no control characters."""
    return mark.isprintable() or mark.isspace()


def _unknown() -> VoiceError:
    return VoiceError(Code.NOT_FOUND, "There is no such transcript.")
