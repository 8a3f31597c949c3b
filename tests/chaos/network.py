"""Bad lines: a TCP shim with the usual toxics, and a network cable that can be pulled where this machine lets us."""

import asyncio
import os
import random
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Line:
    """What a line does to what it carries, in each direction; the defaults are those of a clean one."""

    latency_s: float = 0.0
    jitter_s: float = 0.0  # more or less than the latency, as chance has it
    bytes_per_s: float = float("inf")
    slices: tuple[int, int] = (CHUNK, CHUNK)  # least and most bytes of a packet
    reset_after: int | None = None  # bytes from the client until both ends get an RST
    silent_after: int | None = None  # bytes from the client until nothing is carried any more


@dataclass(slots=True)
class Shim:
    """A listening port that leads to a server over a bad line."""

    port: int = 0
    silent: bool = False  # for all lines at once: the cable is cut
    carried: int = 0  # bytes from clients
    _wires: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def shim(host: str, port: int, line: Line, *, seed: int) -> AsyncIterator[Shim]:
    """The way to ``host:port`` over ``line``."""
    state = Shim()
    numbers = iter(range(1 << 20))

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chance = random.Random(seed + next(numbers))
        task = asyncio.current_task()
        assert task is not None
        state._wires.add(task)
        onward_reader, onward_writer = await asyncio.open_connection(host, port, limit=CHUNK)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(state, line, chance, reader, onward_writer, writer, upward=True))
                group.create_task(_carry(state, line, chance, onward_reader, writer, onward_writer, upward=False))
        finally:
            for end in (writer, onward_writer):
                end.transport.abort()
            state._wires.discard(task)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, limit=CHUNK)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(state._wires):
            task.cancel()
        await asyncio.gather(*state._wires, return_exceptions=True)


async def _carry(
    state: Shim,
    line: Line,
    chance: random.Random,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    back: asyncio.StreamWriter,
    *,
    upward: bool,
) -> None:
    """One direction: a queue of packets with the time each is due."""
    loop = asyncio.get_running_loop()
    packets: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=16_384)
    total = 0

    async def deliver() -> None:
        while True:
            due, packet = await packets.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not packet:
                break
            if not state.silent:
                writer.write(packet)
                with suppress(ConnectionError):
                    await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()

    async with asyncio.TaskGroup() as group:
        group.create_task(deliver())
        due = 0.0
        data = b"."
        while data:
            data = await _read(reader)
            if upward:
                total += len(data)
                state.carried += len(data)
                if line.reset_after is not None and total >= line.reset_after:
                    _reset(writer)
                    _reset(back)
                    raise asyncio.CancelledError
                if line.silent_after is not None and total >= line.silent_after:
                    state.silent = True
            for packet in _cut(data, line.slices, chance):
                wait = line.latency_s + chance.uniform(-line.jitter_s, line.jitter_s)
                due = max(due + len(packet) / line.bytes_per_s, loop.time() + max(0.0, wait))
                await packets.put((due, packet))


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except ConnectionError:
        return b""


def _cut(data: bytes, slices: tuple[int, int], chance: random.Random) -> Iterator[bytes]:
    if not data:
        yield b""  # the end
    at = 0
    while at < len(data):
        size = chance.randint(*slices)
        yield data[at : at + size]
        at += size


def _reset(writer: asyncio.StreamWriter) -> None:
    own = writer.get_extra_info("socket")
    with suppress(OSError):
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# -- a cable -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cable:
    """A network namespace at the other end of a virtual cable."""

    name: str
    near: str  # our address

    @property
    def inside(self) -> list[str]:
        """What to put before a command to run it at the far end."""
        return ["ip", "netns", "exec", self.name]

    def pull(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        _ip("netns", "exec", self.name, "ip", "link", "set", f"{self.name}b", "down")


@contextmanager
def cable() -> Iterator[Cable | None]:
    """A cable; None where only root or another kernel could have one."""
    made = Cable(f"vx{os.getpid() % 100_000}", f"198.18.{os.getpid() % 250}.1")
    far = made.near.removesuffix(".1") + ".2"
    ours, theirs = f"{made.name}a", f"{made.name}b"
    try:
        _ip("netns", "add", made.name)
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
        _ip("link", "set", theirs, "netns", made.name)
        _ip("addr", "add", f"{made.near}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        within = partial(_ip, "-n", made.name)
        within("addr", "add", f"{far}/30", "dev", theirs)
        within("link", "set", theirs, "up")
    except (OSError, subprocess.CalledProcessError):
        _remove(made, ours)
        yield None
        return
    try:
        yield made
    finally:
        _remove(made, ours)


def _remove(made: Cable, ours: str) -> None:
    for command in (("link", "del", ours), ("netns", "del", made.name)):
        with suppress(OSError, subprocess.CalledProcessError):
            _ip(*command)


def _ip(*arguments: str) -> None:
    program = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    if program is None:
        raise OSError("there is no ip command")
    subprocess.run([program, *arguments], check=True, capture_output=True)
