"""Processes of tests behave alike, forked or not."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.alone import Alone
from tests.forked import Forked, Spawned, launch

KINDS = pytest.mark.parametrize("kind", [Forked, Spawned])


@KINDS
def test_what_it_says_and_logs_and_how_it_ends(kind: type[Forked] | type[Spawned], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    environment = {**os.environ, "VOXLINE_SESSIONS": "many"}
    process = kind("server.cli", "serve", "--data", str(tmp_path), environment=environment, log=log)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read() == ""
    assert process.wait(60) == process.poll() == 1
    told = log.read_text()
    assert told.startswith("before\n") and "VOXLINE_SESSIONS" in told


@KINDS
def test_it_is_waited_for_and_killed(kind: type[Forked] | type[Spawned], tmp_path: Path) -> None:
    process = kind("http.server", "0", environment=dict(os.environ), log=tmp_path / "log")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(60) == process.poll() == -signal.SIGKILL
    process.terminate()  # nobody: it has ended
    assert process.stdout is not None
    process.stdout.close()


def test_in_a_network_of_its_own_it_is_a_new_python(tmp_path: Path) -> None:
    with Alone() as alone:
        if not alone.denied:
            pytest.skip("a network of its own is not allowed here")
        with alone.inside():
            process = launch("platform", environment=dict(os.environ), log=tmp_path / "log")
    assert isinstance(process, Spawned) and process.communicate(timeout=60)[0].startswith("Linux")
