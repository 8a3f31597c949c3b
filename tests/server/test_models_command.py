"""``voxline models``, over a hub on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from protocol.errors import Code, VoiceError
from server.cli import COMMANDS, command_line
from server.commands.terminal import CommandError
from tests.engines.hub_server import LARGE, StandIn, hub_server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with hub_server() as running:
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setenv("VOXLINE_HUB", running.address)
        yield running


def voxline(data: Path, *words: str) -> Result:
    return CliRunner().invoke(command_line(COMMANDS), ["models", *words, "--data", str(data)])


def row(data: Path, name: str) -> list[str]:
    shown = voxline(data, "list")
    assert shown.exit_code == 0
    (line,) = (line.split() for line in shown.stdout.splitlines() if line.split()[:1] == [name])
    return line


def test_a_model_comes_is_checked_and_goes(tmp_path: Path, hub: StandIn) -> None:
    assert {"faster-whisper", "78", "yes", "no"} <= set(row(tmp_path, "tiny"))
    shown = voxline(tmp_path, "pull", "tiny")
    assert shown.exit_code == 0 and str(tmp_path / "models" / "tiny") in shown.stdout
    assert "no" not in row(tmp_path, "tiny")
    assert str(tmp_path / "models") in voxline(tmp_path, "list").stdout
    assert "is whole" in voxline(tmp_path, "verify", "tiny").stdout
    (tmp_path / "models" / "tiny" / LARGE).write_bytes(b"rotten")
    damaged = voxline(tmp_path, "verify", "tiny")
    assert isinstance(damaged.exception, CommandError) and "not what was pulled" in str(damaged.exception)
    assert voxline(tmp_path, "remove", "tiny").exit_code == 0
    assert "no" in row(tmp_path, "tiny")


def test_a_model_of_ones_own_is_copied_and_needs_no_hub(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (source / name).write_bytes(b"{}")
    assert voxline(tmp_path, "pull", "mine", "--from", str(source)).exit_code == 0
    assert {"mine", "faster-whisper"} <= set(row(tmp_path, "mine"))
    assert "is whole" in voxline(tmp_path, "verify", "mine").stdout


def test_failures_are_typed(tmp_path: Path, hub: StandIn) -> None:
    hub.status = 500
    failed = voxline(tmp_path, "pull", "tiny")
    assert isinstance(failed.exception, VoiceError) and failed.exception.code is Code.ENGINE_FAILED
