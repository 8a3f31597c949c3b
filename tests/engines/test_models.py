"""Model directories: names are looked up, never joined to a path; a download is whole or not there."""

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from engines.models import PUBLISHED, find, installed, missing, published, pull, remove, verify
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
    for ask in (find, pull):
        with pytest.raises(VoiceError) as caught:
            ask(tmp_path / "models", name)
        assert caught.value.code is Code.NOT_FOUND
        assert "small" in str(caught.value.facts["allowed"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]


def test_the_table_is_in_order() -> None:
    assert [model.megabytes for model in PUBLISHED] == sorted(model.megabytes for model in PUBLISHED)
    assert len({model.name for model in PUBLISHED}) == len(PUBLISHED)
    assert published("small").repository.endswith("whisper-small")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    directory = make(tmp_path / "small", **{"config.json": b""})
    (directory / "vocabulary.json").unlink()
    assert missing(directory) == ["config.json", "vocabulary.json"]
    (directory / "vocabulary.txt").write_text("a")
    assert verify(directory) == ["config.json is missing or empty"]


class Hub:
    """Stands in for the hub client: writes files as it would, and reports its progress."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], fault: Exception | None = None
    ) -> None:
        self.asked: list[dict[str, Any]] = []
        self.files, self.fault = files, fault
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self)

    def __call__(self, repository: str, *, local_dir: str, tqdm_class: Any, **others: Any) -> str:
        self.asked.append({"repository": repository, **others})
        bar = tqdm_class(desc="model.bin", total=sum(map(len, self.files.values())), unit="B", unit_scale=True)
        (Path(local_dir) / ".cache").mkdir(exist_ok=True)
        for name, content in self.files.items():
            (Path(local_dir) / name).write_bytes(content)
            bar.update(len(content))
        bar.close()
        if self.fault:
            raise self.fault
        return local_dir


def test_a_pull_installs_reports_and_can_be_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, FILES)
    seen: list[tuple[str, int, int]] = []
    model = pull(tmp_path, "tiny", lambda *report: seen.append(report))
    total = sum(map(len, FILES.values()))
    assert seen[-1] == ("model.bin", total, total)
    assert hub.asked[0]["repository"] == "Systran/faster-whisper-tiny"
    assert "model.bin" in hub.asked[0]["allow_patterns"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]
    assert sorted(json.loads((model.directory / "manifest.json").read_text())) == sorted(FILES)
    assert verify(model.directory) == []
    (model.directory / "model.bin").write_bytes(b"rotten" * 1000)
    assert verify(model.directory) == ["model.bin is not what was downloaded"]
    (model.directory / "manifest.json").write_text("[")
    assert verify(model.directory) == ["manifest.json cannot be read"]


def test_a_pull_replaces_what_was_there_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "tiny", **{"model.bin": b"old"})
    Hub(monkeypatch, {"model.bin": b"half"})
    with pytest.raises(VoiceError, match="not whole") as caught:
        pull(tmp_path, "tiny")
    assert caught.value.code is Code.ENGINE_FAILED
    assert (tmp_path / "tiny" / "model.bin").read_bytes() == b"old"
    Hub(monkeypatch, FILES)
    assert pull(tmp_path, "tiny").bytes > 0
    assert (tmp_path / "tiny" / "model.bin").read_bytes() == FILES["model.bin"]


def test_a_hub_out_of_reach_is_said_plainly_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(monkeypatch, {"config.json": b"{}"}, OSError("no route to host\nand much more"))
    with pytest.raises(VoiceError, match=r"from Systran/faster-whisper-tiny: no route to host$"):
        pull(tmp_path, "tiny")
    assert installed(tmp_path) == []
    assert (tmp_path / ".tiny.partial" / "config.json").is_file()


def test_the_real_client_offline_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(VoiceError) as caught:
        pull(tmp_path, "tiny")
    assert caught.value.code is Code.ENGINE_FAILED
    assert "\n" not in caught.value.message


def test_a_disk_without_room_is_seen_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})())
    with pytest.raises(VoiceError) as caught:
        pull(tmp_path, "tiny")
    assert caught.value.code is Code.STORAGE_FULL
    assert not hub.asked


def test_a_model_can_be_removed(tmp_path: Path) -> None:
    make(tmp_path / "small")
    remove(tmp_path, "small")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VoiceError):
        remove(tmp_path, "small")
