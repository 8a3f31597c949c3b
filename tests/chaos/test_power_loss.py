"""R8: the power fails. What is found of the SQLite file and its log, cut anywhere, is the state after some commit."""

import contextlib
import random
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from accounts.audit import CHECKS
from batch.jobs import Claim
from protocol.errors import Code, VoiceError
from protocol.work import Outcome
from tests.batch.half import Half, open_half, submission

STATE = "SELECT id, status, attempt, failures FROM job ORDER BY id"
MONEY = "SELECT kind, balance FROM ledger_account ORDER BY id"
HEADER, PAGE, FRAME_HEADER = 32, 4096, 24
State = tuple[tuple[object, ...], ...]


@pytest.mark.parametrize("count", [50, pytest.param(1_000, marks=pytest.mark.nightly)])
async def test_whatever_is_lost_of_the_log_a_whole_state_is_found(tmp_path: Path, count: int) -> None:
    chance = random.Random(count)
    database, copy = tmp_path / "voxline.db", tmp_path / "copy.db"
    lost = 0
    async with open_half(f"sqlite+aiosqlite:///{database}", tmp_path / "files") as half:
        user = await half.user()
        await half.queue.submit(submission(user, "first"))
        checkpoint(database)
        history = [state_of(database)]
        claims: list[Claim] = []
        for _ in range(count):
            for _ in range(chance.randint(1, 6)):
                await something(half, user, claims, chance)
                history.append(state_of(database))
            cut(database, copy, chance)
            found = state_of(copy)
            assert found in history, "no commit left it like this"
            lost += found != history[-1]
            check(copy)
    assert lost > count // 10, "some cuts must have lost something"


async def something(half: Half, user: int, claims: list[Claim], chance: random.Random) -> None:
    """One commit of the queue, or none when it has nothing to do."""
    what = chance.choice(("submit", "submit", "claim", "start", "finish", "fail", "cancel"))
    if what == "submit":
        await half.queue.submit(submission(user, "x" * chance.randint(1, 3000), callback="https://example.com/"))
    elif what == "claim" and (claim := await half.queue.claim("w")) is not None:
        claims.append(claim)
    elif what == "start" and claims:
        await half.queue.start(chance.choice(claims))
    elif what == "finish" and claims:
        if await half.queue.finish(claims[0], Outcome()):
            claims.pop(0)
    elif what == "fail" and claims:
        error = VoiceError(Code.ENGINE_FAILED, "It broke.")
        await half.queue.fail(claims.pop(0), error, retry=chance.random() < 0.5)
    elif what == "cancel":
        with contextlib.suppress(VoiceError):
            await half.queue.cancel(user, chance.choice(await half.queue.page(user)).id)


def cut(database: Path, copy: Path, chance: random.Random) -> None:
    """What a disk may hold after a power failure: the file, and the log up to some byte, perhaps with rubbish after.

    What has been copied into the file was synced in the log before, so no less than that is left of it.
    """
    shutil.copy(database, copy)
    Path(f"{copy}-shm").unlink(missing_ok=True)
    written = Path(f"{database}-wal").read_bytes()
    least = min(len(written), HEADER + backfilled(database) * (PAGE + FRAME_HEADER))
    at = max(least, len(written) - chance.choice((9_000, 100_000, 10_000_000)))
    at = chance.randint(at, len(written))
    Path(f"{copy}-wal").write_bytes(written[:at] + chance.randbytes(chance.choice((0, 100, 5000))))


def backfilled(database: Path) -> int:
    """How many frames of the log are in the file already (sqlite.org/walformat.html, "nBackfill")."""
    return int.from_bytes(Path(f"{database}-shm").read_bytes()[96:100], sys.byteorder)


def checkpoint(database: Path) -> None:
    """Have the log's contents in the file."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint")


def state_of(database: Path) -> State:
    """All jobs and balances."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return tuple(connection.execute(STATE).fetchall()) + tuple(connection.execute(MONEY).fetchall())


def check(database: Path) -> None:
    """The file is whole and the ledger is clean."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for wrong, query in CHECKS.items():
            assert connection.execute(query).fetchall() == [], wrong
