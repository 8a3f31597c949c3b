"""A process that does jobs and nothing else, beside a web process or on another machine: the store and files shared."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace

from engines.batch_lanes import BATCH_NICE
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from engines.registry import EngineSpec
from server.accounts import opened
from server.engines import choose_engines
from server.settings import Settings
from server.workshop import Workshop, open_workshop

log = logging.getLogger("voxline.worker")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def work(
    settings: Settings,
    *,
    jobs: int,
    started: Callable[[Workshop, Fleet], Coroutine[object, object, None]],
    specs: Sequence[EngineSpec] | None = None,
) -> None:
    """Do up to ``jobs`` jobs at once until a signal. ``started`` runs beside, from when the engines are warm.

    The first SIGTERM or SIGINT: no new jobs, those under way get ``drain_timeout`` seconds, the rest are given back.
    The second gives them back at once. Raises VoiceError when an engine cannot be started, StoreError.
    """
    ending = asyncio.Event()
    hurry = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, lambda: (hurry if ending.is_set() else ending).set())
    chosen = choose_engines(settings) if specs is None else specs
    fleet = Fleet([replace(spec, nice=max(spec.nice, BATCH_NICE)) for spec in chosen], now=time.monotonic)
    try:
        await fleet.start()
        async with (
            opened(settings.database_url) as accounts,
            open_workshop(settings, accounts, fleet, Catalogue.load(), jobs=jobs) as shop,
            asyncio.TaskGroup() as tasks,
        ):
            beside = tasks.create_task(started(shop, fleet))
            await ending.wait()
            log.info("draining", extra={"timeout": settings.drain_timeout})
            draining = tasks.create_task(shop.drain(settings.drain_timeout))
            hurrying = tasks.create_task(hurry.wait())
            await asyncio.wait((draining, hurrying), return_when=asyncio.FIRST_COMPLETED)
            for task in (beside, draining, hurrying):
                task.cancel()
    finally:
        await fleet.aclose()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
