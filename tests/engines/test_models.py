"""Model directories: names are looked up, never joined to a path; a download is whole or not there."""

from pathlib import Path

import pytest

from engines.models import (
    PUBLISHED,
    Format,
    belongs,
    find,
    format_of,
    installed,
    languages,
    missing,
    published,
    remove,
    verify,
)
from protocol.errors import Code, VoiceError

FILES = {"model.bin": b"weights" * 1000, "config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.json": b"[]"}


def make(directory: Path, **changes: bytes) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in {**FILES, **changes}.items():
        (directory / name).write_bytes(content)
    return directory


def test_only_whole_directories_are_installed(tmp_path: Path) -> None:
    make(tmp_path / "small")
    make(tmp_path / "my-own")
    make(tmp_path / ".tiny.partial")
    (make(tmp_path / "base") / "model.bin").unlink()
    (tmp_path / "a-file").write_text("no directory")
    assert [model.name for model in installed(tmp_path)] == ["my-own", "small"]
    assert find(tmp_path, "small").directory == tmp_path / "small"
    assert find(tmp_path, "my-own").bytes == sum(map(len, FILES.values()))
    assert installed(tmp_path / "nowhere") == []


def test_a_name_of_the_table_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(VoiceError) as caught:
        find(tmp_path, "large-v3")
    assert caught.value.code is Code.NOT_INSTALLED
    assert caught.value.facts["install"] == "voxline models pull large-v3"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../models/small", "small/", "/etc", "Systran/faster-whisper-small", "x" * 999]
)
def test_any_other_name_is_unknown_whatever_lies_there(tmp_path: Path, name: str) -> None:
    make(tmp_path / "models" / "small")
    with pytest.raises(VoiceError) as caught:
        find(tmp_path / "models", name)
    assert caught.value.code is Code.NOT_FOUND
    assert "small" in str(caught.value.facts["allowed"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]


def test_the_table_is_in_order() -> None:
    for form in Format:
        sizes = [model.megabytes for model in PUBLISHED if model.format is form]
        assert sizes and sizes == sorted(sizes)
    assert len({model.name for model in PUBLISHED}) == len(PUBLISHED)
    assert published("small").repository.endswith("whisper-small")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    directory = make(tmp_path / "small", **{"config.json": b""})
    (directory / "vocabulary.json").unlink()
    assert missing(directory) == ["config.json", "vocabulary.json"]
    (directory / "vocabulary.txt").write_text("a")
    assert verify(directory) == ["config.json is missing or empty"]


def test_formats_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path / "ours")
    whisper = tmp_path / "theirs"
    whisper.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"):
        (whisper / name).write_text("x")
    assert format_of(whisper) is None
    (whisper / "generation_config.json").write_text('{"lang_to_id": {"<|en|>": 7, "<|vi|>": 9}}')
    assert format_of(whisper) is Format.TRANSFORMERS and languages(whisper) == ("en", "vi")
    (whisper / "generation_config.json").write_text('{"is_multilingual": false}')
    assert languages(whisper) == ("en",)
    voice = tmp_path / "voice"
    voice.mkdir()
    for name in ("model.safetensors", "vocab.json", "tokenizer_config.json"):
        (voice / name).write_text("x")
    (voice / "config.json").write_text('{"model_type": "bert"}')
    assert format_of(voice) is None
    (voice / "config.json").write_text('{"model_type": "vits"}')
    (make(tmp_path / "stems" / "in") / "x.yaml").write_text("models: [a]")
    assert {model.name: model.format for model in installed(tmp_path)} == {
        "ours": Format.CTRANSLATE2, "theirs": Format.TRANSFORMERS, "voice": Format.VITS,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["../model.bin", "a/model.bin", "/etc/config.json", "run.py", "pytorch_model.bin"])
def test_a_repository_says_nothing_about_places(name: str) -> None:
    assert belongs(Format.CTRANSLATE2, "model.bin") and belongs(Format.DEMUCS, "955717e8.safetensors")
    assert not any(belongs(form, name) for form in Format)
    assert not belongs(Format.DEMUCS, "../../x.yaml") and not belongs(Format.OMNIVOICE, "manifest.json")
    assert belongs(Format.OMNIVOICE, "audio_tokenizer/config.json")
    for elsewhere in ("../audio_tokenizer/config.json", "audio_tokenizer/../config.json", "audio_tokenizer/a/b.json"):
        assert not belongs(Format.OMNIVOICE, elsewhere)


def test_a_model_can_be_removed(tmp_path: Path) -> None:
    make(tmp_path / "small")
    remove(tmp_path, "small")
    make(tmp_path / ".tiny.partial")
    remove(tmp_path, "tiny")
    assert list(tmp_path.iterdir()) == []
    for name in ("small", "tiny", "../small"):
        with pytest.raises(VoiceError):
            remove(tmp_path, name)
