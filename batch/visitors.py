"""Callers without a key (C3): so many jobs a day and at once for each address, at nobody's expense.

Their jobs are the house's (``accounts.house``). A job says in its details which address it counts for, by a digest, so
the counts hold for all servers of a store and outlive a restart. After a day nothing is left of what they sent or got.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.limits import RateLimiter
from accounts.policy import Plan
from accounts.schema import job
from accounts.store import Store
from batch.callers import READS, Caller
from batch.jobs import TERMINAL, UNFINISHED, Status
from protocol.errors import Code, VoiceError
from protocol.work import Outcome

ORIGIN = "origin"  # in a job's details
FORGOTTEN = "forgotten"  # the dialect of a job that no wire tells of any more
_DAY_S = 86_400.0
_SOON_S = 5
_GIVEN_BACK = (Status.FAILED, Status.CANCELLED)  # a job that came to nothing was none


@dataclass(frozen=True, slots=True)
class VisitorLimits:
    """What holds for each address; 0 = no limit."""

    per_day: int = 3
    at_once: int = 1
    recording_mb: int = 100


class Visitors:
    """Knows everybody who shows no key. ``house`` finds the account they use, ``now`` is the time of day.

    ``network`` makes of an address what is counted together: all that one machine may call its own.
    """

    def __init__(
        self,
        store: Store,
        house: Callable[[], Awaitable[int]],
        rates: RateLimiter,
        limits: VisitorLimits,
        *,
        network: Callable[[str], str],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._house = house
        self._rates = rates
        self._limits = limits
        self._network = network
        self._now = now
        # One visitor's jobs say nothing about another's, so the account itself has no limit of them.
        self._plan = Plan(jobs=0, storage_mb=0, recording_mb=limits.recording_mb, minutes_per_month=0)

    async def identify(self, address: str, *, reading: bool = False) -> Caller:
        """The visitor at an address. Raises RATE_LIMITED."""
        origin = sha256(f"voxline:{self._network(address)}".encode()).hexdigest()[:32]
        if reading:
            most = self._plan.requests_per_minute * READS
            await self._rates.count(f"reads:{origin}", most, "Too many requests: {limit} a minute may read.")
        else:
            most, complaint = self._plan.requests_per_minute, "Too many requests: {limit} a minute are allowed."
            await self._rates.count(f"visitor:{origin}", most, complaint)
        return Caller(await self._house(), self._plan, origin=origin)

    async def admit(self, caller: Caller) -> None:
        """Raises what ``check`` would: asked before anything is uploaded in vain."""
        async with self._store.read() as connection:
            await self._check(caller, connection)

    def check(self, caller: Caller) -> Callable[[AsyncConnection], Awaitable[None]]:
        """For the transaction that makes a job: raises RATE_LIMITED and TOO_MANY_SESSIONS with ``retry_after``."""
        return partial(self._check, caller)

    async def _check(self, caller: Caller, connection: AsyncConnection) -> None:
        now, limits = self._now(), self._limits
        jobs = await self._jobs(connection, caller, now - _DAY_S)
        under_way = sum(one.status in UNFINISHED for one in jobs)
        if 0 < limits.at_once <= under_way:
            message = f"Without an API key there are {limits.at_once} jobs at once. Use an API key for more."
            raise VoiceError(Code.TOO_MANY_SESSIONS, message, retry_after=_SOON_S)
        if 0 < limits.per_day <= len(jobs):
            message = f"Without an API key there are {limits.per_day} jobs a day. Use an API key for more."
            first = min(one.created_at for one in jobs[: limits.per_day])
            raise VoiceError(Code.RATE_LIMITED, message, retry_after=max(1, round(first + _DAY_S - now)))

    async def _jobs(self, connection: AsyncConnection, caller: Caller, since: float) -> list[Row[tuple[str, float]]]:
        """The address's jobs since then, newest first."""
        ours = (job.c.user_id == caller.user_id) & (job.c.created_at > since) & job.c.status.not_in(_GIVEN_BACK)
        told = job.c.details.contains(f'"{ORIGIN}": "{caller.origin}"', autoescape=True)
        query = select(job.c.status, job.c.created_at).where(ours, told).order_by(job.c.created_at.desc())
        return list(await connection.execute(query))


async def forget_visitors(store: Store, known: Callable[[], Awaitable[int | None]], now: Callable[[], float]) -> int:
    """Take the words out of visitors' jobs that were over a day ago: how many those were.

    ``known`` finds the house's account, if it was ever needed.
    """
    house = await known()
    if house is None:
        return 0
    old = (job.c.user_id == house) & job.c.status.in_(sorted(TERMINAL)) & (job.c.finished_at <= now() - _DAY_S)
    blank = {"dialect": FORGOTTEN, "details": "{}", "error": ""}
    async with store.write() as connection:
        heard = update(job).where(old, job.c.dialect != FORGOTTEN, job.c.outcome != "")
        await connection.execute(heard.values(outcome=Outcome().model_dump_json()))
        forgotten = await connection.execute(update(job).where(old, job.c.dialect != FORGOTTEN).values(blank))
    return forgotten.rowcount
