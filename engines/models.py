"""Model directories on disk: which names exist, which are here, whether they are whole, and how one is fetched.

A model is a directory ``<root>/<name>`` in CTranslate2's format. Names a client may send are looked up among the
directories found there and in a closed table; they never become a path or a repository id.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import Code, VoiceError


@dataclass(frozen=True, slots=True)
class Published:
    """A model that can be pulled; ``megabytes`` is about what its download weighs."""

    name: str
    repository: str  # on the hub
    megabytes: int
    note: str


@dataclass(frozen=True, slots=True)
class Installed:
    """A model directory that has every file it needs."""

    name: str
    directory: Path
    bytes: int


#: The closed table of names, smallest first.
PUBLISHED: tuple[Published, ...] = (
    Published("tiny", "Systran/faster-whisper-tiny", 78, "many languages, fastest, many mistakes"),
    Published("tiny.en", "Systran/faster-whisper-tiny.en", 78, "English only"),
    Published("base", "Systran/faster-whisper-base", 148, "many languages"),
    Published("base.en", "Systran/faster-whisper-base.en", 148, "English only"),
    Published("small", "Systran/faster-whisper-small", 486, "many languages; the largest that is live on a small CPU"),
    Published("small.en", "Systran/faster-whisper-small.en", 486, "English only"),
    Published("medium", "Systran/faster-whisper-medium", 1530, "many languages"),
    Published("large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1620, "many languages; for a GPU"),
    Published("large-v3", "Systran/faster-whisper-large-v3", 3090, "many languages, most accurate; for a GPU"),
)

_REQUIRED = ("model.bin", "config.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_WANTED = [*_REQUIRED, "vocabulary.*", "tokenizer.json", "preprocessor_config.json"]
_MANIFEST = "manifest.json"  # written by pull: the SHA-256 of every file
_BLOCK = 1 << 20
_BY_HAND = "run it again when the hub is reachable, or copy a model here and set VOXLINE_WHISPER_MODEL to its directory"

Progress = Callable[[str, int, int], None]  # file name, bytes so far, bytes in all (0 when unknown)


def installed(root: Path) -> list[Installed]:
    """The usable models under ``root``, by name."""
    if not root.is_dir():
        return []
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    return [Installed(folder.name, folder, _size(folder)) for folder in folders if not missing(folder)]


def find(root: Path, name: str) -> Installed:
    """The installed model of that name.

    Raises VoiceError NOT_INSTALLED (with the command that pulls it) for a name of the table that is not here, and
    NOT_FOUND for any other.
    """
    here = installed(root)
    for model in here:
        if model.name == name:
            return model
    published(name, also=(model.name for model in here))
    raise VoiceError(Code.NOT_INSTALLED, f"the model {name} is not installed", install=f"voxline models pull {name}")


def published(name: str, also: Iterable[str] = ()) -> Published:
    """The table's entry of that name; VoiceError(NOT_FOUND) with the names there are, and ``also`` those, otherwise."""
    for model in PUBLISHED:
        if model.name == name:
            return model
    known = sorted({*(model.name for model in PUBLISHED), *also})
    raise VoiceError(Code.NOT_FOUND, f"there is no model of that name; there are {', '.join(known)}", allowed=known)


def missing(directory: Path) -> list[str]:
    """Which files a model directory lacks; empty when it can be loaded."""
    absent = [name for name in (*_REQUIRED, "tokenizer.json") if not _whole(directory / name)]
    if not any(_whole(directory / name) for name in _VOCABULARIES):
        absent.append(_VOCABULARIES[0])
    return absent


def verify(directory: Path) -> list[str]:
    """What is wrong with a model directory, in words; empty when nothing is. Reads every byte of a pulled model."""
    faults = [f"{name} is missing or empty" for name in missing(directory)]
    manifest = directory / _MANIFEST
    if not manifest.is_file():
        return faults
    try:
        digests = dict(json.loads(manifest.read_text(encoding="utf-8")))
    except ValueError:
        return [*faults, f"{_MANIFEST} cannot be read"]
    for name, digest in digests.items():
        path = directory / Path(name).name
        if path.is_file() and _digest(path) != digest:
            faults.append(f"{path.name} is not what was downloaded")
    return faults


def pull(root: Path, name: str, progress: Progress | None = None) -> Installed:
    """Download a model of the table from the hub, or finish an interrupted download, and install it whole.

    It is downloaded beside its place, checked, and moved there at the end. Raises VoiceError NOT_FOUND for a name not
    in the table, STORAGE_FULL before starting when the disk has not the room, and ENGINE_FAILED with the reason when
    the hub cannot be reached or the download is not whole; calling again resumes.
    """
    model = published(name)
    target, partial = root / model.name, root / f".{model.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free + _size(partial)
    if free < model.megabytes * 1_100_000:
        raise VoiceError(Code.STORAGE_FULL, f"{model.name} needs {model.megabytes} MB; {free // 1_000_000} MB are free")
    _download(model, partial, progress)
    faults = verify(partial)
    if faults:
        raise VoiceError(Code.ENGINE_FAILED, f"the download of {model.name} is not whole: {'; '.join(faults)}")
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    files = sorted(path for path in partial.iterdir() if path.is_file() and path.name != _MANIFEST)
    digests = {path.name: _digest(path) for path in files}
    (partial / _MANIFEST).write_text(json.dumps(digests, indent=1), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    return Installed(model.name, target, _size(target))


def remove(root: Path, name: str) -> None:
    """Delete an installed model; VoiceError as ``find`` when there is none."""
    shutil.rmtree(find(root, name).directory)


def _download(model: Published, directory: Path, progress: Progress | None) -> None:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import tqdm
    except ImportError as error:
        install = "pip install huggingface_hub"
        raise VoiceError(Code.NOT_INSTALLED, "huggingface_hub is not installed", install=install) from error

    class Reporting(tqdm):  # type: ignore[misc]  # the library has no stubs
        """Passes the hub client's progress on instead of drawing it."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = False
            super().__init__(*args, **kwargs)

        def display(self, *args: object, **kwargs: object) -> bool:
            if progress is not None and getattr(self, "unit", "") == "B":
                progress(str(self.desc or model.name), int(self.n), int(self.total or 0))
            return True

    try:
        snapshot_download(
            model.repository, local_dir=str(directory), allow_patterns=_WANTED, tqdm_class=Reporting, max_workers=2
        )
    except Exception as error:
        # The hub client's own errors share no base class with those of its HTTP library.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        message = f"{model.name} could not be downloaded from {model.repository}: {reason}"
        raise VoiceError(Code.ENGINE_FAILED, message, directory=str(directory), install=_BY_HAND) from error


def _whole(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
