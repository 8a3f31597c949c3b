"""Which Demucs a server runs: the one that is named, else a pulled one, else none."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from engines.registry import EngineSpec
from engines.separation.checkpoints import MODEL_CLASS
from protocol.errors import Code, VoiceError
from server.engines import DEMUCS, choose_engines, find_demucs
from server.settings import Settings, SettingsError, engine_settings, load_settings
from tests.checkpoints.nano_demucs.shape import FOLDER


def chosen(settings: Settings) -> EngineSpec | None:
    return next((spec for spec in choose_engines(settings) if spec.name == DEMUCS), None)


def test_a_normal_start_never_picks_a_demonstration_model(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert settings.demucs_model == "" and chosen(settings) is None


def test_a_directory_is_taken_and_called_by_a_name_that_says_something(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, demucs_model=str(FOLDER), demucs_device="cuda", demucs_threads=3)
    spec = chosen(settings)
    assert spec is not None and not spec.missing() and spec.on_demand
    expected = {"directory": str(FOLDER.resolve()), "model": "nano_demucs", "device": "cuda", "threads": 3}
    assert spec.options == expected
    assert engine_settings(settings)["demucs_model"] == str(FOLDER.resolve())


@pytest.mark.parametrize("named", ["", "htdemucs"])
def test_a_pulled_model_is_found_by_its_name_and_without_one(tmp_path: Path, named: str) -> None:
    shutil.copytree(FOLDER, tmp_path / "models" / "htdemucs")
    assert find_demucs(Settings(data=tmp_path, demucs_model=named)) == tmp_path / "models" / "htdemucs"


@pytest.mark.parametrize("named", ["htdemucs", "..", "nothing"])
def test_a_named_model_that_is_not_there_stops_the_start_with_a_command(tmp_path: Path, named: str) -> None:
    with pytest.raises(VoiceError) as caught:
        choose_engines(Settings(data=tmp_path, demucs_model=named))
    assert caught.value.code in (Code.NOT_INSTALLED, Code.NOT_FOUND)


def test_a_damaged_model_that_is_named_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "nano.safetensors").write_bytes((FOLDER / "nano.safetensors").read_bytes()[:1000])
    with pytest.raises(VoiceError) as caught:
        choose_engines(Settings(data=tmp_path, demucs_model=str(tmp_path / "weights")))
    assert "nano.safetensors is damaged" in caught.value.message


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(data=tmp_path, demucs_model="/no/such")
    assert "demucs_model" in str(caught.value).lower()


def test_what_weights_take_apart_is_known_before_they_are_loaded(tmp_path: Path) -> None:
    spec = chosen(Settings(data=tmp_path, demucs_model=str(FOLDER)))
    assert spec is not None and set(spec.stems) == {"other", "vocals"}


def test_weights_that_know_more_stems_serve_beside_the_others(tmp_path: Path) -> None:
    """D14: they are asked for what the preferred ones do not know."""
    shutil.copytree(FOLDER, tmp_path / "models" / "htdemucs")
    more = tmp_path / "models" / "htdemucs_6s"
    shutil.copytree(FOLDER, more)
    weights = load_file(more / "nano.safetensors")
    stems = ["other", "vocals", "drums"]
    described = {"klass": MODEL_CLASS, "args": json.dumps([stems]), "kwargs": "{}"}
    save_file(weights, more / "nano.safetensors", described)
    specs = [spec for spec in choose_engines(Settings(data=tmp_path)) if spec.name.startswith(DEMUCS)]
    assert [(spec.options["model"], set(spec.stems)) for spec in specs] == [
        ("htdemucs", {"other", "vocals"}),
        ("htdemucs_6s", set(stems)),
    ]
    assert specs[0].preference > specs[1].preference


def test_pulled_weights_that_are_damaged_stop_nothing(tmp_path: Path) -> None:
    """The job that needs them says so."""
    model = tmp_path / "models" / "htdemucs"
    shutil.copytree(FOLDER, model)
    (model / "nano.safetensors").write_bytes((FOLDER / "nano.safetensors").read_bytes()[:1000])
    spec = chosen(Settings(data=tmp_path))
    assert spec is not None and spec.stems == ()
