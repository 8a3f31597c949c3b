"""Uploads: on the disk before their job is accepted, there until it has ended, and nothing left of the rest."""

import json
import os
import secrets
from pathlib import Path

import pytest
from sqlalchemy import update

from accounts.schema import job
from accounts.store import Store
from batch.disk import Watermark
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError
from protocol.work import Transcribing
from tests.batch.clocks import Clock
from tests.batch.rows import make_job, make_user

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, store: Store, clock: Clock) -> Uploads:
    return Uploads(tmp_path / "uploads", store, now=clock, choice=secrets.choice, watermark=Watermark(0, 0, 0))


def received(uploads: Uploads, shape: str = "") -> tuple[str, Path]:
    name, path = uploads.reserve(shape=shape)
    path.write_bytes(b"sound")
    return name, path


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "uploads").rglob("*") if path.is_file())


async def test_what_a_job_needs_is_kept_and_removed_after_it(uploads: Uploads, tmp_path: Path) -> None:
    name, path = received(uploads, ".16000.1")
    async with uploads.kept(name):
        assert uploads.path(name).read_bytes() == b"sound"
    assert not path.exists()
    assert uploads.path(name).read_bytes() == b"sound"
    await uploads.remove(name)
    await uploads.remove(name)
    with pytest.raises(VoiceError) as caught:
        uploads.path(name)
    assert caught.value.code is Code.GONE
    assert not left(tmp_path)


async def test_a_job_that_is_not_accepted_leaves_none_of_its_files(uploads: Uploads, tmp_path: Path) -> None:
    names = [received(uploads)[0] for _ in range(2)]
    with pytest.raises(VoiceError):
        async with uploads.kept(*names):
            raise VoiceError(Code.INSUFFICIENT_CREDITS, "no credits")
    assert not left(tmp_path)


async def test_a_file_that_is_not_there_keeps_none(uploads: Uploads, tmp_path: Path) -> None:
    name = received(uploads)[0]
    with pytest.raises(FileNotFoundError):
        async with uploads.kept(name, "A" * 22):
            raise AssertionError("nothing is submitted without its files")
    assert not left(tmp_path)


@pytest.mark.parametrize(
    "name", ["", "..", "../" + "A" * 22, "A" * 21, "A" * 22 + ".16000.3", "A" * 22 + "/x", "é" * 22]
)
async def test_a_name_that_is_none_of_ours_makes_no_path(uploads: Uploads, name: str) -> None:
    with pytest.raises(ValueError, match="no upload"):
        uploads.path(name)
    with pytest.raises(ValueError, match="no upload"):
        await uploads.remove(name)


def test_under_the_watermark_nothing_is_received(store: Store, tmp_path: Path, clock: Clock) -> None:
    """R6, and the limits of RELIABILITY section 4: under 5 % or 2 GiB free no upload is taken."""
    full = Uploads(tmp_path / "u", store, now=clock, choice=secrets.choice, watermark=Watermark(0, 1 << 60, 1 << 60))
    with pytest.raises(VoiceError) as caught:
        full.reserve()
    assert (caught.value.code, caught.value.facts) == (Code.STORAGE_FULL, {"retry_after": 60})


def test_what_is_wanted_counts(uploads: Uploads) -> None:
    uploads.check_room()
    with pytest.raises(VoiceError):
        uploads.check_room(1 << 60)


async def test_what_is_left_behind_is_swept(uploads: Uploads, store: Store, tmp_path: Path, clock: Clock) -> None:
    """Clients and servers vanish: a file half received, one kept for a job that never was, one whose job has ended."""
    kept = {what: received(uploads)[0] for what in ("waiting", "ended", "never", "new")}
    async with uploads.kept(*kept.values()):
        pass
    incoming = {age: received(uploads)[1] for age in (5, 7)}
    for status, what in (("queued", "waiting"), ("completed", "ended")):
        job_id = await make_job(store, await make_user(store))
        work = Transcribing(upload=kept[what], seconds=1.0).model_dump_json()
        async with store.write() as connection:
            await connection.execute(update(job).where(job.c.id == job_id).values(status=status, work=work))
    for what, name in kept.items():
        os.utime(uploads.path(name), times=(clock.time - (60 if what == "new" else 2 * HOUR),) * 2)
    for age, path in incoming.items():
        os.utime(path, times=(clock.time - age * HOUR,) * 2)
    assert await uploads.sweep() == 3
    assert left(tmp_path) == sorted((kept["waiting"], kept["new"], incoming[5].name))


async def test_a_job_of_a_later_version_does_not_stop_the_sweep(
    uploads: Uploads, store: Store, tmp_path: Path, clock: Clock
) -> None:
    """Found by reading: its work has a field this version does not know, and its upload must not be swept either."""
    name = received(uploads)[0]
    async with uploads.kept(name):
        pass
    os.utime(uploads.path(name), times=(clock.time - 2 * HOUR,) * 2)
    job_id = await make_job(store, await make_user(store))
    work = json.loads(Transcribing(upload=name, seconds=1.0).model_dump_json()) | {"later": True}
    async with store.write() as connection:
        await connection.execute(update(job).where(job.c.id == job_id).values(status="queued", work=json.dumps(work)))
    assert await uploads.sweep() == 0
    assert uploads.path(name).exists()
