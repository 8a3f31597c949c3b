"""Servers as the load test starts them, all callers welcome, with the demonstration recogniser."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.recordings import CHECKPOINT
from loadtest.subject import Process, Subject, running
from tests.forked import launch


@contextmanager
def serving(**settings: str) -> Iterator[Subject]:
    """A server with these settings, ready; stopped at the end."""
    with ExitStack() as afterwards:

        def start(command: Sequence[str], environment: dict[str, str], log: Path) -> Process:
            process = launch(*command, environment=environment, log=log)
            assert process.stdout is not None
            afterwards.enter_context(process.stdout)  # the banner, which nobody reads
            return process

        settings = {"whisper_model": str(CHECKPOINT), **settings}
        environment = {f"VOXLINE_{name.upper()}": value for name, value in settings.items()}
        yield afterwards.enter_context(running(environment=environment, start=start))
