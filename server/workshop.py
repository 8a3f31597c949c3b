"""The batch half put together: queue, files, worker and its chores, for the web process and for ``voxline worker``.

Everything that runs here may run in any number of processes over one store and one directory of files: the store
decides who does what.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from accounts.limits import RateLimiter
from batch.artifacts import Artifacts
from batch.attempt import Bench, Craft
from batch.callbacks import Callbacks
from batch.deliveries import Deliveries
from batch.dispatch import LocalDispatch, open_dispatch
from batch.media import MediaReader
from batch.outbox import Outbox
from batch.pipelines import (
    analyze,
    converse,
    convert,
    deecho,
    dub,
    enhance,
    interpret,
    revoice,
    separate,
    speak,
    transcribe,
)
from batch.pipelines.base import Tools
from batch.queue import Queue
from batch.signing import WebhookSecrets
from batch.sweeper import Chore, Sweeper, look_for_lost_workers
from batch.texts import Texts
from batch.uploads import Uploads
from batch.visitors import forget_visitors
from batch.watcher import Watcher
from batch.webhooks import Sender
from batch.worker import POLL_S, Worker
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from engines.media.readers import Readers
from server.accounts import Accounts
from server.dialects import callback_bodies
from server.engines import tune_batch_models
from server.settings import Settings
from server.texts import texts_of

_LOOKS_A_LEASE = 5
_SWEEP_S = 300.0
_TUNE_S = 5.0
_ENDING_S = 3.0

# How each kind of work is done, and how the names of its files begin (A26).
CRAFTS: Mapping[str, Craft] = {
    "speak": Craft("tts", speak.run),
    "dub": Craft("srt2voice", dub.run),
    "transcribe": Craft("stt", transcribe.run),
    "separate": Craft("sep", separate.run),
    "enhance": Craft("enhanced", enhance.run),
    "deecho": Craft("deecho", deecho.run),
    "convert": Craft("converted", convert.run),
    "analyze": Craft("music", analyze.run),
    "revoice": Craft("revoiced", revoice.run),
    "interpret": Craft("translate", interpret.run),
    "converse": Craft("resp", converse.run),
}


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts, running; ``worker`` is None in a process that does no jobs itself."""

    queue: Queue
    uploads: Uploads
    artifacts: Artifacts
    media: MediaReader
    dispatch: LocalDispatch
    rates: RateLimiter
    webhook_secrets: WebhookSecrets
    texts: Texts
    outbox: Outbox
    deliveries: Deliveries
    worker: Worker | None

    async def drain(self, soft_s: float) -> None:
        """Begin nothing new; finish what can be finished in time, give back the rest."""
        self.deliveries.stop()
        if self.worker is not None:
            await self.worker.drain(soft_s)


@asynccontextmanager
async def open_workshop(
    settings: Settings, accounts: Accounts, fleet: Fleet, catalogue: Catalogue, *, jobs: int, poll_s: float = POLL_S
) -> AsyncIterator[Workshop]:
    """The batch half over these accounts and engines, doing up to ``jobs`` jobs at once until the block ends.

    What this process is asked for it does at once; ``poll_s`` is how often it looks for what others were asked.
    """
    store, now, tick = accounts.store, time.time, time.monotonic
    files, choice = settings.data / "files", secrets.choice
    callbacks = Callbacks(callback_bodies())
    queue = Queue(store, accounts.ledger, now=now, new_id=_new_job, callbacks=callbacks)
    uploads = Uploads(files, store, now=now, choice=choice)
    artifacts = Artifacts(files, store, now=now, choice=choice)
    readers, rates = Readers(), RateLimiter(settings.redis_url, now=now, tick=tick)
    media = MediaReader(readers, uploads)
    webhook_secrets = WebhookSecrets(store, now=now, random=secrets.token_bytes)
    texts = texts_of(settings, fleet)
    bench = Bench(
        queue=queue,
        artifacts=artifacts,
        policies=accounts.policies,
        crafts=CRAFTS,
        tools=Tools(fleet, catalogue, accounts.voices, media, uploads, texts),
        uploads=uploads,
        lease_s=settings.lease_seconds,
        tick=tick,
    )
    try:
        async with open_dispatch(settings.redis_url) as dispatch:
            sender, outbox = Sender(allow_private=settings.webhook_allow_private), Outbox(store, now=now)
            shop = Workshop(
                queue=queue,
                uploads=uploads,
                artifacts=artifacts,
                media=media,
                dispatch=dispatch,
                rates=rates,
                webhook_secrets=webhook_secrets,
                texts=texts,
                outbox=outbox,
                deliveries=Deliveries(outbox, webhook_secrets, sender, dispatch, now=now, poll_s=poll_s),
                worker=Worker(bench, dispatch, name=_name(), concurrency=jobs, poll_s=poll_s) if jobs else None,
            )
            watcher = Watcher(queue, lease_s=settings.lease_seconds, tick=tick)
            tune = partial(tune_batch_models, fleet, accounts.policies)
            forget = partial(forget_visitors, store, accounts.house.known, now)
            sweeper = _chores(shop, watcher, tune, forget, settings.lease_seconds)
            async with _running(shop, sweeper):
                yield shop
    finally:
        await readers.aclose()
        await rates.aclose()


@asynccontextmanager
async def _running(shop: Workshop, sweeper: Sweeper) -> AsyncIterator[None]:
    """All of it at work, and ended in order: who still has a job gives it back."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(shop.deliveries.run(), name="deliver webhooks")]
        running.append(tasks.create_task(sweeper.run(), name="sweep"))
        if shop.worker is not None:
            running.append(tasks.create_task(shop.worker.run(), name="do jobs"))
        try:
            yield
        finally:
            sweeper.stop()
            await shop.drain(0.0)
            # They end by themselves; a statement that is cut off in the middle would outlive its database.
            await asyncio.wait(running, timeout=_ENDING_S)
            for task in running:
                task.cancel()


def _chores(
    shop: Workshop,
    watcher: Watcher,
    tune: Callable[[], Awaitable[None]],
    forget: Callable[[], Awaitable[int]],
    lease_s: float,
) -> Sweeper:
    async def look() -> None:
        await look_for_lost_workers(watcher, shop.dispatch)

    return Sweeper(
        [
            Chore("lost workers", lease_s / _LOOKS_A_LEASE, look),
            Chore("models of batch work", _TUNE_S, tune),
            Chore("expired files", _SWEEP_S, shop.artifacts.sweep),
            Chore("unneeded uploads", _SWEEP_S, shop.uploads.sweep),
            Chore("what visitors said", _SWEEP_S, forget),
        ]
    )


def _new_job() -> str:
    """A UUID, as seed B's ids are (B10); to all others it is a word nobody can guess."""
    return str(uuid4())


def _name() -> str:
    """Of this process, for people who look at the jobs."""
    return f"{socket.gethostname()}:{os.getpid()}"
