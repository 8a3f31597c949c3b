"""``voxline worker`` as a person runs it: real engines, a job from the store, a signal."""

import asyncio
import secrets
import signal
import sys
import time
from pathlib import Path

from accounts.ledger import Ledger
from accounts.store import open_store
from accounts.users import Users
from batch.artifacts import Artifacts
from batch.dispatch import LocalDispatch
from batch.jobs import Status, Submission
from batch.queue import Queue
from batch.waiting import wait_until_finished
from protocol.work import Delivery, Line, Speaking, VoiceNamed
from server.accounts import accounts_of
from server.settings import child_environment

ROOT = Path(__file__).resolve().parents[2]


async def voxline_worker(data: Path, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server.cli", "worker", "--data", str(data), *more,
        cwd=ROOT, env=child_environment(pocketsphinx="off", synthesizers="1"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_it_does_the_jobs_of_a_server_and_stops_in_order(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/voxline.db")
    users: Users = accounts_of(store).users
    owner = await users.owner()
    queue = Queue(store, Ledger(time.time), now=time.time, new_id=lambda: secrets.token_hex(8))
    work = Speaking(lines=(Line(text="Good morning.", voice=VoiceNamed()),), delivery=Delivery(format="wav"))
    job = await queue.submit(Submission(user_id=owner.id, dialect="studio", work=work, price_units=1))
    process = await voxline_worker(tmp_path, "--concurrency", "1")
    assert process.stdout is not None
    async with asyncio.timeout(90):
        assert b"doing jobs, 1 at once" in await process.stdout.readline()
        done = await wait_until_finished(queue, LocalDispatch(), owner.id, job.id, timeout_s=60)
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert done.status is Status.COMPLETED and done.outcome is not None and done.outcome.engine == "espeak-ng"
    found = await Artifacts(tmp_path / "files", store, now=time.time, choice=secrets.choice).open(
        done.outcome.made[0].name
    )
    with found.file:
        assert found.file.read(4) == b"RIFF"
    assert process.returncode == 0 and b"Traceback" not in errors
    await store.aclose()


async def test_it_says_when_there_is_no_server_to_work_for(tmp_path: Path) -> None:
    process = await voxline_worker(tmp_path)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert f"there is no server's state in {tmp_path}" in errors.decode() and "--data" in errors.decode()
