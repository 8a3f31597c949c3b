"""What a confined process can still do, tried with code of an attacker's own."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A port that must never be connected to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


async def ran(repository: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", script, *arguments]
    return await asyncio.to_thread(subprocess.run, command, cwd=repository, capture_output=True, text=True, check=False)


SHUT_IN = """
import os, socket, sys
from engines.media.confine import shut_in
before = os.open(sys.argv[1], os.O_RDONLY)
shut_in()
def tried(act):
    try:
        act()
    except OSError:
        return "no"
    return "yes"
files = [lambda: os.open(sys.argv[1], os.O_RDONLY), lambda: os.unlink(sys.argv[1]), lambda: os.mkdir(sys.argv[1] + "x")]
files.append(lambda: os.open(sys.argv[1] + "y", os.O_CREAT | os.O_WRONLY))
port = ("127.0.0.1", int(sys.argv[2]))
network = [lambda: socket.create_connection(port, 2), lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", port)]
sys.stdout.write(os.read(before, 6).decode() + " " + " ".join(map(tried, files)) + ";" + " ".join(map(tried, network)))
"""


async def test_a_process_that_is_shut_in_keeps_what_it_holds_and_reaches_nothing_else(
    tmp_path: Path, canary: socket.socket, repository: Path
) -> None:
    """Where the kernel has Landlock and allows namespaces; elsewhere the list of formats is what is left."""
    (tmp_path / "secret").write_text("secret")
    said = await ran(repository, SHUT_IN, str(tmp_path / "secret"), str(canary.getsockname()[1]))
    files, network = said.stdout.split(";")
    if network != "no no":
        pytest.skip("this system allows no network namespace")
    with pytest.raises(BlockingIOError):
        canary.accept()
    if "yes" in files:
        pytest.skip("this kernel has no Landlock")
    assert files == "secret no no no no"


BOUND = "import os, sys\nfrom engines.media.confine import Bounds, bind\n"


async def test_memory_is_bounded(repository: Path) -> None:
    """F6: whatever a decoder wants, it gets a gibibyte of address space."""
    script = BOUND + "bind(Bounds())\ntry:\n    bytearray(1 << 30)\nexcept MemoryError:\n    sys.exit(7)\n"
    assert (await ran(repository, script)).returncode == 7


async def test_time_is_bounded(repository: Path) -> None:
    done = await ran(repository, BOUND + "bind(Bounds(cpu_s=1))\nwhile True:\n    pass\n")
    assert done.returncode == -signal.SIGXCPU


async def test_files_and_descriptors_are_bounded(repository: Path, tmp_path: Path) -> None:
    script = (
        BOUND + "file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\nbind(Bounds(file=1000))\n"
        "assert os.write(file, bytes(2000)) == 1000\n"
        "try:\n    os.write(file, b'x')\nexcept OSError as error:\n    assert error.errno == 27, error\n"
        "try:\n    while True:\n        os.dup(file)\nexcept OSError as error:\n    assert error.errno == 24, error\n"
    )
    done = await ran(repository, script, str(tmp_path / "file"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "file").stat().st_size == 1000
