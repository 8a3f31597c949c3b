"""One server for all tests of a worker that leave it standing, warmed up, and counted before each of them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.chaos.clients import spoken, transcript
from tests.chaos.world import QUICK, Census, World, check_world, settled, world


@dataclass(frozen=True, slots=True)
class Subject:
    """A server, what it held before the test, and the errors it had logged."""

    world: World
    before: Census
    errors: int


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server."""
    with world(tmp_path_factory.mktemp("chaos"), QUICK) as running:
        yield running


async def warmed(running: World) -> Subject:
    """A server that has done everything once, at rest."""
    for _ in range(3):
        await transcript(running.hears)
        await spoken(running.speaks, "Good morning.")
    last = Census(0, 0, 0, 0, 0)
    while last != (last := await settled(running, lambda census: census.sessions == 0, 10.0)):
        pass
    return Subject(running, last, len(running.errors()))


@pytest_asyncio.fixture
async def subject(standing: World) -> AsyncIterator[Subject]:
    """The server at rest; after the test it must be again what it was."""
    subject = await warmed(standing)
    yield subject
    await check_world(subject.world, subject.before, errors=subject.errors)
