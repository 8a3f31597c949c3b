"""The command line as a shell sees it, in the process of the test: nothing is imported anew."""

import io
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.cli import main
from tests.server.conftest import environment

__all__ = ["Done", "Voxline", "voxline"]


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """A table's cells, its heading first."""
        return [re.split(r"\s{2,}", line.strip()) for line in self.out.splitlines()]


Voxline = Callable[..., Done]


@pytest.fixture
def voxline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Voxline:
    """Run a command in this process, on a data directory of the test's own."""
    for name in [name for name in os.environ if name.startswith("VOXLINE_")]:
        monkeypatch.delenv(name)
    for name, value in environment(data=str(tmp_path)).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["voxline", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        assert "Traceback" not in written.err
        return Done(int(ended.value.code or 0), written.out, written.err)

    return run
