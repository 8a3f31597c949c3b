"""Files made for users: on the disk before the store names them, found by name alone, removed when they expire.

A name is `{kind}_{22 base62}[_{stem}].{extension}` (A26): 131 random bits, since whoever has it may read the file. A
name that comes from outside is compared with that pattern, then looked up in the store; no path is made of it before.

The order that never loses or shows half a file: a worker writes in a directory of its attempt (``temporary``);
``publish`` syncs and renames; then one transaction finishes the job and inserts the rows. A file whose transaction
never came has no row, cannot be found, and is swept after an hour.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from sqlalchemy import RowMapping, func, select, update

from accounts.schema import artifact, job
from accounts.secrets import ALPHABET
from accounts.store import Store
from batch.disk import Watermark, commit_file, older_than, room_needed
from batch.jobs import CLAIMED
from protocol.errors import Code, VoiceError
from protocol.work import Made

MEDIA_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
}
# Roles that show in the name (A26, D14).
STEMS = ("vocals", "instrumental", "drums", "bass", "guitar", "piano", "other")

_RANDOM = 22
_NAME = re.compile(
    rf"[a-z0-9]{{1,16}}_[A-Za-z0-9]{{{_RANDOM}}}(_({'|'.join(STEMS)}))?\.({'|'.join(MEDIA_TYPES)})", re.ASCII
)
_KIND = re.compile(r"[a-z0-9]{1,16}", re.ASCII)
_ATTEMPT = re.compile(r"([A-Za-z0-9-]{1,64})\.(\d+)", re.ASCII)
_ORPHAN_S = 3600.0  # how long a file may be without a row before it is nobody's
_AT_ONCE = 500  # names in one query of the sweep


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that was made, as the store knows it; times in seconds since 1970."""

    name: str
    job_id: str
    user_id: int
    role: str
    media_type: str
    size: int
    created_at: float
    expires_at: float
    removed_at: float | None = None

    def values(self) -> dict[str, object]:
        """Its row, for the transaction that finishes the job."""
        return {column.name: getattr(self, column.name) for column in artifact.columns}

    def made(self) -> Made:
        """What a job's outcome says of it."""
        return Made(role=self.role, name=self.name, media_type=self.media_type, size=self.size)


class NewFile(Protocol):
    """A file to publish (``pipelines.base.ProducedFile``); its extension says what it is."""

    @property
    def role(self) -> str: ...

    @property
    def path(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be read; whoever asked for it closes it. It stays readable when a sweep removes its name."""

    artifact: Artifact
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    expired: int
    orphans: int
    directories: int


class Artifacts:
    """The files under ``directory``, which all machines of a deployment share, and their rows in the store.

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
        self._made = directory / "made"
        self._work = directory / "work"
        for each in (self._made, self._work):
            each.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._now = now
        self._choice = choice
        self._watermark = watermark or Watermark()

    # -- making

    @asynccontextmanager
    async def temporary(self, job_id: str, attempt: int) -> AsyncIterator[Path]:
        """An empty directory for one attempt of a job, on the disk its files will be published on; gone afterwards.

        STORAGE_FULL when that disk is too full to begin, and when it fills up within.
        """
        if not _ATTEMPT.fullmatch(f"{job_id}.{attempt}"):
            raise ValueError(f"no job is called {job_id!r}")
        await asyncio.to_thread(self._watermark.check, self._work)
        directory = self._work / f"{job_id}.{attempt}"
        with room_needed():
            await asyncio.to_thread(_fresh, directory)
        try:
            with room_needed():
                yield directory
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, True)

    async def publish(
        self, files: Sequence[NewFile], *, kind: str, job_id: str, user_id: int, lifetime_s: float
    ) -> tuple[Artifact, ...]:
        """Give the files of a job their names and places, safely on the disk; all or none. ``kind`` begins the names.

        They share their random part. Nobody finds them until the rows (``Artifact.values``) are in the store, in the
        transaction that finishes the job; when that is refused, ``discard`` them.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"{kind!r} cannot begin a name")
        stem, now = f"{kind}_" + "".join(self._choice(ALPHABET) for _ in range(_RANDOM)), self._now()
        made = []
        for file in files:
            extension, size = file.path.suffix.removeprefix("."), file.path.stat().st_size
            name = stem + (f"_{file.role}" if file.role in STEMS else "") + f".{extension}"
            media_type = MEDIA_TYPES[extension]
            made.append(Artifact(name, job_id, user_id, file.role, media_type, size, now, now + lifetime_s))
        if len({each.name for each in made}) != len(made):
            raise ValueError("two files of a job would have one name")
        try:
            with room_needed():
                for file, each in zip(files, made, strict=True):
                    await asyncio.to_thread(commit_file, file.path, self._made / each.name)
        except BaseException:
            await self._unlink([each.name for each in made])
            raise
        return tuple(made)

    async def discard(self, artifacts: Sequence[Artifact]) -> None:
        """Remove files that were published for nothing: another attempt finished first.

        Those that do have a row stay: then it was this attempt that finished, and only the news of it was lost.
        """
        names = [each.name for each in artifacts]
        await self._unlink(set(names) - await self._known(names))

    # -- finding

    async def open(self, name: str) -> Found:
        """The file of that name, to read. Raises NOT_FOUND when there never was one, GONE when its time is over."""
        if not _NAME.fullmatch(name):
            raise _unknown()
        async with self._store.read() as connection:
            row = (await connection.execute(select(artifact).where(artifact.c.name == name))).mappings().first()
        if row is None:
            raise _unknown()
        found = _artifact(row)
        if found.removed_at is not None or found.expires_at <= self._now():
            raise VoiceError(Code.GONE, "This file has expired and was removed.")
        try:
            file = await asyncio.to_thread(_open_regular, self._made / found.name)
        except FileNotFoundError:
            raise VoiceError(Code.GONE, "This file is no longer here.") from None
        return Found(found, file)

    async def of_job(self, job_id: str) -> tuple[Artifact, ...]:
        """All files of a job, those that are gone too."""
        query = select(artifact).where(artifact.c.job_id == job_id).order_by(artifact.c.name)
        async with self._store.read() as connection:
            return tuple(_artifact(row) for row in (await connection.execute(query)).mappings())

    # -- room

    async def used(self, user_id: int) -> int:
        """Bytes of a user's files that are still here."""
        return (await self._live(user_id))[0]

    async def check_room(self, user_id: int, storage_mb: int) -> None:
        """RATE_LIMITED with ``retry_after`` (when the first file expires) for a user at his limit; 0 = no limit."""
        if not storage_mb:
            return
        used, first = await self._live(user_id)
        if used >= storage_mb * 1024 * 1024:
            message = f"Your files take more than the {storage_mb} MiB of your plan; they are removed as they expire."
            wait = max(1, round(first - self._now()))
            raise VoiceError(Code.RATE_LIMITED, message, maximum_mb=storage_mb, retry_after=wait)

    async def _live(self, user_id: int) -> tuple[int, float]:
        query = select(func.sum(artifact.c.size), func.min(artifact.c.expires_at)).where(
            artifact.c.user_id == user_id, artifact.c.removed_at.is_(None), artifact.c.expires_at > self._now()
        )
        async with self._store.read() as connection:
            size, first = (await connection.execute(query)).one()
        return int(size or 0), float(first or 0.0)

    # -- sweeping

    async def sweep(self) -> Swept:
        """Remove files whose time is over, files no row names, and directories of attempts that run no more."""
        return Swept(await self._expire(), await self._sweep_orphans(), await self._sweep_attempts())

    async def _expire(self) -> int:
        """The file first: a row that says "removed" is then always true."""
        now, count = self._now(), 0
        over = artifact.c.removed_at.is_(None) & (artifact.c.expires_at <= now)
        while True:
            async with self._store.read() as connection:
                query = select(artifact.c.name).where(over).limit(_AT_ONCE)
                names = list((await connection.execute(query)).scalars())
            if not names:
                return count
            await self._unlink(names)
            async with self._store.write() as connection:
                await connection.execute(update(artifact).where(artifact.c.name.in_(names)).values(removed_at=now))
            count += len(names)

    async def _sweep_orphans(self) -> int:
        old, count = await asyncio.to_thread(older_than, self._made, self._now() - _ORPHAN_S), 0
        for at in range(0, len(old), _AT_ONCE):
            names = [path.name for path in old[at : at + _AT_ONCE]]
            orphans = set(names) - await self._known(names)
            await self._unlink(orphans)
            count += len(orphans)
        return count

    async def _known(self, names: Sequence[str]) -> set[str]:
        """Those of the names that have a row, and were not removed."""
        query = select(artifact.c.name).where(artifact.c.name.in_(names), artifact.c.removed_at.is_(None))
        async with self._store.read() as connection:
            return set((await connection.execute(query)).scalars())

    async def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            await asyncio.to_thread((self._made / name).unlink, True)

    async def _sweep_attempts(self) -> int:
        count = 0
        for path in await asyncio.to_thread(older_than, self._work, self._now() - _ORPHAN_S):
            if not await self._running(path.name):
                await asyncio.to_thread(shutil.rmtree, path, True)
                count += 1
        return count

    async def _running(self, directory: str) -> bool:
        parsed = _ATTEMPT.fullmatch(directory)
        if parsed is None:
            return False
        query = select(job.c.id).where(
            job.c.id == parsed[1], job.c.attempt == int(parsed[2]), job.c.status.in_(CLAIMED)
        )
        async with self._store.read() as connection:
            return (await connection.execute(query)).first() is not None


def _artifact(row: RowMapping) -> Artifact:
    return Artifact(**row)


def _unknown() -> VoiceError:
    return VoiceError(Code.NOT_FOUND, "There is no such file.")


def _fresh(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()


def _open_regular(path: Path) -> BinaryIO:
    """A link in its place, however it came there, is not followed."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise FileNotFoundError(error.errno, error.strerror) from error
