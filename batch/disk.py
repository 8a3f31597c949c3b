"""Room on the disk: what is kept free, and what a disk that is full all the same means to a caller."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import Code, VoiceError

_MIB = 1024 * 1024
_RETRY_AFTER_S = 60
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Watermark:
    """How much of a disk stays free: ``share`` of it, but no less than ``least`` and no more than ``most`` bytes."""

    share: float = 0.05
    least: int = 2048 * _MIB
    most: int = 10240 * _MIB

    def spare(self, directory: Path) -> int:
        """How many bytes may still be written on the disk of ``directory``; below 0 when too many were."""
        usage = shutil.disk_usage(directory)
        return usage.free - max(self.least, min(round(usage.total * self.share), self.most))

    def check(self, directory: Path, wanted: int = 0) -> None:
        """STORAGE_FULL unless ``wanted`` bytes more may be written there."""
        if self.spare(directory) < wanted:
            raise storage_full()


def storage_full() -> VoiceError:
    """What callers are told, without a word on whose disk and how large."""
    return VoiceError(
        Code.STORAGE_FULL, "The server has no room for files now; try again later.", retry_after=_RETRY_AFTER_S
    )


@contextmanager
def room_needed() -> Iterator[None]:
    """A disk that fills up within is STORAGE_FULL; other errors stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise storage_full() from error
        raise


def commit_file(path: Path, place: Path) -> None:
    """Move a file to its place on the same disk so that it is there, whole, even after a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.rename(place)
    commit_directory(place.parent)


def commit_directory(directory: Path) -> None:
    """Have a directory's entries on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def older_than(directory: Path, time: float) -> list[Path]:
    """What in a directory was last changed before ``time``; what vanishes meanwhile is not."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < time:
                    found.append(Path(entry.path))
    return found
