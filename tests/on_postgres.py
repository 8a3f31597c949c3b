"""The tests again, with every server they start over Postgres and Redis: ``python -m tests.on_postgres [PYTEST ARGS]``.

Without this program the servers of the tests run over SQLite, and only the store's own tests use both.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from tests.databases import Postgres, Redis, in_thread

_HOST, _REDIS = "TEST_POSTGRES_HOST", "TEST_REDIS_URL"


def store_settings(data: Path) -> dict[str, str]:
    """The store of a test's server with that data directory, on the run's Postgres; nothing in an ordinary run."""
    host = os.environ.get(_HOST)
    if not host:
        return {}
    name = "server_" + hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:24]
    in_thread(_create(host, name))
    return {"database": f"postgresql+asyncpg://voxline@/{name}?host={host}", "redis_url": os.environ[_REDIS]}


async def _create(host: str, name: str) -> None:
    connection = await asyncpg.connect(host=host, user="voxline", database="postgres")
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


def main(arguments: list[str]) -> int:
    """Start both servers, run the tests, stop the servers."""
    postgres, redis = Postgres(connections=400), Redis()
    try:
        postgres.start()
        redis.start()
        environment = {**os.environ, _HOST: str(postgres.directory), _REDIS: redis.url}
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment, check=False).returncode
    finally:
        postgres.stop()
        redis.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
