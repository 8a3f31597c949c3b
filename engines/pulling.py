"""How models come here: from a hub or from a directory, checked, and whole or not at all.

A model is gathered in a hidden directory beside its place; when every file of it is there and right, a manifest with
their checksums is written and the directory is renamed. What a broken transfer left is kept for the next time, except
on a full disk, which others need more.
"""

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engines import models
from engines.hub import Contents, Hub, RemoteFile
from engines.models import MANIFEST, Format, Installed
from protocol.errors import Code, VoiceError

Progress = Callable[[str, int, int], None]  # file name, bytes so far of all files, bytes in all

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ROOM = 1.02  # of the disk a model takes, and a little
_BLOCK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def pull(root: Path, name: str, hub: Hub, progress: Progress | None = None) -> Installed:
    """Download a model of the table from the hub, or finish an interrupted download, and install it.

    Raises VoiceError NOT_FOUND for a name not in the table, STORAGE_FULL, CONFLICT while another process pulls it, and
    ENGINE_FAILED with the reason when the hub cannot be reached or does not give what it says; calling again resumes.
    """
    model = models.published(name)
    with _gathered(root, name) as partial:
        contents = hub.contents(model.repository)
        files = [file for file in contents.files if models.belongs(model.format, file.name)]
        total = sum(file.size for file in files)
        _make_room(partial, name, total - sum(_have(partial, file) for file in files))
        done = 0
        for file in files:
            before = done

            def tell(part: str, so_far: int, before: int = before) -> None:
                if progress is not None:
                    progress(part, before + so_far, total)

            (partial / file.name).parent.mkdir(exist_ok=True)
            if not _is_there(partial / file.name, file):
                hub.fetch(contents, file, partial / file.name, tell)
            done += file.size
            tell(file.name, file.size)
        return _install(root, name, partial, model.format, _source(contents))


def adopt(root: Path, name: str, source: Path, progress: Progress | None = None) -> Installed:
    """Install a copy of the model in a directory under a name of one's own, or of the table.

    Raises VoiceError BAD_REQUEST for a name that cannot be one and for a directory without a model, ENGINE_FAILED for
    one that is damaged, CONFLICT and STORAGE_FULL as ``pull``.
    """
    if not _NAME.fullmatch(name):
        what = "a model's name has up to 64 letters, digits, dots, dashes and underscores"
        raise VoiceError(Code.BAD_REQUEST, what, field="name")
    form = models.format_of(source)
    if form is None:
        lacks = ", ".join(models.missing(source))
        raise VoiceError(Code.BAD_REQUEST, f"there is no model in {source}: {lacks} missing", field="from")
    for entry in models.PUBLISHED:
        if entry.name == name and entry.format is not form:
            what = f"{name} is the name of a model for {entry.format}, and this one is for {form}"
            raise VoiceError(Code.BAD_REQUEST, what, field="name")
    faults = models.verify(source)
    if faults:
        raise VoiceError(Code.ENGINE_FAILED, f"the model in {source} is damaged: {'; '.join(faults)}")
    files = [name for name in _files(source) if models.belongs(form, name)]
    total = sum((source / name).stat().st_size for name in files)
    with _gathered(root, name) as partial:
        _make_room(partial, name, total)
        done = 0
        for file in files:
            (partial / file).parent.mkdir(exist_ok=True)
            with (source / file).open("rb") as content, (partial / file).open("wb") as out:
                while block := content.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    if progress is not None:
                        progress(file, done, total)
        return _install(root, name, partial, form, {"from": str(source.resolve())})


@contextmanager
def _gathered(root: Path, name: str) -> Iterator[Path]:
    """The hidden directory in which a model is gathered, this process's alone. A full disk empties it."""
    partial = root / f".{name}.partial"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / f".{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VoiceError(Code.CONFLICT, f"{name} is being pulled already") from None
            try:
                partial.mkdir(exist_ok=True)
                yield partial
            finally:
                Path(lock.name).unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _FULL:
            raise VoiceError(Code.ENGINE_FAILED, f"{name} cannot be kept in {root}: {error.strerror}") from error
        shutil.rmtree(partial, ignore_errors=True)
        raise VoiceError(Code.STORAGE_FULL, f"the disk of {root} is full; nothing of {name} was kept") from error


def _make_room(partial: Path, name: str, needed: int) -> None:
    free = shutil.disk_usage(partial).free
    if free < needed * _ROOM:
        missing = f"{name} needs {-(-needed // 1_000_000)} MB more; {free // 1_000_000} MB are free"
        raise VoiceError(Code.STORAGE_FULL, missing)


def _install(root: Path, name: str, partial: Path, form: Format, source: dict[str, str]) -> Installed:
    absent = models.missing(partial, form)
    if absent:
        shutil.rmtree(partial)
        raise VoiceError(Code.ENGINE_FAILED, f"{name} is not whole: {', '.join(absent)} missing or empty")
    for file in _files(partial):
        if not models.belongs(form, file):  # of an older revision, or of a transfer that was given up
            (partial / file).unlink()
    files = {file: models.digest_of(partial / file) for file in _files(partial)}
    manifest = {"name": name, "engine": form.value, **source, "files": files}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in (*partial.rglob("*"), partial):
        _to_disk(path)
    target, old = root / name, root / f".{name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    _to_disk(root)
    shutil.rmtree(old, ignore_errors=True)
    return Installed(name, target, models.size_of(target), form)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_there(path: Path, file: RemoteFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    digest = file.digest()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return bool(digest.hexdigest() == file.checksum)


def _have(partial: Path, file: RemoteFile) -> int:
    """Bytes of a file that are here already."""
    place = partial / file.name
    return sum(path.stat().st_size for path in place.parent.glob(f"*{place.name}*") if path.is_file())


def _files(directory: Path) -> list[str]:
    """The names of all files in a directory and its folders, relative to it."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def _source(contents: Contents) -> dict[str, str]:
    return {"repository": contents.repository, "revision": contents.revision}
