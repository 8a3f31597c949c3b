"""`python -m tests.chaos.scripted_worker`: ``voxline worker`` over pipelines that do what their text says."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from batch.attempt import Craft
from engines.fleet import Fleet
from server import workshop
from server.logs import configure_logs
from server.settings import load_settings
from server.worker import work
from server.workshop import Workshop
from tests.batch.half import scripted


def main(data: Annotated[Path, typer.Option()], concurrency: Annotated[int, typer.Option()] = 2) -> None:
    """Work until a signal; says when it is ready."""
    workshop.CRAFTS = {"speak": Craft("tts", scripted)}

    async def started(_shop: Workshop, _fleet: Fleet) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    settings = load_settings(data=data)
    configure_logs(settings.log_level, "json")
    asyncio.run(work(settings, jobs=concurrency, started=started, specs=[]))


if __name__ == "__main__":
    typer.run(main)
