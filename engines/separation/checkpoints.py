"""Directories of Demucs weights: what is in them, whether it is whole, and whether it may be read at all.

Demucs publishes each model twice. A safetensors file is data: numbers, and JSON that says how to build the model, of
which one class is accepted here. A ``.th`` file is a pickle, that is a program: whoever wrote it may do anything to who
loads it, so one is read only if it is, to the last bit, a file its makers published. Nothing heavy is imported here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import Code, VoiceError

#: The one class a checkpoint may ask for; a name from a file is never imported.
MODEL_CLASS = "demucs.htdemucs.HTDemucs"
#: SHA-256 of the published pickles (dl.fbaipublicfiles.com/demucs/hybrid_transformer); names begin with 8 digits of it.
PUBLISHED_PICKLES: Mapping[str, str] = {
    "955717e8-8726e21a.th": "8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4",  # htdemucs
    "f7e0c4bc-ba3fe64a.th": "ba3fe64ae8ef66ac9a4857222ce48efbdc5eb3ad375cb79dd13debee5aaa4066",  # htdemucs_ft, drums
    "d12395a8-e57c48e6.th": "e57c48e6b0e38af4f7118d7bd08c49f0a0c0edf7d09143bdd902ea0d237303e6",  # bass
    "92cfc3b6-ef3bcb9c.th": "ef3bcb9c8b40d14ae5d51b6db2587339cc12c6b77c0be151ce6d69002e087bf2",  # other
    "04573f0d-f3cf25b2.th": "f3cf25b222c4eed7cd49dd8b2c9597d50c18bd154090f7b919cfa5f93cf22c49",  # vocals
    "5c90dfd2-34c22ccb.th": "34c22ccb381c6f9fdbf324f04e1e2fe21aaaf293f5ded163a162697ff9a02ddd",  # htdemucs_6s
}
_SIX_STEMS = "5c90dfd2-34c22ccb.th"
_FOUR = ("drums", "bass", "other", "vocals")
_SIX = (*_FOUR, "guitar", "piano")
_HEADER_BYTES = 16 << 20  # longest head of a safetensors file
_BAG_BYTES = 1 << 16
_MOST_MODELS = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One model, or several that are asked together ("a bag"), as files."""

    name: str
    files: tuple[Path, ...]
    weights: tuple[tuple[float, ...], ...] = ()  # of each model for each stem; none: all count the same


def find(directory: Path) -> Checkpoint:
    """The checkpoint in a directory, each file of which is there and looks whole.

    A ``.yaml`` names the models, as in Demucs' own repositories; without one there has to be a single model. Raises
    VoiceError: NOT_FOUND for a directory without a checkpoint, ENGINE_FAILED for one that is damaged or not to be read.
    """
    bags = sorted(directory.glob("*.yaml")) if directory.is_dir() else []
    if len(bags) > 1:
        bags = [bag for bag in bags if bag.stem == directory.name] or bags
    if len(bags) > 1:
        raise VoiceError(
            Code.NOT_FOUND, f"more than one .yaml in {directory.name}; name the directory after the one to use"
        )
    if bags:
        found = _bag(bags[0])
    else:
        files = [*sorted(directory.glob("*.safetensors")), *sorted(directory.glob("*.th"))]
        if len(files) != 1:
            wanted = "a .yaml and the .safetensors files it names, or one .safetensors file"
            raise VoiceError(Code.NOT_FOUND, f"no Demucs checkpoint in {directory.name}: it takes {wanted}")
        found = Checkpoint(files[0].stem, (files[0],))
    for path in found.files:
        if path.suffix == ".safetensors":
            _check(path)
        elif path.name not in PUBLISHED_PICKLES:
            raise _refused(path)
    return found


def stems_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What a model takes a mix apart into, by its file's head. Raises ENGINE_FAILED when that does not say."""
    path = checkpoint.files[0]
    if path.suffix != ".safetensors":
        return _SIX if path.name == _SIX_STEMS else _FOUR
    try:
        (stems,) = json.loads(_head(path)[0]["__metadata__"]["args"])
        return tuple(str(stem) for stem in stems)
    except (ValueError, TypeError, KeyError) as error:
        raise damaged(path, "it does not name its stems") from error


def read_pickle(path: Path) -> bytes:
    """A ``.th`` file that is one of those published. Raises ENGINE_FAILED for any other."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() not in PUBLISHED_PICKLES.values():
        raise _refused(path)
    return content


def damaged(path: Path, why: str) -> VoiceError:
    """The error for a file that is not what it should be."""
    return VoiceError(Code.ENGINE_FAILED, f"the checkpoint {path.name} is damaged: {why}")


def _refused(path: Path) -> VoiceError:
    message = (
        f"{path.name} is a pickle, which can run any program, and not one that Demucs' makers published: "
        "use the .safetensors file of the model instead"
    )
    return VoiceError(Code.ENGINE_FAILED, message)


def _bag(path: Path) -> Checkpoint:
    import yaml  # type: ignore[import-untyped]

    try:
        bag = yaml.safe_load(path.read_bytes()[:_BAG_BYTES])
        names = [str(name) for name in bag["models"]]
        weights = tuple(tuple(float(share) for share in row) for row in bag.get("weights") or ())
    except (yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise damaged(path, "it does not list models") from error
    if not 0 < len(names) <= _MOST_MODELS or (weights and len(weights) != len(names)):
        raise damaged(path, "its models and weights do not match")
    return Checkpoint(path.stem, tuple(_file(path.parent, name) for name in names), weights)


def _file(directory: Path, name: str) -> Path:
    plain = Path(name).name
    pickles = [path for path in sorted(directory.glob("*.th")) if plain in (path.stem, path.stem.partition("-")[0])]
    for found in (directory / f"{plain}.safetensors", *pickles):
        if found.is_file():
            return found
    raise VoiceError(Code.NOT_FOUND, f"the model {plain} that the .yaml in {directory.name} names is not there")


def _head(path: Path) -> tuple[dict[str, Any], int]:
    """The head of a safetensors file, and how many bytes it has. Raises what a file makes that is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(_HEADER_BYTES, path.stat().st_size):
            raise ValueError("no head")
        head: dict[str, Any] = json.loads(file.read(length))
        return head, length


def _check(path: Path) -> None:
    """A safetensors file by its head: whether all of it is there, and what it wants to be built."""
    size = path.stat().st_size
    try:
        head, length = _head(path)
        described = head.pop("__metadata__", None) or {}
        end = 8 + length + max(int(tensor["data_offsets"][1]) for tensor in head.values())
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise damaged(path, "it is not a safetensors file") from error
    if end != size:
        raise damaged(path, f"it has {size} bytes instead of {end}")
    if described.get("klass") != MODEL_CLASS or "structure" in described:
        raise damaged(path, f"it does not describe a {MODEL_CLASS}")
