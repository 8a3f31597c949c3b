"""Files received for jobs: taken in whole, handed to a job safely, removed when nobody needs them.

A file arrives in ``incoming``. What a job is to work on is moved to ``kept``, on the disk before the job is accepted
(RELIABILITY P1); it is removed when its job has ended, by the worker or, failing that, by ``sweep``.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from accounts.schema import job
from accounts.secrets import ALPHABET
from accounts.store import Store
from batch.disk import Watermark, commit_file, older_than, room_needed
from batch.jobs import UNFINISHED
from protocol.errors import Code, VoiceError

_RANDOM = 22
_NAME = re.compile(rf"[A-Za-z0-9]{{{_RANDOM}}}(\.\d{{4,6}}\.[12])?", re.ASCII)
_UNADOPTED_S = 6 * 3600.0  # how long a file may be received, or be read from by a job, before it is nobody's
_UNNAMED_S = 3600.0  # how long a kept file may be without a job: the moment between keeping and accepting


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that arrived. ``filename`` is the client's word: good for its extension, and to be shown escaped."""

    name: str  # ours: what work names it by
    path: Path
    filename: str
    size: int
    head: bytes  # its first bytes


class Uploads:
    """The files under ``directory``, which all machines of a deployment share.

    ``now`` is the time of day; ``choice`` picks a character and is ``secrets.choice`` outside tests.
    """

    def __init__(
        self,
        directory: Path,
        store: Store,
        *,
        now: Callable[[], float],
        choice: Callable[[str], str],
        watermark: Watermark | None = None,
    ) -> None:
        self._incoming = directory / "incoming"
        self._kept = directory / "kept"
        for each in (self._incoming, self._kept):
            each.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._now = now
        self._choice = choice
        self._watermark = watermark or Watermark()

    def reserve(self, wanted: int = 0, *, shape: str = "") -> tuple[str, Path]:
        """A name and a place for a file of ``wanted`` bytes that is yet to be written. Raises STORAGE_FULL.

        ``shape`` ends the name of a file of samples (``batch.media.Sound``).
        """
        self.check_room(wanted)
        name = "".join(self._choice(ALPHABET) for _ in range(_RANDOM)) + shape
        return name, self._incoming / name

    def check_room(self, wanted: int = 0) -> None:
        """Raises STORAGE_FULL unless there is room for so many bytes more."""
        self._watermark.check(self._incoming, wanted)

    def spare(self) -> int:
        """How many bytes there is room for."""
        return self._watermark.spare(self._incoming)

    @asynccontextmanager
    async def kept(self, *names: str) -> AsyncIterator[None]:
        """Keep received files for the job that is submitted within; an exception removes them again."""
        try:
            with room_needed():
                for name in names:
                    await asyncio.to_thread(commit_file, self._incoming / _checked(name), self._kept / name)
            yield
        except BaseException:
            for name in names:
                await self.remove(name)
            raise

    def incoming(self, name: str) -> Path:
        """Where a file lies that was received and is not kept (yet)."""
        return self._incoming / _checked(name)

    def path(self, name: str) -> Path:
        """Where a kept file lies. Raises GONE when it is no longer there."""
        path = self._kept / _checked(name)
        if not path.is_file():
            raise VoiceError(Code.GONE, "The uploaded file is no longer here.")
        return path

    async def remove(self, name: str) -> None:
        """Remove a file, kept or not, that no job needs any more; one that is gone already is none to remove."""
        for directory in (self._incoming, self._kept):
            await asyncio.to_thread((directory / _checked(name)).unlink, True)

    async def sweep(self) -> int:
        """Remove what was left behind: by clients and servers that vanished, and by jobs that have ended."""
        now = self._now()
        old = await asyncio.to_thread(older_than, self._incoming, now - _UNADOPTED_S)
        kept = await asyncio.to_thread(older_than, self._kept, now - _UNNAMED_S)
        needed = await self._needed() if kept else set()
        left = [*old, *(path for path in kept if path.name not in needed)]
        for path in left:
            await asyncio.to_thread(path.unlink, True)
        return len(left)

    async def _needed(self) -> set[str]:
        """Whatever looks like an upload's name in the work of a job: the job may be of another version."""
        query = select(job.c.work).where(job.c.status.in_(UNFINISHED))
        async with self._store.read() as connection:
            works = (await connection.execute(query)).scalars()
            return {found[0] for work in works for found in _NAME.finditer(work)}


def _checked(name: str) -> str:
    """Work comes from the store, not from a client; a name that is no name is a bug, and stays out of paths."""
    if not _NAME.fullmatch(name):
        raise ValueError("no upload is called that")
    return name
