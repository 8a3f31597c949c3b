"""Checkpoints are strangers' files: whole ones are read, damaged ones are named, and none may run a program."""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

from engines.separation import checkpoints
from engines.separation.checkpoints import MODEL_CLASS, find, read_pickle
from protocol.errors import Code, VoiceError
from tests.checkpoints.nano_demucs.shape import FOLDER, KEYWORDS, SOURCES

Floats = npt.NDArray[np.floating[Any]]  # Demucs keeps half of the precision
ONES = np.ones(3, np.float32)
METADATA = {"klass": MODEL_CLASS, "args": json.dumps([list(SOURCES)]), "kwargs": json.dumps(KEYWORDS)}


def write(path: Path, metadata: dict[str, str] | None = None, **tensors: Floats) -> Path:
    """A small file that looks like a checkpoint."""
    save_file(tensors or {"a": ONES}, path, METADATA if metadata is None else metadata)
    return path


def refused(directory: Path) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        find(directory)
    return caught.value


def test_a_directory_with_one_file_is_a_checkpoint(tmp_path: Path) -> None:
    path = write(tmp_path / "955717e8.safetensors")
    assert find(tmp_path) == checkpoints.Checkpoint("955717e8", (path,))


def test_a_yaml_names_the_models_and_what_each_counts(tmp_path: Path) -> None:
    files = tuple(write(tmp_path / f"{name}.safetensors") for name in ("one", "two", "another"))
    (tmp_path / "both.yaml").write_text("models: ['one', 'two']\nweights: [[1., 0.], [0., 1.]]\n")
    assert find(tmp_path) == checkpoints.Checkpoint("both", files[:2], ((1.0, 0.0), (0.0, 1.0)))


def test_of_several_yamls_the_one_named_like_the_directory_counts(tmp_path: Path) -> None:
    directory = tmp_path / "models"
    directory.mkdir()
    for name in ("htdemucs", "htdemucs_6s"):
        write(directory / f"{name}-model.safetensors")
        (directory / f"{name}.yaml").write_text(f"models: ['{name}-model']\n")
    assert "more than one" in refused(directory).message
    assert find(directory.rename(tmp_path / "htdemucs")).name == "htdemucs"


@pytest.mark.parametrize(
    "text", ["models: []", "models: 3", "- a", "", "models: [a]\nweights: [[1], [1]]", "{", "\x00"]
)
def test_a_yaml_that_makes_no_sense_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path / "a.safetensors")
    (tmp_path / "bag.yaml").write_text(text)
    error = refused(tmp_path)
    assert error.code is Code.ENGINE_FAILED and "bag.yaml" in error.message


@pytest.mark.parametrize("name", ["b", "../b", "/etc/passwd"])
def test_a_yaml_cannot_point_elsewhere(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path / "b.safetensors")
    (inside / "bag.yaml").write_text(json.dumps({"models": [name]}))
    assert refused(inside).code is Code.NOT_FOUND


def test_an_empty_directory_or_none_has_no_checkpoint(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "absent"):
        error = refused(directory)
        assert error.code is Code.NOT_FOUND and ".safetensors" in error.message


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_download_that_stopped_is_noticed(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "half.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    error = refused(tmp_path)
    assert error.code is Code.ENGINE_FAILED and "half.safetensors is damaged" in error.message


@pytest.mark.parametrize(
    "metadata", [{}, {**METADATA, "klass": "os.system"}, {**METADATA, "structure": "{}"}, {**METADATA, "klass": ""}]
)
def test_nothing_is_imported_because_a_file_says_so(tmp_path: Path, metadata: dict[str, str]) -> None:
    """Demucs' own reader imports whatever class a file names."""
    write(tmp_path / "a.safetensors", metadata)
    assert refused(tmp_path).code is Code.ENGINE_FAILED


class _Program:
    """A pickle that runs a program."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._mark,)


@pytest.mark.parametrize("name", ["stranger.th", "955717e8-8726e21a.th"])
def test_a_strangers_pickle_is_refused_before_it_runs(tmp_path: Path, name: str) -> None:
    """Under a published file's name, too."""
    from engines.separation import demucs

    mark, directory = tmp_path / "ran", tmp_path / "model"
    directory.mkdir()
    (directory / name).write_bytes(pickle.dumps(_Program(mark)))
    with pytest.raises(VoiceError) as caught:
        demucs.factory({"directory": str(directory)})
    assert "pickle" in caught.value.message and ".safetensors" in caught.value.message
    assert not mark.exists()


def test_a_published_pickle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from demucs.htdemucs import HTDemucs

    from engines.separation import demucs

    model = HTDemucs(list(SOURCES), **KEYWORDS)
    path = tmp_path / "tiny-0.th"
    package = {"klass": HTDemucs, "args": (list(SOURCES),), "kwargs": KEYWORDS, "state": model.state_dict()}
    torch.save(package, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(VoiceError):
        read_pickle(path)
    monkeypatch.setattr(checkpoints, "PUBLISHED_PICKLES", {path.name: digest})
    engine = demucs.factory({"directory": str(tmp_path)})
    assert engine.describe().model == "tiny-0" and engine.stems == SOURCES


def broken(bias: Floats) -> dict[str, Floats]:
    weights: dict[str, Floats] = load_file(FOLDER / "nano.safetensors")
    return weights | {"channel_upsampler.bias": bias}


@pytest.mark.parametrize(
    ("metadata", "tensors"),
    [
        (METADATA, {"a": ONES}),
        ({**METADATA, "args": "{"}, {"a": ONES}),
        ({**METADATA, "args": json.dumps([["drums", "bass"]])}, {"a": ONES}),
        ({**METADATA, "kwargs": json.dumps({**KEYWORDS, "channels": "many"})}, {"a": ONES}),
        (METADATA, broken(np.full(64, np.nan, np.float32))),
        (METADATA, broken(np.ones(1, np.float32))),
    ],
    ids=["no weights", "no json", "no voices", "no number", "not a number", "another shape"],
)
def test_what_does_not_load_is_named(tmp_path: Path, metadata: dict[str, str], tensors: dict[str, Floats]) -> None:
    from engines.separation import demucs

    write(tmp_path / "bad.safetensors", metadata, **tensors)
    with pytest.raises(VoiceError) as caught:
        demucs.factory({"directory": str(tmp_path)})
    assert caught.value.code is Code.ENGINE_FAILED and "bad.safetensors is damaged" in caught.value.message
