"""A server without a Whisper pulls one while it runs, says so, and never waits for it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import models
from server import first_pull
from server.engines import find_model, models_root
from server.gpu import Gpu
from server.machine import Machine, find_machine, misfit, recommended
from server.settings import Settings
from tests.engines.hub_server import LARGE, StandIn, hub_server
from tests.server.conftest import started

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("NO_PROXY", "*")
    with hub_server() as running:
        yield running


def lines_of(settings: Settings) -> list[str]:
    told: list[str] = []
    thread = first_pull.start(settings, told.append)
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()
    return told


def test_it_says_what_it_pulls_and_how_to_skip_it(tmp_path: Path, hub: StandIn) -> None:
    settings = Settings(data=tmp_path, hub=hub.address)
    told = lines_of(settings)
    name = recommended(settings, find_machine())
    assert f"pulling {name} (" in told[0] and "MB" in told[0] and "VOXLINE_AUTO_PULL=off" in told[0]
    assert str(models_root(settings)) in told[0] and hub.address in told[0]
    assert told[-1] == f"{name} is here; the next start uses it"
    found = find_model(settings)
    assert found is not None and found.name == name and models.verify(found.directory) == []
    assert first_pull.start(settings, told.append) is None  # there is one now


def test_without_a_hub_it_says_so_in_one_line(tmp_path: Path) -> None:
    began = time.monotonic()
    (line,) = lines_of(Settings(data=tmp_path, hub=NOBODY))
    assert "does not answer" in line and "voxline models pull" in line
    assert time.monotonic() - began < first_pull.LOOK_S + 5
    assert not models_root(Settings(data=tmp_path)).exists()


def test_what_goes_wrong_is_said_with_the_command_that_goes_on(tmp_path: Path, hub: StandIn) -> None:
    hub.wrong = {LARGE}
    told = lines_of(Settings(data=tmp_path, hub=hub.address))
    assert "checksum" in told[-1] and "voxline models pull" in told[-1]


def test_nothing_is_pulled_by_who_does_not_want_it(tmp_path: Path, hub: StandIn) -> None:
    (tmp_path / "own").mkdir()
    for more in ({"auto_pull": "off"}, {"whisper_model": str(tmp_path / "own")}):
        assert first_pull.start(Settings(data=tmp_path, hub=hub.address, **more), print) is None  # type: ignore[arg-type]
    assert hub.asked == []


def test_a_server_is_ready_before_its_model_is(tmp_path: Path, hub: StandIn) -> None:
    with started(tmp_path, auto_pull="auto", hub=hub.address, synthesizers="1") as server:
        assert "pocketsphinx" in server.banner
        deadline = time.monotonic() + 60
        while "the next start uses it" not in server.log:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)  # another process writes it
    assert find_model(Settings(data=tmp_path)) is not None


def test_what_fits_a_machine() -> None:
    small = Machine(memory_mb=4_000, cores=2, gpu=None)
    gpu = Machine(memory_mb=4_000, cores=8, gpu=Gpu("a card", 24_000))
    assert misfit(models.published("small"), small) == ""
    assert "GB of memory" in misfit(models.published("whisper-large-v3"), small)
    assert misfit(models.published("whisper-large-v3"), gpu) == ""
    assert recommended(Settings(), small) == "base"
    assert recommended(Settings(), gpu) == "small"  # the settings do not use it
    assert recommended(Settings(whisper_device="cuda"), gpu) == "large-v3-turbo"
