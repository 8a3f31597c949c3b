"""A model hub, as far as pulling models takes it: what a repository holds, and its files to the last bit.

The hub says of every file how long it is and what its checksum is (SHA-256 of large ones, git's of small ones). A file
is written beside its place, goes on where a broken transfer stopped, and gets its name only when its checksum is right.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from protocol.errors import Code, VoiceError

PUBLIC = "https://huggingface.co"
BY_HAND = "run it again when the hub is reachable, or copy a model here: voxline models pull NAME --from DIRECTORY"
_BLOCK = 1 << 20
_WAIT_S = 30.0  # for the hub to say anything
_ATTEMPTS = 5  # in a row that bring nothing
_SHA256 = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[str, int], None]  # file name, bytes of it so far


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository."""

    name: str
    size: int
    checksum: str  # SHA-256, or git's SHA-1 of a blob

    def digest(self) -> Any:
        """What makes its checksum, to be fed with its bytes."""
        if len(self.checksum) == 64:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Contents:
    """A repository at one revision."""

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]


class Hub:
    """A hub at an address. Its failures are VoiceError ENGINE_FAILED; those of the disk are OSError, as they come."""

    def __init__(self, address: str = PUBLIC, *, pause_s: float = 1.0) -> None:
        self.address = address.rstrip("/")
        self._pause_s = pause_s  # before it is asked again; doubled each time
        self._client = httpx.Client(follow_redirects=True, timeout=_WAIT_S)

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    def reachable(self, within_s: float) -> bool:
        """Whether it answers at all; says so in time, however long names take to be looked up."""
        answers: list[bool] = []

        def ask() -> None:
            try:
                answers.append(self._client.head(self.address, timeout=within_s).status_code < 500)
            except (httpx.HTTPError, httpx.InvalidURL):
                return

        asking = threading.Thread(target=ask, name="look for the hub", daemon=True)
        asking.start()
        asking.join(within_s)
        return answers == [True]

    def contents(self, repository: str) -> Contents:
        """What the repository holds now."""
        with self._failing(repository):
            reply = self._client.get(f"{self.address}/api/models/{repository}/revision/main", params={"blobs": "true"})
            _check(reply)
            said = reply.json()
            files = tuple(map(_file, said["siblings"]))
            return Contents(repository, str(said["sha"]), files)

    def fetch(self, contents: Contents, file: RemoteFile, target: Path, progress: Progress) -> None:
        """Have a file at ``target``, whole. What a broken transfer left stays beside it, and is used the next time."""
        part = target.with_name(f".{target.name}.{file.checksum[:12]}.part")
        url = f"{self.address}/{contents.repository}/resolve/{contents.revision}/{file.name}"
        failures = 0
        while (have := _length(part)) < file.size or not part.exists():
            try:
                with self._failing(contents.repository):
                    self._go_on(url, file, part, have, progress)
            except VoiceError:
                failures = 0 if _length(part) > have else failures + 1
                if failures >= _ATTEMPTS:
                    raise
                time.sleep(self._pause_s * 2**failures)
        if _digest(part, file) != file.checksum:
            part.unlink()
            raise VoiceError(
                Code.ENGINE_FAILED, f"{file.name} has another checksum than the hub says; it was thrown away"
            )
        part.replace(target)

    def _go_on(self, url: str, file: RemoteFile, part: Path, have: int, progress: Progress) -> None:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self._client.stream("GET", url, headers=headers) as reply:
            if reply.status_code == 416:
                part.unlink()
                raise ValueError("the hub does not go on where it stopped")
            _check(reply)
            goes_on = reply.status_code == 206 and reply.headers.get("content-range", "").startswith(f"bytes {have}-")
            have = have if goes_on else 0
            with part.open("ab" if goes_on else "wb") as out:
                for block in reply.iter_raw():  # as it comes: what was gathered would be lost when it breaks off
                    out.write(block)
                    have += len(block)
                    progress(file.name, have)
                    if have > file.size:
                        break
        if have > file.size:
            part.unlink()
            raise ValueError(f"{file.name} is longer than the hub says")
        if have < file.size:
            raise ValueError(f"{file.name} broke off")

    @contextmanager
    def _failing(self, repository: str) -> Iterator[None]:
        """Whatever goes wrong with the hub or the way to it, as one kind of error."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            message = f"{repository} could not be downloaded from {self.address}: {reason}"
            raise VoiceError(Code.ENGINE_FAILED, message, install=BY_HAND) from error


def _check(reply: httpx.Response) -> None:
    if reply.status_code in (401, 403):
        raise ValueError("the hub does not give it to everybody")
    if reply.status_code not in (200, 206):
        raise ValueError(f"the hub answers with {reply.status_code}")


def _file(said: dict[str, Any]) -> RemoteFile:
    large = said.get("lfs") or {}
    checksum = str(large.get("sha256") or said["blobId"])
    if large and not _SHA256.fullmatch(checksum):
        raise ValueError("the hub names no checksum")
    return RemoteFile(str(said["rfilename"]), int(large.get("size") or said["size"]), checksum)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _digest(path: Path, file: RemoteFile) -> str:
    digest = file.digest()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())
