"""Model directories on disk: which names exist, which are here, and whether they are whole.

A model is a directory ``<root>/<name>`` in one of a few formats. Names a client may send are looked up among the
directories found there and in a closed table; they never become a path or a repository id. ``engines.pulling`` brings
models here.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from protocol.errors import Code, VoiceError


class Format(StrEnum):
    """How a model lies on disk; the value is the engine that reads it."""

    CTRANSLATE2 = "faster-whisper"
    TRANSFORMERS = "transformers"  # Whisper
    VITS = "vits"
    OMNIVOICE = "omnivoice"
    DEMUCS = "demucs"
    LANGUAGE_MODEL = "language-model"
    TRANSLATOR = "translator"


@dataclass(frozen=True, slots=True)
class Published:
    """A model that can be pulled; ``megabytes`` is about what its download weighs."""

    name: str
    repository: str  # on the hub
    megabytes: int
    note: str
    format: Format = Format.CTRANSLATE2
    wide: bool = False  # its weights are stored in float32

    @property
    def memory_mb(self) -> int:
        """About what it takes while it runs on a CPU: int8 for CTranslate2, float32 for transformers."""
        weights = self.megabytes * (0.5 if self.format is Format.CTRANSLATE2 else 1.0 if self.wide else 2.0)
        return round(weights * 1.2) + (300 if self.format is Format.CTRANSLATE2 else 700)

    @property
    def gpu_memory_mb(self) -> int:
        """The same on a GPU, in half precision."""
        return round(self.megabytes * (0.5 if self.wide else 1.0) * 1.2) + 700


@dataclass(frozen=True, slots=True)
class Installed:
    """A model directory that has every file it needs."""

    name: str
    directory: Path
    bytes: int
    format: Format = Format.CTRANSLATE2


#: The closed table of names, smallest first of each format.
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
    *(
        Published(f"whisper-{size}", f"openai/whisper-{size}", megabytes, note, Format.TRANSFORMERS, wide=wide)
        for size, megabytes, note, wide in (
            ("tiny", 154, "many languages, many mistakes; recordings only", True),
            ("base", 293, "many languages; recordings only", True),
            ("small", 970, "many languages; recordings only", True),
            ("large-v3-turbo", 1620, "many languages; recordings only, for a GPU", False),
            ("medium", 3060, "many languages; recordings only", True),
            ("large-v3", 3090, "many languages, most accurate; recordings only, for a GPU", False),
        )
    ),
    Published("mms-tts-eng", "facebook/mms-tts-eng", 145, "English speech; non-commercial", Format.VITS, True),
    Published("mms-tts-vie", "facebook/mms-tts-vie", 145, "Vietnamese speech; non-commercial", Format.VITS, True),
    Published("omnivoice", "k2-fsa/OmniVoice", 3100, "described and cloned voices; for a GPU", Format.OMNIVOICE, True),
    Published("htdemucs_6s", "adefossez/HTDemucs-6s", 55, "as htdemucs, guitar and piano as well", Format.DEMUCS),
    Published("htdemucs", "adefossez/HTDemucs", 84, "voices, drums, bass and the rest of music apart", Format.DEMUCS),
    Published(
        "qwen2.5-1.5b-instruct", "Qwen/Qwen2.5-1.5B-Instruct", 3090, "writes and answers; Apache-2.0",
        Format.LANGUAGE_MODEL,
    ),
    Published(
        "madlad400-3b-mt", "google/madlad400-3b-mt", 11760, "translates 450 languages; Apache-2.0", Format.TRANSLATOR,
        True,
    ),
)

MANIFEST = "manifest.json"  # written by a pull: where a model is from, and the SHA-256 of every file
_REQUIRED = {
    Format.CTRANSLATE2: ("model.bin", "config.json", "tokenizer.json"),
    Format.TRANSFORMERS: (
        "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json",
    ),
    Format.VITS: ("model.safetensors", "config.json", "vocab.json", "tokenizer_config.json"),
    Format.OMNIVOICE: ("model.safetensors", "config.json", "audio_tokenizer/config.json"),
    Format.DEMUCS: (),
    Format.LANGUAGE_MODEL: ("config.json", "tokenizer.json"),
    Format.TRANSLATOR: ("config.json",),
}  # fmt: skip
_ONE_OF = {  # a model also takes a file of each of these kinds; the first name stands for the others
    Format.CTRANSLATE2: (("vocabulary.json", "vocabulary.txt"),),
    Format.OMNIVOICE: (("audio_tokenizer/*.safetensors",),),
    Format.DEMUCS: (("*.yaml",), ("*.safetensors",)),
    Format.LANGUAGE_MODEL: (("*.safetensors",),),
    Format.TRANSLATOR: (("*.safetensors",), ("tokenizer.json", "source.spm", "spiece.model")),
}
_OPTIONAL = {
    Format.CTRANSLATE2: ("preprocessor_config.json",),
    Format.TRANSFORMERS: (
        "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json",
        "normalizer.json",
    ),
    Format.VITS: ("added_tokens.json", "special_tokens_map.json"),
    Format.OMNIVOICE: ("*.json", "*.jinja", "merges.txt", "audio_tokenizer/*.json"),
    Format.DEMUCS: (),
    Format.LANGUAGE_MODEL: ("*.json", "*.jinja", "merges.txt"),
    Format.TRANSLATOR: ("*.json", "*.spm", "*.model"),
}  # fmt: skip
# What their config.json says: the type of the model, or how the name of its class ends.
_MODEL_TYPES = {
    Format.VITS: ("vits",),
    Format.OMNIVOICE: ("omnivoice",),
    Format.TRANSLATOR: ("t5", "mt5", "umt5", "m2m_100", "marian", "mbart", "nllb-moe"),
}
_CLASSES = {Format.LANGUAGE_MODEL: "ForCausalLM"}
_BLOCK = 1 << 20


def belongs(form: Format, name: str) -> bool:
    """Whether a file of that name may be part of a model; what else lies beside it is not fetched.

    A name is relative to the model's directory, and in no other folder than the format has.
    """
    place = PurePosixPath(name)
    patterns = map(PurePosixPath, (*_REQUIRED[form], *_OPTIONAL[form], *chain.from_iterable(_ONE_OF.get(form, ()))))
    return name == str(place) != MANIFEST and any(
        place.parent == pattern.parent and fnmatchcase(place.name, pattern.name) for pattern in patterns
    )


def format_of(directory: Path) -> Format | None:
    """The format a directory has every file for."""
    return next((form for form in Format if not missing(directory, form)), None)


def installed(root: Path) -> list[Installed]:
    """The usable models under ``root``, by name."""
    if not root.is_dir():
        return []
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    forms = ((folder, format_of(folder)) for folder in folders)
    return [Installed(folder.name, folder, size_of(folder), form) for folder, form in forms if form is not None]


def find(root: Path, name: str, form: Format | None = None) -> Installed:
    """The installed model of that name, of one format where it has to be of that.

    Raises VoiceError NOT_INSTALLED (with the command that pulls it) for a name of the table that is not here, and
    NOT_FOUND for any other.
    """
    here = [model for model in installed(root) if form in (None, model.format)]
    for model in here:
        if model.name == name:
            return model
    published(name, form, also=(model.name for model in here))
    raise VoiceError(Code.NOT_INSTALLED, f"the model {name} is not installed", install=pull_command(name))


def pull_command(name: str) -> str:
    """What a person types to have it."""
    return f"voxline models pull {name}"


def named(root: Path, name: str, form: Format, setting: str) -> Path:
    """The directory of the model a setting names: itself, or a pulled one's. Raises as ``find``, naming the setting."""
    if Path(name).is_dir():
        return Path(name)
    try:
        return find(root, name, form).directory
    except VoiceError as error:
        raise VoiceError(error.code, f"{setting}={name}: {error.message}", **error.facts) from None


def published(name: str, form: Format | None = None, also: Iterable[str] = ()) -> Published:
    """The table's entry of that name; VoiceError(NOT_FOUND) with the names there are, and ``also`` those, otherwise."""
    table = [model for model in PUBLISHED if form in (None, model.format)]
    for model in table:
        if model.name == name:
            return model
    known = sorted({*(model.name for model in table), *also})
    raise VoiceError(Code.NOT_FOUND, f"there is no model of that name; there are {', '.join(known)}", allowed=known)


def missing(directory: Path, form: Format = Format.CTRANSLATE2) -> list[str]:
    """Which files a model directory lacks; empty when it can be loaded."""
    absent = [name for name in _REQUIRED[form] if not _whole(directory / name)]
    for patterns in _ONE_OF.get(form, ()):
        if not any(_whole(path) for pattern in patterns for path in directory.glob(pattern)):
            absent.append(patterns[0])
    if not absent and not _is_of(read_object(directory / "config.json"), form):
        absent.append(f"config.json of {form.value}")
    return absent


def _is_of(config: dict[str, Any], form: Format) -> bool:
    """Whether a config.json is that of a model of this format, where several have the same files."""
    types, ending = _MODEL_TYPES.get(form), _CLASSES.get(form)
    if ending is not None:
        classes = config.get("architectures")
        return isinstance(classes, list) and any(str(one).endswith(ending) for one in classes)
    return types is None or config.get("model_type") in types


def languages(directory: Path) -> tuple[str, ...]:
    """The languages a model in the format of transformers says it knows; none when it does not say."""
    said = read_object(directory / "generation_config.json")
    tokens = said.get("lang_to_id") if said.get("is_multilingual", True) else {"<|en|>": 0}
    return tuple(token.strip("<|>") for token in tokens) if isinstance(tokens, dict) else ()


def verify(directory: Path) -> list[str]:
    """What is wrong with a model directory, in words; empty when nothing is. Reads every byte of a pulled model."""
    form = format_of(directory) or Format.CTRANSLATE2
    faults = [f"{name} is missing or empty" for name in missing(directory, form)]
    if not (directory / MANIFEST).is_file():
        return faults
    files = read_object(directory / MANIFEST).get("files")
    if not isinstance(files, dict):
        return [*faults, f"{MANIFEST} cannot be read"]
    for name, digest in files.items():
        path = directory / name
        if not belongs(form, name) or not path.is_file():
            faults += [f"{name} is gone"] if f"{name} is missing or empty" not in faults else []
        elif digest_of(path) != digest:
            faults.append(f"{name} is not what was pulled")
    return faults


def has_checksums(directory: Path) -> bool:
    """Whether ``verify`` can compare its bytes, or only see that the files are there."""
    return (directory / MANIFEST).is_file()


def remove(root: Path, name: str) -> None:
    """Delete an installed model, or what an interrupted pull left of one; VoiceError as ``find`` when there is none."""
    partial = root / f".{Path(name).name}.partial"
    if Path(name).name == name and partial.is_dir():
        shutil.rmtree(partial)
        if not (root / name).is_dir():
            return
    model = find(root, name).directory
    going = model.with_name(f".{name}.old")
    shutil.rmtree(going, ignore_errors=True)
    model.rename(going)  # at once: nobody finds half of it
    shutil.rmtree(going)


def size_of(directory: Path) -> int:
    """Bytes of all files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _whole(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
