"""Models come here whole or not at all, over a real HTTP connection to a hub on this machine."""

import errno
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from engines import hub as hubs
from engines import models, pulling
from engines.hub import Hub
from engines.models import MANIFEST, Format, installed, verify
from protocol.errors import Code, VoiceError
from tests.batch.disks import small_disk
from tests.engines.hub_server import FILES, LARGE, REVISION, StandIn, hub_server

WANTED = {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody goes further than 127.0.0.1, by no proxy either."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] in ("127.0.0.1", "::1"), f"somebody wants to go to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with hub_server() as running:
        yield running


@pytest.fixture
def hub(stand_in: StandIn) -> Iterator[Hub]:
    with closing(Hub(stand_in.address, pause_s=0.0)) as client:
        yield client


def failure(root: Path, hub: Hub, name: str = "tiny") -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        pulling.pull(root, name, hub)
    return caught.value


def test_a_pull_is_whole_and_says_how_far_it_is(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    seen: list[tuple[str, int, int]] = []
    model = pulling.pull(tmp_path, "tiny", hub, lambda *report: seen.append(report))
    assert {path.name for path in model.directory.iterdir()} == {*WANTED, MANIFEST}
    assert all((model.directory / name).read_bytes() == FILES[name] for name in WANTED)
    total = sum(len(FILES[name]) for name in WANTED)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1:] == (total, total)
    manifest = json.loads((model.directory / MANIFEST).read_text())
    assert manifest["repository"] == "Systran/faster-whisper-tiny" and manifest["revision"] == REVISION
    assert manifest["files"].keys() == WANTED
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert verify(model.directory) == []
    assert stand_in.asked.count(LARGE) == 1


def test_verify_finds_one_flipped_bit(tmp_path: Path, hub: Hub) -> None:
    directory = pulling.pull(tmp_path, "tiny", hub).directory
    content = bytearray((directory / LARGE).read_bytes())
    content[123_456] ^= 1
    (directory / LARGE).write_bytes(content)
    assert verify(directory) == ["model.bin is not what was pulled"]
    (directory / "vocabulary.txt").unlink()
    (directory / "vocabulary.json").write_text("[]")
    assert "vocabulary.txt is gone" in verify(directory)
    (directory / MANIFEST).write_text("[")
    assert verify(directory) == ["manifest.json cannot be read"]
    assert pulling.pull(tmp_path, "tiny", hub).directory == directory
    assert verify(directory) == []


def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    stand_in.breaks = [300_000, 0, 200_000]
    model = pulling.pull(tmp_path, "tiny", hub)
    assert (model.directory / LARGE).read_bytes() == FILES[LARGE]
    asked = [name for name in stand_in.asked if name.startswith(LARGE)]
    assert asked == [LARGE, f"{LARGE} 300000-", f"{LARGE} 300000-", f"{LARGE} 500000-"]


def test_a_pull_that_was_given_up_is_resumed_by_the_next(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    stand_in.breaks = [400_000, *[0] * 20]
    error = failure(tmp_path, hub)
    assert error.code is Code.ENGINE_FAILED and "--from" in str(error.facts["install"])
    assert installed(tmp_path) == []
    stand_in.breaks.clear()
    stand_in.asked.clear()
    pulling.pull(tmp_path, "tiny", hub)
    assert f"{LARGE} 400000-" in stand_in.asked and LARGE not in stand_in.asked


def test_what_was_begun_of_another_revision_is_not_gone_on_with(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    stand_in.breaks = [400_000, *[0] * 20]
    failure(tmp_path, hub)
    stand_in.breaks.clear()
    stand_in.files[LARGE] = bytes(reversed(FILES[LARGE]))
    model = pulling.pull(tmp_path, "tiny", hub)
    assert (model.directory / LARGE).read_bytes() == stand_in.files[LARGE]
    assert {path.name for path in model.directory.iterdir()} == {*WANTED, MANIFEST}


def test_a_hub_without_ranges_is_asked_for_all_of_it_again(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    stand_in.ranges, stand_in.breaks = False, [300_000]
    model = pulling.pull(tmp_path, "tiny", hub)
    assert (model.directory / LARGE).read_bytes() == FILES[LARGE]


@pytest.mark.parametrize("name", [LARGE, "config.json"])
def test_a_wrong_checksum_is_refused_and_thrown_away(tmp_path: Path, hub: Hub, stand_in: StandIn, name: str) -> None:
    stand_in.wrong = {name}
    error = failure(tmp_path, hub)
    assert error.code is Code.ENGINE_FAILED and name in error.message and "checksum" in error.message
    assert installed(tmp_path) == []
    assert not [path for path in tmp_path.rglob("*") if name in path.name]
    stand_in.wrong = set()
    assert verify(pulling.pull(tmp_path, "tiny", hub).directory) == []


def test_what_is_installed_stays_until_the_new_one_is_whole(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    directory = pulling.pull(tmp_path, "tiny", hub).directory
    del stand_in.files["tokenizer.json"]
    assert "tokenizer.json missing" in failure(tmp_path, hub).message
    assert verify(directory) == []
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_hub_that_refuses_is_one_plain_line(tmp_path: Path, hub: Hub, stand_in: StandIn, status: int) -> None:
    stand_in.status = status
    error = failure(tmp_path, hub)
    assert error.code is Code.ENGINE_FAILED and stand_in.address in error.message and "\n" not in error.message


def test_a_hub_out_of_reach_is_one_plain_line(tmp_path: Path) -> None:
    with closing(Hub("http://127.0.0.1:9", pause_s=0.0)) as nobody:
        error = failure(tmp_path, nobody)
        assert error.code is Code.ENGINE_FAILED and "\n" not in error.message
        assert not nobody.reachable(1.0)


def test_the_hub_is_found_when_it_answers(hub: Hub) -> None:
    assert hub.reachable(5.0)


def test_a_hub_whose_name_takes_long_to_look_up_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    over = Event()

    def slow(*_: object, **__: object) -> None:
        over.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with closing(Hub("http://hub.example")) as hub:
        assert not hub.reachable(0.1)
    over.set()


def test_a_disk_without_room_is_seen_before_the_download(
    tmp_path: Path, hub: Hub, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})())
    error = failure(tmp_path, hub)
    assert error.code is Code.STORAGE_FULL and "MB" in error.message
    assert stand_in.asked == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = Hub._go_on

    def full(self: Hub, url: str, file: hubs.RemoteFile, *rest: Any) -> None:
        if file.name == LARGE:
            raise OSError(errno.ENOSPC, "No space left on device")
        go_on(self, url, file, *rest)

    monkeypatch.setattr(Hub, "_go_on", full)
    error = failure(tmp_path, hub)
    assert error.code is Code.STORAGE_FULL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["hub", "directory"])
def test_a_real_disk_that_fills_up_is_left_as_it_was_and_takes_the_model_when_there_is_room(
    tmp_path: Path, hub: Hub, way: str
) -> None:
    """R6: somebody else takes the last of the room in the middle of it."""
    if way == "directory":
        source(tmp_path / "from")
    with small_disk(tmp_path / "disk", 3_000) as disk:
        ballast = disk / "ballast"

        def fill(*_: object) -> None:
            with suppress(OSError), ballast.open("ab", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

        def bring(progress: pulling.Progress | None = None) -> models.Installed:
            if way == "hub":
                return pulling.pull(disk / "models", "tiny", hub, progress)
            return pulling.adopt(disk / "models", "tiny", tmp_path / "from", progress)

        with pytest.raises(VoiceError) as caught:
            bring(fill)
        assert caught.value.code is Code.STORAGE_FULL and str(disk) in caught.value.message
        assert list((disk / "models").iterdir()) == []
        with pytest.raises(VoiceError) as caught:  # and now it is known beforehand
            bring()
        assert caught.value.code is Code.STORAGE_FULL and "MB" in caught.value.message
        ballast.unlink()
        assert verify(bring().directory) == []


def test_two_pulls_of_one_model_do_not_meet(tmp_path: Path, hub: Hub) -> None:
    def again(*_: object) -> None:
        assert failure(tmp_path, hub).code is Code.CONFLICT

    assert pulling.pull(tmp_path, "tiny", hub, again).bytes > 0


def test_only_names_of_the_table_are_pulled(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    for name in ("../x", "Systran/faster-whisper-tiny", ""):
        assert failure(tmp_path, hub, name).code is Code.NOT_FOUND
    assert stand_in.asked == [] and list(tmp_path.iterdir()) == []


def test_a_model_may_have_a_folder(tmp_path: Path, hub: Hub, stand_in: StandIn) -> None:
    parts = {"config.json": b'{"model_type": "omnivoice"}', "model.safetensors": b"w" * 5000, "tokenizer.json": b"{}"}
    folder = {f"audio_tokenizer/{name}": content for name, content in parts.items()}
    stand_in.files = {**parts, **folder, "audio_tokenizer/run.py": b"never", "other/config.json": b"{}"}
    model = pulling.pull(tmp_path, "omnivoice", hub)
    files = {path.relative_to(model.directory).as_posix() for path in model.directory.rglob("*") if path.is_file()}
    assert files == {*parts, *folder, MANIFEST} and model.format is Format.OMNIVOICE
    copy = pulling.adopt(tmp_path, "voices", model.directory)
    assert verify(copy.directory) == []
    (copy.directory / "audio_tokenizer" / "model.safetensors").write_bytes(b"v" * 5000)
    assert verify(copy.directory) == ["audio_tokenizer/model.safetensors is not what was pulled"]


# -- from a directory ----------------------------------------------------------------------------------


def source(directory: Path) -> Path:
    directory.mkdir()
    for name in WANTED:
        (directory / name).write_bytes(FILES[name])
    (directory / "notes.txt").write_text("not copied")
    return directory


def test_a_model_is_copied_from_a_directory(tmp_path: Path) -> None:
    seen: list[int] = []
    root = tmp_path / "models"
    model = pulling.adopt(root, "mine", source(tmp_path / "from"), lambda _name, done, total: seen.append(done))
    assert {path.name for path in model.directory.iterdir()} == {*WANTED, MANIFEST}
    assert models.find(root, "mine").format is Format.CTRANSLATE2
    assert seen[-1] == sum(len(FILES[name]) for name in WANTED)
    assert verify(model.directory) == []
    (model.directory / LARGE).write_bytes(b"rotten")
    with pytest.raises(VoiceError, match="damaged"):  # a copy of a damaged copy
        pulling.adopt(root, "other", model.directory)
    assert [path.name for path in root.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "a/b", ".hidden", "x" * 65])
def test_a_name_that_cannot_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(VoiceError) as caught:
        pulling.adopt(tmp_path / "models", name, source(tmp_path / "from"))
    assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, "name")


def test_a_directory_without_a_model_and_a_name_for_another_kind(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match=r"model\.bin") as caught:
        pulling.adopt(tmp_path / "models", "mine", tmp_path)
    assert caught.value.facts["field"] == "from"
    with pytest.raises(VoiceError, match="for transformers") as caught:
        pulling.adopt(tmp_path / "models", "whisper-small", source(tmp_path / "from"))
    assert caught.value.facts["field"] == "name"
    assert not (tmp_path / "models").exists()
