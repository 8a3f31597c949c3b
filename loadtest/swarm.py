"""Many callers over several client processes, since one Python process keeps pace with about fifty streams only."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from loadtest.subject import raise_open_files

Job = TypeVar("Job")
Result = TypeVar("Result")
CALLERS_A_PROCESS = 50


def _run(work: Callable[[Job], Coroutine[None, None, Result]], jobs: Sequence[Job]) -> list[Result]:
    async def together() -> list[Result]:
        return list(await asyncio.gather(*(work(job) for job in jobs)))

    raise_open_files()
    try:
        import uvloop

        return uvloop.run(together())
    except ImportError:
        return asyncio.run(together())


def swarm(
    work: Callable[[Job], Coroutine[None, None, Result]], jobs: Sequence[Job], *, per_process: int = CALLERS_A_PROCESS
) -> list[Result]:
    """Run ``work`` for every job at once, spread over processes of at most ``per_process`` callers each."""
    shares = [jobs[at : at + per_process] for at in range(0, len(jobs), per_process)]
    if len(shares) == 1:
        return _run(work, shares[0])
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
        results = [pool.submit(_run, work, share) for share in shares]
        return [answer for result in results for answer in result.result()]
