"""``voxline worker``: do jobs without a web server, on this machine or another over the same store and files."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from batch.worker import Doing
from engines.fleet import Fleet
from server.commands.serve import describe_engines
from server.commands.terminal import CommandError, err, out, progress, run
from server.logs import configure_logs
from server.settings import Settings, load_settings
from server.worker import work
from server.workshop import Workshop

EXAMPLES = """
Examples:

- `voxline worker` does the jobs of the server whose state is under var/ (run that with `VOXLINE_WORKERS=0`)

- `voxline worker --concurrency 4` does four at once

- `VOXLINE_DATABASE=postgresql+asyncpg://... VOXLINE_REDIS_URL=redis://... voxline worker --data /shared/voxline`
  is for another machine
"""

_REFRESH_S = 0.5
_DEFAULT_JOBS = 2
_SHOWN = 8  # characters of a job's id


def worker(
    data: Annotated[Path | None, typer.Option(help="Directory of the database, the files and the models.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Jobs at once; the setting `workers` where not given.", min=1, max=64)
    ] = None,
) -> None:
    """Do the jobs of a server, without being one. All other settings come from VOXLINE_* or voxline.toml."""
    settings = load_settings(data=data)
    if not settings.store_exists:
        raise CommandError(f"there is no server's state in {settings.data}", "name its directory with --data")
    configure_logs(settings.log_level, settings.log_format)
    jobs = concurrency or settings.workers or _DEFAULT_JOBS
    waiting = err().status("starting the engines ...")

    async def started(shop: Workshop, fleet: Fleet) -> None:
        waiting.stop()
        _announce(settings, fleet, jobs)
        if shop.worker is not None and err().is_terminal:
            with progress() as bars:
                await _show(bars, shop)

    try:
        waiting.start()
        run(work(settings, jobs=jobs, started=started))
    finally:
        waiting.stop()


def _announce(settings: Settings, fleet: Fleet, jobs: int) -> None:
    console = out()
    console.print(f"Voxline is doing jobs, {jobs} at once")
    for line in describe_engines(fleet.capabilities, settings):
        console.print(f"  {line}")
    console.print(f"  files         {settings.data.resolve()}")
    console.file.flush()


async def _show(bars: Progress, shop: Workshop) -> None:
    """A bar for each job under way."""
    shown: dict[str, TaskID] = {}
    while shop.worker is not None:
        _update(bars, shown, shop.worker.doing)
        await asyncio.sleep(_REFRESH_S)


def _update(bars: Progress, shown: dict[str, TaskID], doing: Sequence[Doing]) -> None:
    for job in doing:
        if job.job_id not in shown:
            shown[job.job_id] = bars.add_task(f"{job.kind} {job.job_id[:_SHOWN]}", total=1.0)
        bars.update(shown[job.job_id], completed=job.share)
    for job_id in set(shown) - {job.job_id for job in doing}:
        bars.remove_task(shown.pop(job_id))
