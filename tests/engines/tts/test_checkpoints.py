"""Models on disk are told apart by what they say they are."""

import json
from pathlib import Path

from engines.tts.checkpoints import OMNIVOICE, VITS, find, language_of


def checkpoint(directory: Path, kind: str = VITS, language: str = "", weights: bool = True) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"model_type": kind}))
    if language:
        (directory / "tokenizer_config.json").write_text(json.dumps({"language": language}))
    if weights:
        (directory / "model.safetensors").touch()
    return directory


def test_a_directory_of_models_is_looked_through(tmp_path: Path) -> None:
    vietnamese = checkpoint(tmp_path / "mms-tts-vie")
    other = checkpoint(tmp_path / "voice", OMNIVOICE)
    checkpoint(tmp_path / "half", weights=False)
    checkpoint(tmp_path / ".partial")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text("not JSON")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "config.json").write_text("[]")
    assert find(tmp_path, VITS) == [vietnamese] and find(tmp_path, OMNIVOICE) == [other]
    assert find(vietnamese, VITS) == [vietnamese]
    assert find(tmp_path / "absent", VITS) == []


def test_a_checkpoint_names_its_language(tmp_path: Path) -> None:
    for number, (written, code) in enumerate(
        [("vie", "vi"), ("eng", "en"), ("urd-script_arabic", "ur"), ("abk", "abk"), ("de", "de")]
    ):
        assert language_of(checkpoint(tmp_path / str(number), language=written)) == code
    assert language_of(checkpoint(tmp_path / "mms-tts-spa")) == "es"
    assert language_of(checkpoint(tmp_path / "mms-tts-azj-script_latin")) == "az"
