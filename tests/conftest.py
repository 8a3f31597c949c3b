"""What every test shares: the repository root, and a guard against tests that reach the network by a model hub."""

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from loadtest.subject import Subject
from tests.databases import database_url, postgres, redis_process, redis_server, sqlite_template, store
from tests.on_postgres import store_settings
from tests.subjects import serving

__all__ = [
    "database_url", "live", "postgres", "redis_process", "redis_server", "repository", "sqlite_template", "store",
]  # fmt: skip

# Set before any test imports a library that would look a model up: a test that needs a download is a defect.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # where a test imports onnxruntime itself
# No test speaks TLS to strangers, and every client would read all their authorities first: it is told of none.
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)
os.environ.pop("SSL_CERT_FILE", None)  # it would go before
# More processes than cores: threads that wait by spinning would take their time from each other.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


# A commit is judged by the same examples each time; chance looks for new ones at night.
settings.register_profile("commit", derandomize=True)
settings.register_profile("nightly", print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    """Before the first test is imported, and takes its settings from the profile."""
    settings.load_profile("nightly" if config.option.markexpr == "nightly" else "commit")


def pytest_collection() -> None:
    """Modules leave much behind and no garbage: looking for it while they are imported takes a tenth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was imported lives as long as the tests: no collection need look at it."""
    gc.freeze()
    gc.enable()


# What imports torch and transformers comes first and together: one worker takes it, and no other spends seconds on
# them. Then directories of tests that wait and of tests that compute in turns; the last are small and divide well.
ORDER = (
    "checkpoints", "engines/text", "engines/separation", "engines/stt/test_transformers_whisper.py",
    "engines/tts/test_vits.py", "engines/tts/test_hearing.py", "engines/diarization", "diarization",
    "engines/sound_tools", "engines/media", "chaos", "engines", "acceptance", "api", "batch", "server", ".", "accounts",
    "protocol",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests so that no worker is left with the slow ones at the end."""
    tests = Path(__file__).parent

    @cache
    def place(path: Path) -> int:
        names = (path, *path.parents)  # the narrowest that is listed
        return next(ORDER.index(name.as_posix()) for name in names if name.as_posix() in ORDER)

    items.sort(key=lambda item: place(item.path.relative_to(tests)))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout the tests run in."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A real server process with the demonstration recogniser, for all tests of this worker that only talk to it."""
    with serving(anonymous_per_day="0", **store_settings(tmp_path_factory.mktemp("live"))) as server:
        yield server
