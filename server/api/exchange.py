"""What the routes of an API over the queue share: the caller, the form, the wait, and the file that came of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from batch.callers import Caller, Callers
from batch.form_limits import FileCap, FormLimits
from batch.forms import Form, read_form
from batch.jobs import Job
from batch.service import WAIT_S, Service, fingerprint, idempotency_key
from protocol.errors import Code, VoiceError

_MIB = 1024 * 1024
_NO_LIMIT_MIB = 4096  # what "no limit" means to the disk
_TEXT_BYTES = 512 * 1024  # of all fields: 50,000 characters of the largest plan and what goes with them

T = TypeVar("T")
_PREFIX = re.compile(r"^/(?!api/|v\d+/)[a-z]+(?=/)")

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose form was read."""

    caller: Caller
    form: Form
    key: str | None  # Idempotency-Key
    fingerprint: bytes


class ClientGone(Exception):
    """The client left while its job was waited for; the job goes on."""


class Exchange:
    """Requests to the service."""

    def __init__(self, service: Service, callers: Callers) -> None:
        self.service = service
        self._callers = callers

    async def caller(self, request: Request, *, reading: bool = False, authorization: str | None = None) -> Caller:
        """Who asks, by the header, or by what stands for it in another one. Raises UNAUTHORIZED, RATE_LIMITED."""
        address = request.client.host if request.client else ""
        shown = authorization or request.headers.get("authorization")
        caller = await self._callers.identify(shown, address, reading=reading)
        request.state.rate = caller.rate
        return caller

    @asynccontextmanager
    async def asked(
        self,
        request: Request,
        files: Mapping[str, FileCap] | None = None,
        *,
        optional: Mapping[str, FileCap] | None = None,
        caller: Caller | None = None,
    ) -> AsyncIterator[Asked]:
        """The request's caller and form, for as long as its files are needed; ``files`` are those it must have,
        ``optional`` those it may have.

        ``caller``: who it is, where that is known already. Who has no key has no Idempotency-Key either: it would be
        anybody's.
        """
        caller = caller or await self.caller(request)
        key = idempotency_key(request.headers.get("idempotency-key")) if caller.origin is None else None
        limits = FormLimits(files={**(files or {}), **(optional or {})}, text_bytes=_TEXT_BYTES)
        try:
            async with read_form(request.headers, request.stream(), limits, self.service.uploads) as form:
                for name in files or ():
                    if name not in form.files:
                        raise VoiceError(Code.BAD_REQUEST, f"{name} is required: a file.", field=name)
                paths = {name: upload.path for name, upload in form.files.items()}
                mark = await fingerprint(_own_path(request), form.fields, paths) if key is not None else b""
                yield Asked(caller, form, key, mark)
        except ClientDisconnect:
            raise VoiceError(Code.BAD_REQUEST, "The client has gone.") from None

    async def finished(self, request: Request, job: Job, *, within_s: float = WAIT_S) -> Job:
        """The job once it is over. Raises ClientGone, TIMEOUT."""
        return await while_there(request, self.service.wait(job, within_s))


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """What comes of the work, which is given up should the client leave; the body has been read. Raises ClientGone."""
    try:
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(_leave(request))
            done = await work
            leaving.cancel()
            return done
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def cap(mib: int, video_mib: int | None = None) -> FileCap:
    """A file cap in MiB, of an admin's setting where 0 means no limit."""
    size = (mib or _NO_LIMIT_MIB) * _MIB
    return FileCap(size, None if video_mib is None else (video_mib or _NO_LIMIT_MIB) * _MIB)


def _own_path(request: Request) -> str:
    """The path without an API's prefix, so that a request is the same by both addresses."""
    return _PREFIX.sub("", request.url.path)


async def _leave(request: Request) -> None:
    """Wait for the client to leave; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientGone
