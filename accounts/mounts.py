"""What kind of file system a path is on: SQLite's locks do not hold over a network, and a database there breaks."""

from pathlib import Path

_NETWORK = {
    "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
}  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The name of the network file system that ``path`` is on; None when it is local, or nobody can tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = path.resolve()
    found: tuple[int, str] = (0, "")
    for line in lines:  # proc(5): id parent device root POINT options ... - TYPE source options
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].encode().decode("unicode_escape"))  # a space is \040
        if place == point or point in place.parents:
            found = max(found, (len(point.parts), after.split(" ")[0]), key=lambda mount: mount[0])
    return found[1] if found[1] in _NETWORK else None
