"""Which speech models a server runs: those that are pulled, or those in a directory that the settings name."""

import json
from pathlib import Path

import pytest

from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from server.engines import choose_engines, models_root
from server.settings import Settings, engine_settings


def checkpoint(directory: Path, kind: str) -> None:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"model_type": kind}))
    (directory / "model.safetensors").touch()


def chosen(settings: Settings) -> dict[str, EngineSpec]:
    return {spec.name: spec for spec in choose_engines(settings)}


def test_without_checkpoints_there_is_no_such_engine(tmp_path: Path) -> None:
    assert not {"vits", "omnivoice"} & set(chosen(Settings(data=tmp_path)))


def test_pulled_voices_speak(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    checkpoint(models_root(settings) / "mms-tts-vie", "vits")
    spec = chosen(settings)["vits"]
    assert spec.options["directory"] == str(models_root(settings).resolve())
    assert (spec.options["device"], spec.options["threads"]) == ("cpu", 2)


def test_a_named_directory_comes_before_what_was_pulled(tmp_path: Path) -> None:
    checkpoint(tmp_path / "voices" / "mine", "vits")
    settings = Settings(data=tmp_path, vits_model=str(tmp_path / "voices"), vits_device="cuda", vits_threads=1)
    spec = chosen(settings)["vits"]
    assert spec.options["directory"] == str(tmp_path / "voices")
    assert (spec.options["device"], spec.options["threads"]) == ("cuda", 1)
    assert engine_settings(settings)["vits_model"] == str(tmp_path / "voices")


@pytest.mark.parametrize("setting", ["vits_model", "omnivoice_model"])
def test_a_named_directory_without_a_checkpoint_is_an_error(tmp_path: Path, setting: str) -> None:
    with pytest.raises(VoiceError) as caught:
        choose_engines(Settings(data=tmp_path, **{setting: str(tmp_path)}))  # type: ignore[arg-type]
    assert caught.value.code is Code.NOT_INSTALLED and caught.value.facts["install"]


def test_omnivoice_that_is_named_and_not_installed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(tmp_path / "omnivoice", "omnivoice")
    monkeypatch.setattr(EngineSpec, "missing", lambda spec: ("omnivoice",) if spec.name == "omnivoice" else ())
    with pytest.raises(VoiceError) as caught:
        choose_engines(Settings(data=tmp_path, omnivoice_model=str(tmp_path / "omnivoice")))
    assert caught.value.code is Code.NOT_INSTALLED and "omnivoice" in caught.value.message
