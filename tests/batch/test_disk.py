"""Room on the disk, and files that are there or not, never half."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from batch.disk import Watermark, commit_file, older_than, room_needed
from protocol.errors import Code, VoiceError

GIB = 1 << 30


def usage(monkeypatch: pytest.MonkeyPatch, total: int, free: int) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _directory: shutil._ntuple_diskusage(total, total - free, free))


@pytest.mark.parametrize(
    ("total", "kept"), [(10 * GIB, 2 * GIB), (100 * GIB, 5 * GIB), (1000 * GIB, 10 * GIB), (GIB, 2 * GIB)]
)
def test_what_is_kept_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, kept: int) -> None:
    """RELIABILITY section 4: 5 %, at least 2 GiB; of a large disk 10 GiB are enough."""
    usage(monkeypatch, total, kept + 1000)
    assert Watermark().spare(tmp_path) == 1000
    Watermark().check(tmp_path, 1000)
    with pytest.raises(VoiceError) as caught:
        Watermark().check(tmp_path, 1001)
    assert (caught.value.code, caught.value.facts) == (Code.STORAGE_FULL, {"retry_after": 60})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_error_whatever_it_is_called(number: int) -> None:
    with pytest.raises(VoiceError) as caught, room_needed():
        raise OSError(number, os.strerror(number))
    assert caught.value.code is Code.STORAGE_FULL


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(FileNotFoundError), room_needed():
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_a_file_is_moved_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "made").mkdir()
    commit_file(tmp_path / "a", tmp_path / "made" / "b")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]


def test_what_is_old(tmp_path: Path) -> None:
    for name, at in (("old", 50), ("new", 150), ("link", 50)):
        path = tmp_path / name
        if name == "link":
            path.symlink_to(tmp_path / "nothing")
            os.utime(path, times=(at, at), follow_symlinks=False)
        else:
            path.write_bytes(b"")
            os.utime(path, times=(at, at))
    assert sorted(path.name for path in older_than(tmp_path, 100)) == ["link", "old"]
