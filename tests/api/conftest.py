"""One server for all tests of the APIs in a test process, two people, and files to send."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.accounts import Accounts
from tests.api import serving
from tests.api.files import make_files
from tests.api.serving import Api, Person


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running server, with ann's voices 1 and 2, as the documents' examples number them; any number of jobs."""
    with serving.serve(tmp_path_factory.mktemp("api")) as running:

        async def lift(accounts: Accounts) -> None:
            await accounts.policies.change({"server_jobs": 0})

        running.within(lift)
        running.people.append(running.person())
        yield running


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server that does no jobs, recognises US English only, takes small files, and has a host name for each API."""
    data, hosts = tmp_path_factory.mktemp("idle"), ",".join(f"{name}.test={name}" for name in "abcde")
    with serving.serve(data, workers="0", whisper_model="", hosts=hosts) as running:

        async def shrink(accounts: Accounts) -> None:
            small = {"audio_mb": 1, "audio_s": 2, "srt_cues": 1}
            await accounts.policies.change({"server_jobs": 0, "upload": small})

        running.within(shrink)
        running.people.append(running.person())
        yield running


@pytest.fixture(scope="session")
def ann(api: Api) -> Person:
    """Somebody."""
    return api.people[0]


@pytest.fixture(scope="session")
def bob(api: Api) -> Person:
    """Somebody else."""
    return api.person()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the documents' examples name."""
    return make_files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def desk(tmp_path: Path, files: Path) -> Path:
    """A directory to work in, with copies of those files: a program of the document writes over one of them."""
    return Path(shutil.copytree(files, tmp_path, dirs_exist_ok=True))
