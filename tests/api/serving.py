"""A server process with the documented APIs, and people who may use them."""

import asyncio
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy import select

from accounts.schema import job
from loadtest.recordings import CHECKPOINT
from protocol.work import VoiceDesign
from server.accounts import Accounts, opened
from tests.server.conftest import started

T = TypeVar("T")

EXAMPLES = Path(__file__).parent / "examples"
PATIENCE_S = 240  # the engines of batch work give way to all that the tests do beside them
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, a key, and two saved voices."""

    user_id: int
    key: str
    voices: tuple[int, ...]

    @property
    def bearer(self) -> dict[str, str]:
        """The header."""
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(slots=True)
class Api:
    """A running server."""

    base: str
    database_url: str
    people: list[Person] = field(default_factory=list)

    def within(self, work: Callable[[Accounts], Awaitable[T]]) -> T:
        """Do something to the server's accounts, beside it."""

        async def inside() -> T:
            async with opened(self.database_url) as accounts:
                return await work(accounts)

        return asyncio.run(inside())

    def person(self, plan: str = "enterprise", *, credits: int | None = None) -> Person:
        """A new account. Rich, unless ``credits`` says what it has."""

        async def make(accounts: Accounts) -> Person:
            user = await accounts.users.register(f"p{next(_numbers)}-{id(self)}@example.com", "correct horse battery")
            await accounts.users.set_plan(user.id, plan)
            async with accounts.store.write() as connection:
                if credits is None:
                    await accounts.ledger.grant(connection, user.id, 10**9 * 10_000, "test")
                else:
                    await accounts.ledger.expire(connection, user.id, 10**15, "test")
                    await accounts.ledger.grant(connection, user.id, credits * 10_000, "test")
            voices = [
                await accounts.voices.save_design(user.id, name, VoiceDesign(instruct=words))
                for name, words in (("MC", "a young man"), ("Guest", "a woman"))
            ]
            secret, _ = await accounts.keys.create("test", user_id=user.id)
            return Person(user.id, secret, tuple(voice.id for voice in voices))

        return self.within(make)

    def left(self, path: str, *, person: Person | None = None, address: str = "127.0.0.1", **request: Any) -> str:
        """Ask for something and go before the answer, as soon as there is a job of it; its number."""

        async def inside(accounts: Accounts) -> str:
            async def jobs() -> set[str]:
                async with accounts.store.read() as connection:
                    return set((await connection.execute(select(job.c.id))).scalars())

            before = await jobs()
            transport = httpx.AsyncHTTPTransport(local_address=address)
            headers = person.bearer if person else {}
            async with (
                asyncio.timeout(PATIENCE_S),
                httpx.AsyncClient(base_url=self.base, headers=headers, timeout=None, transport=transport) as client,
            ):
                asking = asyncio.create_task(client.post(path, **request))
                while not (made := await jobs() - before):
                    assert not asking.done(), f"answered without a job: {asking.result().text}"
                    await asyncio.sleep(0.01)  # nothing announces it to somebody outside
                assert asking.cancel(), "it was answered before anybody could leave"
                await asyncio.wait([asking])
            (number,) = made
            return number

        return self.within(inside)

    def client(self, person: Person | None = None, *, address: str = "127.0.0.1", **options: Any) -> httpx.Client:
        """An HTTP client of somebody's, from an address of this machine's."""
        transport = httpx.HTTPTransport(local_address=address)
        headers = person.bearer if person else {}
        return httpx.Client(base_url=self.base, headers=headers, timeout=PATIENCE_S, transport=transport, **options)


@contextmanager
def serve(data: Path, **settings: str) -> Iterator[Api]:
    """A server with the demonstration recogniser and room for what tests send."""
    chosen = {"whisper_model": str(CHECKPOINT), "webhook_allow_private": "true", "connections_per_address": "0"}
    with started(data, **{**chosen, **settings}) as running:
        yield Api(running.base, running.database_url)


def settled(client: httpx.Client, path: str, *, patience_s: int = PATIENCE_S) -> dict[str, Any]:
    """What there is to say of a job or request at the end, asked until it is over."""
    for _ in range(patience_s * 20):
        reply = client.get(path)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        status = body.get("result", body)["status"]
        if status in ("completed", "success", "failed", "cancelled", "SUCCESS", "FAILURE"):
            return body
        time.sleep(0.05)  # a client has nothing but to ask again
    raise AssertionError(f"{path} did not end: {body}")


def examples(name: str) -> dict[str, str]:
    """The commands of a document, by the names we gave them."""
    parts = re.split(r"^=== (\S+)\n", (EXAMPLES / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def shell(command: str, directory: Path) -> str:
    """What a command line of the documents prints."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=directory, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
