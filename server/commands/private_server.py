"""A server of one's own: a real process on a free port with a data directory that is gone afterwards."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from server.accounts import opened
from server.client import Server
from server.commands.terminal import CommandError
from server.settings import Settings, child_environment

_CHECKOUT = Path(__file__).resolve().parents[2]
_START_S = 120.0
_STOP_S = 30.0
_LISTENING = "Voxline is listening on "


@asynccontextmanager
async def private_server(*, models: Path | None = None, **settings: str) -> AsyncIterator[Server]:
    """Start a server, wait until it is ready, and end it with the context.

    Its pulled models are those in ``models``, an absolute path; ``settings`` are passed to it by name.
    """
    own = Path(tempfile.mkdtemp(prefix="voxline-"))
    try:
        if models is not None:
            (own / "models").symlink_to(models)
        key = await _new_key(own)
        with (own / "server.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "server.cli", "serve", "--port", "0", "--host", "127.0.0.1", "--data", str(own),
                env=child_environment(log_format="json", **settings), stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
                cwd=_CHECKOUT,
            )  # fmt: skip
            try:
                yield Server(await _base(process, own / "server.log"), key)
            finally:
                await _stop(process)
    finally:
        shutil.rmtree(own, ignore_errors=True)


async def _new_key(data: Path) -> str:
    url = Settings.model_construct(data=data).database_url  # whatever the environment holds
    async with opened(url) as accounts:
        return (await accounts.keys.create("private", user_id=(await accounts.users.owner()).id))[0]


async def _base(process: asyncio.subprocess.Process, log: Path) -> str:
    """The address the server prints once it is ready."""
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while line := (await process.stdout.readline()).decode():
                if line.startswith(_LISTENING):
                    return line.removeprefix(_LISTENING).strip()
    said = log.read_text(errors="replace").strip().splitlines()[-3:]  # noqa: ASYNC240
    raise CommandError("the server did not start: " + (" ".join(said) or "it said nothing"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
