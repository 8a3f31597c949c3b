"""R3: the web process is killed between a request and its answer; the client asks again with its Idempotency-Key."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from accounts.schema import hold, job
from batch.jobs import Status
from protocol.errors import Code, VoiceError
from tests.batch.half import PRICE, Half, open_half, submission
from tests.chaos.world import ROOT

STATEMENTS = 16  # of a submission, or thereabouts: BEGIN is none, COMMIT is one, and one more after it
Ask = Callable[[str, str, int], Awaitable[str]]


@asynccontextmanager
async def mortal_server(half: Half, url: str, user: int) -> AsyncIterator[Ask]:
    """Something to submit to: key, script, statement to die at; the answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.suicides", url, str(half.directory),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def ask(key: str, script: str, statement: int) -> str:
        stdin.write(json.dumps({"user": user, "key": key, "script": script, "statement": statement}).encode() + b"\n")
        return (await stdout.readline()).decode().strip()

    try:
        yield ask
    finally:
        stdin.close()
        assert await process.wait() == 0


@pytest.mark.parametrize("count", [50, pytest.param(1_000, marks=pytest.mark.nightly)])
async def test_a_request_that_is_asked_again_makes_one_job(database_url: str, tmp_path: Path, count: int) -> None:
    chance = random.Random(count)
    killed = accepted_unheard = 0
    async with open_half(database_url, tmp_path) as half:
        user = await half.user()
        async with mortal_server(half, database_url, user) as ask:
            for number in range(count):
                key, script = f"key-{number}", f"n={number}"
                statement = number % (STATEMENTS + 1) + 1 if number <= STATEMENTS else chance.randint(1, STATEMENTS)
                first = await ask(key, script, statement)
                if first == "killed":
                    killed += 1
                    accepted_unheard += len(await half.queue.page(user, limit=2000)) > number
                again = (await half.queue.submit(submission(user, script, key=key))).id
                assert first in ("killed", again)
                with pytest.raises(VoiceError) as caught:
                    await half.queue.submit(submission(user, f"{script} other", key=key))
                assert caught.value.code is Code.CONFLICT
                assert (await half.queue.submit(submission(user, script, key=key))).id == again
        assert killed >= count // 2 and accepted_unheard, "it died at every kind of moment"
        async with half.store.read() as connection:
            assert not (await half.ledger.audit(connection)).findings
            assert await connection.scalar(select(func.count()).select_from(job)) == count
            assert await connection.scalar(select(func.count()).select_from(hold)) == count
            assert (await half.ledger.balance(connection, user)).held == count * PRICE
        assert (await half.queue.counts())[Status.QUEUED] == count
