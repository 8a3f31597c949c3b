"""An order, from its price to its end: what every API over the queue shares, whatever its wire looks like.

Submitting checks that it can be done before anything is paid, keeps the uploads it needs, and sets the credits aside
with the job in one transaction. Waiting is for replies that carry the result; a client that leaves meanwhile takes
nothing with it, its job goes on and can be asked for.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Ledger
from accounts.policy import Policies, Policy
from batch.abilities import Abilities
from batch.artifacts import Artifacts
from batch.attempt import WAITED_FOR
from batch.callers import Caller
from batch.dispatch import JOBS, Dispatch, job_done
from batch.jobs import Callback, Job, Limits, Status, Submission
from batch.queue import Queue
from batch.uploads import Uploads
from batch.waiting import wait_until_finished
from protocol.errors import Code, VoiceError
from protocol.job_view import JobView, State
from protocol.pricing import Route, format_credits, price
from protocol.work import Speaking, Work, uploads_of

WAIT_S = 1800.0  # A62: the longest that the document's clients wait
_ORDINARY = 100
_RESTART_S = 5
_JOB_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_KEY_CHARACTERS = 200
_HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks for, and what it is paid by."""

    dialect: str
    work: Work
    route: Route
    quantity: float  # of characters or seconds, as the route counts
    details: Mapping[str, Any] = field(default_factory=dict)  # what the dialect wants to say again
    waited: bool = False  # the reply carries the result
    callback: Callback | None = None
    key: str | None = None  # Idempotency-Key
    fingerprint: bytes = b""  # of the request as it was sent
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None  # as ``jobs.Limits``


class Service:
    """Takes orders. ``now`` is the time of day."""

    def __init__(
        self,
        queue: Queue,
        ledger: Ledger,
        policies: Policies,
        abilities: Abilities,
        uploads: Uploads,
        artifacts: Artifacts,
        dispatch: Dispatch,
        *,
        now: Callable[[], float],
    ) -> None:
        self.abilities = abilities
        self.artifacts = artifacts
        self.uploads = uploads
        self._queue = queue
        self._ledger = ledger
        self._policies = policies
        self._dispatch = dispatch
        self._now = now
        self._closing = asyncio.Event()

    async def policy(self) -> Policy:
        """What an admin set."""
        return await self._policies.current()

    async def check(self, caller: Caller, work: Work) -> None:
        """Raises what ``work`` cannot be done for here; its uploads may still be unread."""
        await self.abilities.check(caller.user_id, work)
        check_length(work, caller.plan.text_chars)

    async def submit(self, caller: Caller, order: Order) -> Job:
        """The accepted job; with an Idempotency-Key that is known, the job it stands for.

        Raises what the order cannot be done for (``Abilities``), TEXT_TOO_LONG, INSUFFICIENT_CREDITS,
        TOO_MANY_SESSIONS, RATE_LIMITED, STORAGE_FULL, CONFLICT.
        """
        policy = await self._policies.current()
        await self.check(caller, order.work)
        await self.artifacts.check_room(caller.user_id, caller.plan.storage_mb)
        submission = Submission(
            user_id=caller.user_id,
            dialect=order.dialect,
            work=order.work,
            price_units=0 if caller.origin is not None else price(order.route, order.quantity, policy.prices),
            details=order.details,
            priority=WAITED_FOR if order.waited else _ORDINARY,
            callback=order.callback,
            idempotency_key=order.key,
            body_hash=order.fingerprint,
        )
        limits = Limits(caller.plan.jobs, policy.server_jobs, order.also)
        needed = uploads_of(order.work)
        async with self.uploads.kept(*needed):
            job = await self._queue.submit(submission, limits)
        for name in set(needed) - set(uploads_of(job.work)):  # it was asked for before
            await self.uploads.remove(name)
        self._dispatch.announce(JOBS)
        return job

    async def wait(self, job: Job, within_s: float = WAIT_S) -> Job:
        """The job once it is over.

        TIMEOUT with its ``job_id`` when that takes too long, SHUTTING_DOWN when the server does; it goes on.
        """
        queue, dispatch = self._queue, self._dispatch
        try:
            async with asyncio.TaskGroup() as tasks:
                over = tasks.create_task(wait_until_finished(queue, dispatch, job.user_id, job.id, timeout_s=within_s))
                closing = tasks.create_task(self._closing.wait())
                await asyncio.wait({over, closing}, return_when=asyncio.FIRST_COMPLETED)
                ended = over.done()
                over.cancel()
                closing.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if not ended:
            message = "The server is shutting down; ask for the job again later."
            raise VoiceError(Code.SHUTTING_DOWN, message, job_id=job.id, retry_after=_RESTART_S)
        if not over.result().finished:
            raise VoiceError(Code.TIMEOUT, "It takes longer; ask for the job again later.", job_id=job.id)
        return over.result()

    def close(self) -> None:
        """Nobody waits any longer: the server is going down, and what is not done by now is done after that."""
        self._closing.set()

    async def job(self, user_id: int, job_id: str, dialect: str) -> Job:
        """A job that this user asked for in this dialect; NOT_FOUND for any other."""
        job = await self._queue.get(user_id, job_id) if _JOB_ID.fullmatch(job_id) else None
        if job is None or job.dialect != dialect:
            raise VoiceError(Code.NOT_FOUND, "There is no such job.")
        return job

    async def cancel(self, user_id: int, job_id: str, dialect: str) -> Job:
        """Take back a job that has not begun (A24). NOT_FOUND, CONFLICT."""
        await self.job(user_id, job_id, dialect)
        job = await self._queue.cancel(user_id, job_id)
        self._dispatch.announce(job_done(job_id))
        for name in uploads_of(job.work):
            await self.uploads.remove(name)
        return job

    async def view(self, job: Job) -> JobView:
        """The job as a dialect tells of it, with what its owner has left and whether its files are still kept."""
        files = await self.artifacts.of_job(job.id) if job.status is Status.COMPLETED else ()
        gone = [file.removed_at is not None or file.expires_at <= self._now() for file in files]
        return view(job, remaining=await self.balance(job.user_id), expired=bool(gone) and all(gone))

    async def balance(self, user_id: int) -> float:
        """The credits a user can spend."""
        async with self._queue.store.read() as connection:
            return format_credits((await self._ledger.balance(connection, user_id)).available)


def view(job: Job, *, remaining: float | None = None, expired: bool = False) -> JobView:
    """A job as a dialect tells of it."""
    return JobView(
        id=job.id,
        state=State(job.status.value),
        work=job.work,
        created_at=job.created_at,
        progress=job.progress,
        credits=format_credits(job.spent_units),
        remaining=remaining,
        details=job.details,
        outcome=job.outcome,
        error=job.error.message if job.error else "",
        error_code=job.error.code.value if job.error else "",
        expired=expired,
        finished_at=job.finished_at,
    )


def result_of(job: Job) -> Job:
    """A job that is over, if it was completed; what it failed with is raised."""
    if job.status is Status.COMPLETED:
        return job
    raise job.error or VoiceError(Code.CONFLICT, "The job was cancelled.", job_id=job.id)


def check_length(work: Work, most: int) -> None:
    """TEXT_TOO_LONG when the text of ``work`` has more code points than the caller may send; 0 = no limit."""
    if isinstance(work, Speaking):
        check_characters(sum(len(line.text) for line in work.lines), most)


def check_characters(count: int, most: int) -> None:
    """TEXT_TOO_LONG for a text of more code points than the caller may send; 0 = no limit."""
    if 0 < most < count:
        message = f"The text may have at most {most} characters."
        raise VoiceError(Code.TEXT_TOO_LONG, message, field="text", allowed=most)


def idempotency_key(header: str | None) -> str | None:
    """The Idempotency-Key of a request, if it has one. Raises BAD_REQUEST."""
    if header is None:
        return None
    if not (0 < len(header) <= _KEY_CHARACTERS and all("!" <= character <= "~" for character in header)):
        message = f"Idempotency-Key must be 1 to {_KEY_CHARACTERS} visible ASCII characters."
        raise VoiceError(Code.BAD_REQUEST, message, field="Idempotency-Key")
    return header


async def fingerprint(path: str, fields: Mapping[str, object], files: Mapping[str, Path]) -> bytes:
    """What a request asked for, and where: the same for the same request, sent again."""
    hashes = {name: await asyncio.to_thread(_file_hash, file) for name, file in files.items()}
    whole = json.dumps([path, sorted(fields.items()), sorted(hashes.items())], default=str)
    return hashlib.sha256(whole.encode(errors="surrogatepass")).digest()


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASHED_BYTES):
            digest.update(piece)
    return digest.hexdigest()
