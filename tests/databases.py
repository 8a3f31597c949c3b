"""Real databases for tests: an SQLite file or a database of a Postgres server, and a Redis server that can be broken.

The servers belong to one test process, start when a test first asks for them, listen on this machine only, and are gone
with that process, however it ends. ``store`` and ``database_url`` run a test on SQLite and on Postgres; ``sqlite_only``
and ``postgres_only`` choose one.
"""

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import pytest

from accounts.schema import metadata
from accounts.store import Store, open_store

T = TypeVar("T")

BACKENDS = ("sqlite", "postgres")
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgres_only = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

_START_S, _STOP_S = 30, 15
_TEMPLATE = "voxline_template"
_OWNER = "voxline"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB",
         "listen_addresses=", "autovacuum=off", "max_wal_size=1GB")  # fmt: skip

# Between two tests that use one database: nobody of the first is connected, and ids begin at 1 again.
_SEND_AWAY = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_COUNT_ANEW = """
    SELECT setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'public'"""
_VERSION = "alembic_version"


class Postgres:
    """A Postgres server on a Unix socket, as a user who may run one (it refuses root)."""

    def __init__(self, *, connections: int = 100) -> None:
        self._directory = _own_directory("postgres")
        self._settings = (*_FAST, f"max_connections={connections}")
        self._user = _unprivileged()
        self._numbers = count(1)
        self._spare: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self._directory, self._user)

    @property
    def directory(self) -> Path:
        """Where its socket is."""
        return self._directory

    def start(self) -> None:
        """Make a cluster, start it, and make the template that every test's database is copied from."""
        programs = _postgres_programs()
        made = subprocess.run(
            [programs / "initdb", "--no-sync", "--auth=trust", f"--username={_OWNER}", "--encoding=UTF8",
             "--locale=C", self._directory / "data"],
            user=self._user, cwd=self._directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        options = [part for setting in self._settings for part in ("-c", setting)]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [programs / "postgres", "-D", self._directory / "data", "-k", self._directory, *options],
                user=self._user, cwd=self._directory, stdout=log, stderr=log, preexec_fn=_die_with_parent,
            )  # fmt: skip
        _wait_until(self._answers, self._process, self._directory / "log")
        in_thread(self._admin(f"CREATE DATABASE {_TEMPLATE}"))
        in_thread(_make_tables(self.url(_TEMPLATE)))

    def stop(self) -> None:
        """End it at once and remove all its files."""
        if self._process is not None:
            _end(self._process, signal.SIGQUIT)
        shutil.rmtree(self._directory)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return f"postgresql+asyncpg://{_OWNER}@/{database}?host={self._directory}"

    def create(self, *, empty: bool = False) -> str:
        """A new database with the tables in it (or without): its name."""
        name = f"test_{next(self._numbers)}"
        in_thread(self._admin(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else _TEMPLATE}"))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected to it."""
        in_thread(self._admin(f"DROP DATABASE {database} WITH (FORCE)"))

    def lend(self) -> str:
        """A database with the tables in it and nothing in them, as new; to be given back."""
        return self._spare.pop() if self._spare else self.create()

    def give_back(self, database: str) -> None:
        """Empty it for the next test, whoever is still connected to it; one with other tables in it is dropped."""
        if in_thread(self._emptied(database)):
            self._spare.append(database)
        else:
            self.drop(database)

    def _answers(self) -> bool:
        try:
            in_thread(self._admin("SELECT 1"))
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async def _admin(self, statement: str) -> None:
        async with self._connected("postgres") as connection:
            await connection.execute(statement)

    async def _emptied(self, database: str) -> bool:
        """Whether it is as new again: some five times quicker than to copy the template once more."""
        async with self._connected(database) as connection:
            await connection.execute(_SEND_AWAY)
            found = {row["tablename"] for row in await connection.fetch(_TABLES)}
            if found != set(metadata.tables) | {_VERSION}:
                return False
            rows = "".join(f'DELETE FROM "{name}";' for name in metadata.tables)
            await connection.execute(f"SET session_replication_role = replica; {rows} {_COUNT_ANEW}")
            return True

    @asynccontextmanager
    async def _connected(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(host=str(self._directory), user=_OWNER, database=database)
        try:
            yield connection
        finally:
            await connection.close()


class Redis:
    """A Redis server on loopback that keeps nothing, and can be stopped, frozen and started again on its port."""

    def __init__(self) -> None:
        self._directory = _own_directory("redis")
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()

    @property
    def url(self) -> str:
        """Where it is (or was, or will be)."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, empty; nothing when it runs. It ends with the thread that starts it."""
        if self._process is not None and self._process.poll() is None:
            return
        program = shutil.which("redis-server")
        assert program, "no redis-server here; Debian's package is called redis-server"
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                cwd=self._directory, stdout=log, stderr=log, preexec_fn=_die_with_parent,
            )  # fmt: skip
        _wait_until(self._answers, self._process, self._directory / "log")

    def stop(self) -> None:
        """Kill it; what it knew is lost."""
        if self._process is not None:
            _end(self._process, signal.SIGKILL)
            self._process = None

    def freeze(self) -> None:
        """Let it answer nobody, its connections open, until ``thaw``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        assert self._ask(b"FLUSHALL\r\n").startswith(b"+OK")

    def remove(self) -> None:
        """Stop it for good and remove its files."""
        self.stop()
        shutil.rmtree(self._directory)

    def _answers(self) -> bool:
        try:
            return self._ask(b"PING\r\n").startswith(b"+PONG")
        except OSError:
            return False

    def _ask(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
            connection.sendall(command)
            return connection.recv(100)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A Postgres server for all tests of this process."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Redis]:
    """A Redis server for all tests of this process; tests ask for ``redis_server``."""
    server = Redis()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis_server(redis_process: Redis) -> Iterator[Redis]:
    """An empty Redis server that runs; the test may stop, start, freeze, thaw and flush it."""
    redis_process.start()
    redis_process.flush()
    yield redis_process
    redis_process.thaw()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the tables in it, to be copied as Postgres copies its template."""
    path = tmp_path_factory.mktemp("sqlite") / "voxline.db"
    in_thread(_make_tables(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store of the test's own: an SQLite file ``voxline.db`` in ``tmp_path``, and a Postgres database."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path)
        yield f"sqlite+aiosqlite:///{tmp_path}/voxline.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.lend()
    yield server.url(name)
    server.give_back(name)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store, on SQLite and on Postgres."""
    store = await open_store(database_url)
    yield store
    await store.aclose()


def in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run it in an event loop of another thread, whatever loop this thread is in."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _make_tables(url: str) -> None:
    await (await open_store(url)).aclose()


def _own_directory(kind: str) -> Path:
    """A directory for a server of this process; those of processes that were killed before they could go."""
    for left in Path(tempfile.gettempdir()).glob(f"voxline-{kind}-*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"voxline-{kind}-{os.getpid()}-"))


def _unprivileged() -> str | None:
    """Who is to run Postgres: this user, or another one where this is root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _postgres_programs() -> Path:
    """The directory of initdb and postgres, which Debian keeps off the PATH; the newest of several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    program = found[-1] if found else shutil.which("initdb")
    assert program, "no Postgres server here; Debian's package is called postgresql"
    return Path(program).resolve().parent


def _die_with_parent() -> None:
    """In a child: end with the test process, even when that is killed (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL if os.geteuid() == 0 else signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not answers():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"it does not answer:\n{log.read_text()}"
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(signal.SIGCONT)
    process.send_signal(number)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
