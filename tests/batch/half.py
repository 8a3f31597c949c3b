"""The batch half over a store, without a server: pipelines that do what a job's text says, and what must hold after it.

A job's text is its script, words of ``name=value``: ``seconds`` it takes (``first``: the first attempt), ``steps`` of
progress, ``fail`` (an error code, or "bug") for the first ``fails`` attempts, ``hang`` (seconds for which the first
attempt hangs without a beat before it goes on). What it makes is a function of that text alone, so that every finished
job can be checked.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import func, select

from accounts.ledger import Ledger
from accounts.policy import Policies
from accounts.schema import artifact, job, user, webhook
from accounts.store import Store, open_store
from batch.artifacts import Artifacts
from batch.attempt import Bench, Craft
from batch.disk import Watermark
from batch.dispatch import LocalDispatch, open_dispatch
from batch.jobs import Callback, Claim, Job, Status, Submission
from batch.pipelines.base import JobContext, Produced, ProducedFile, Tools
from batch.queue import Queue
from batch.uploads import Uploads
from batch.watcher import Watcher
from batch.worker import POLL_S, Worker
from protocol.errors import Code, VoiceError
from protocol.work import Line, Speaking, VoiceNamed

PRICE = 7
NO_WATERMARK = Watermark(0.0, 0, 0)  # however full the disk of the tests is


class HalfMute(Queue):
    """The queue, which does not hear the beats of some jobs: their workers seem to hang."""

    mute: set[str]

    async def beat(self, claim: Claim, progress: float) -> bool:
        """True, unheard, for a job that is ``mute``."""
        return claim.job.id in self.mute or await super().beat(claim, progress)


@dataclass(frozen=True, slots=True)
class Half:
    """Its parts."""

    store: Store
    ledger: Ledger
    policies: Policies
    queue: HalfMute
    artifacts: Artifacts
    uploads: Uploads
    dispatch: LocalDispatch
    directory: Path
    lease_s: float
    now: Callable[[], float]
    tick: Callable[[], float]

    def worker(self, name: str = "worker", concurrency: int = 2, poll_s: float = POLL_S) -> Worker:
        """Somebody to do jobs by their scripts."""
        bench = Bench(
            queue=self.queue,
            artifacts=self.artifacts,
            policies=self.policies,
            crafts={"speak": Craft("tts", self._scripted)},
            tools=cast(Tools, None),
            uploads=self.uploads,
            lease_s=self.lease_s,
            tick=self.tick,
        )
        return Worker(bench, self.dispatch, name=name, concurrency=concurrency, poll_s=poll_s)

    async def _scripted(self, work: Speaking, context: JobContext, tools: Tools) -> Produced:
        script = words(work)
        if context.attempt == 1 and "hang" in script:
            self.queue.mute.add(context.job_id)
            await asyncio.sleep(float(script["hang"]))
        return await scripted(work, context, tools)

    def watcher(self) -> Watcher:
        """Somebody to miss a lost worker."""
        return Watcher(self.queue, lease_s=self.lease_s, tick=self.tick)

    async def user(self, units: int = 10**9) -> int:
        """A user with so many units."""
        values = {"email": f"{secrets.token_hex(8)}@example.com", "name": "", "role": "user", "state": "active"}
        made = user.insert().values(**values, plan="free", limits="{}", created_at=0.0).returning(user.c.id)
        async with self.store.write() as connection:
            user_id = int((await connection.execute(made)).scalar_one())
            await self.ledger.open(connection, user_id)
            await self.ledger.grant(connection, user_id, units, "test")
        return user_id

    async def submit(self, user_id: int, script: str, **given: Any) -> Job:
        """A job with that script, announced."""
        made = await self.queue.submit(submission(user_id, script, **given))
        self.dispatch.announce("jobs")
        return made

    async def unfinished(self) -> int:
        """How many jobs are not over."""
        return sum((await self.queue.counts()).values())


@asynccontextmanager
async def open_half(
    url: str,
    directory: Path,
    *,
    lease_s: float = 30.0,
    redis_url: str = "",
    now: Callable[[], float] = time.time,
    tick: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Half]:
    """The batch half over the store of that URL."""
    store = await open_store(url)
    try:
        ledger = Ledger(now)
        queue = HalfMute(store, ledger, now=now, new_id=lambda: secrets.token_hex(8))
        queue.mute = set()
        async with open_dispatch(redis_url) as dispatch:
            yield Half(
                store=store, ledger=ledger, policies=Policies(store, now=now, tick=tick),
                queue=queue,
                artifacts=Artifacts(directory, store, now=now, choice=secrets.choice, watermark=NO_WATERMARK),
                uploads=Uploads(directory, store, now=now, choice=secrets.choice, watermark=NO_WATERMARK),
                dispatch=dispatch, directory=directory, lease_s=lease_s, now=now, tick=tick,
            )  # fmt: skip
    finally:
        await store.aclose()


def submission(
    user_id: int, script: str, *, key: str | None = None, callback: str = "", priority: int = 100
) -> Submission:
    """A job with that script."""
    work = Speaking(lines=(Line(text=script, voice=VoiceNamed()),))
    return Submission(
        user_id=user_id, dialect="studio", work=work, price_units=PRICE, priority=priority, idempotency_key=key,
        callback=Callback(callback, "") if callback else None, body_hash=hashlib.sha256(script.encode()).digest(),
    )  # fmt: skip


async def scripted(work: Speaking, context: JobContext, tools: Tools) -> Produced:
    """Do what the script says."""
    text, script = work.lines[0].text, words(work)
    steps, seconds = int(script.get("steps", "2")), float(script.get("seconds", "0"))
    if context.attempt == 1:
        seconds = float(script.get("first", seconds))
    for step in range(steps):
        await asyncio.sleep(seconds / steps)
        context.progress((step + 1) / steps)
    if "fail" in script and context.attempt <= int(script.get("fails", "99")):
        if script["fail"] == "bug":
            raise ZeroDivisionError
        raise VoiceError(Code(script["fail"]), "As the script says.")
    file = context.directory / "made.wav"
    file.write_bytes(content(text))
    return Produced((ProducedFile("audio", file, "audio/wav"),), engine="scripted", seconds=1.0)


def words(work: Speaking) -> dict[str, str]:
    """The script of a job."""
    return dict(word.partition("=")[::2] for word in work.lines[0].text.split())


def content(script: str) -> bytes:
    """What a job with that script makes."""
    return hashlib.sha512(script.encode()).digest() * 16


async def check_half(half: Half, user_id: int, jobs: dict[str, str], granted: int = 10**9) -> dict[Status, int]:
    """What must hold when all is over (RELIABILITY P1 to P3, and no file left behind); ``jobs``: accepted id to script.

    How many jobs ended in which way.
    """
    async with half.store.read() as connection:
        report = await half.ledger.audit(connection)
        balance = await half.ledger.balance(connection, user_id)
        rows = {row.id: row for row in await connection.execute(select(job))}
        posted = select(webhook.c.job_id, func.count().label("many")).group_by(webhook.c.job_id)
        told = {row.job_id: row.many for row in await connection.execute(posted)}
    assert not report.findings, report.findings
    ends: dict[Status, int] = {}
    for job_id, script in jobs.items():
        assert job_id in rows, f"job {job_id} is lost"
        status = Status(rows[job_id].status)
        ends[status] = ends.get(status, 0) + 1
        assert status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED), f"job {job_id} is {status}"
        made = await half.artifacts.of_job(job_id)
        assert len(made) == (status is Status.COMPLETED), f"{len(made)} files of a job that is {status}"
        if made:
            found = await half.artifacts.open(made[0].name)
            with found.file:
                assert found.file.read() == content(script)
        assert told.get(job_id, 0) == bool(rows[job_id].callback and status is not Status.CANCELLED)
    assert balance.held == 0
    assert balance.spent == PRICE * ends.get(Status.COMPLETED, 0)
    assert balance.available == granted - balance.spent
    await _no_file_left(half)
    return ends


async def _no_file_left(half: Half) -> None:
    """A sweep two hours later leaves the files that rows name, and no directory of an attempt."""
    made, work = half.directory / "made", half.directory / "work"
    for path in (*made.iterdir(), *work.iterdir()):
        os.utime(path, (time.time() - 7200,) * 2)
    await half.artifacts.sweep()
    async with half.store.read() as connection:
        named = set((await connection.execute(select(artifact.c.name))).scalars())
    assert {path.name for path in made.iterdir()} == named
    assert not list(work.iterdir())
