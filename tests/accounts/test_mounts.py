"""Network file systems are told from local ones by the table of mounts."""

from pathlib import Path

import pytest

from accounts.mounts import network_file_system

_TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /srv/share rw - nfs4 server:/share rw
41 40 8:2 / /srv/share/local rw - xfs /dev/sdb1 rw
42 22 0:36 / /mnt/my\\040files rw - cifs //server/files rw
43 22 0:37 / /srv/sharespace rw master:3 - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("place", "system"),
    [
        ("/", None),
        ("/srv/share", "nfs4"),
        ("/srv/share/deep/down", "nfs4"),
        ("/srv/share/local/db", None),
        ("/srv/sharespace/db", None),
        ("/mnt/my files/db", "cifs"),
        ("/home", None),
    ],
)
def test_the_nearest_mount_counts(tmp_path: Path, place: str, system: str | None) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(_TABLE)
    assert network_file_system(Path(place), table) == system


def test_where_nobody_can_tell_it_is_taken_for_local(tmp_path: Path) -> None:
    assert network_file_system(Path("/"), tmp_path / "no such file") is None
    assert network_file_system(tmp_path) is None
