"""``voxline say`` with the voices of engines that have their own, which depend on the models that are installed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from engines.registry import EngineSpec
from server.cli import COMMANDS, command_line
from server.commands import say
from tests import engines_scripted as scripted


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(*_: object) -> Sequence[EngineSpec]:
        return [scripted.synthesizer(), scripted.recognizer()]

    monkeypatch.setattr(say, "choose_engines", chosen)


def spoken(tmp_path: Path, *options: str) -> tuple[float, str]:
    """Seconds of sound, and what was said of it."""
    path = tmp_path / "said.wav"
    done = CliRunner().invoke(command_line(COMMANDS), ["say", "one two three", "-o", str(path), *options])
    assert done.exit_code == 0, done.output
    sound, rate = soundfile.read(path)
    return len(sound) / rate, done.output


def test_a_voice_of_an_engine_speaks(tmp_path: Path) -> None:
    seconds, told = spoken(tmp_path, "--voice", "tones-low")
    assert seconds == pytest.approx(0.9, abs=0.05) and "Low tone" in told
    seconds, told = spoken(tmp_path, "--voice", "Tones-High", "--speed", "2")
    assert seconds == pytest.approx(0.45, abs=0.05) and "High tone" in told


@pytest.mark.parametrize("voice", ["tones-nobody", "vits-en", "nobody"])
def test_a_voice_nobody_has(tmp_path: Path, voice: str) -> None:
    done = CliRunner().invoke(command_line(COMMANDS), ["say", "hello", "-o", str(tmp_path / "x.wav"), "--voice", voice])
    assert done.exit_code != 0 and "voice" in str(done.exception or done.output)
    assert not (tmp_path / "x.wav").exists()
