"""The account side of a store put together, for the server and for the commands that work beside it."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from accounts.apps import Apps
from accounts.house import House
from accounts.identity import Identities
from accounts.keys import Keys
from accounts.ledger import Ledger
from accounts.limits import LimitsOf
from accounts.metering import LiveMeter
from accounts.passwords import Hasher
from accounts.policy import Policies
from accounts.sessions import WebSessions
from accounts.store import Store, open_store
from accounts.tokens import Tokens
from accounts.users import Users
from accounts.voices import SavedVoices
from protocol.pricing import PriceTable


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who may ask, what for, and what it costs."""

    store: Store
    policies: Policies
    ledger: Ledger
    users: Users
    sessions: WebSessions
    keys: Keys
    tokens: Tokens
    apps: Apps
    identities: Identities
    limits: LimitsOf
    voices: SavedVoices
    house: House


def accounts_of(store: Store) -> Accounts:
    """The accounts in a store, by this machine's clocks."""
    now, tick = time.time, time.monotonic
    policies, ledger = Policies(store, now=now, tick=tick), Ledger(now)
    keys, tokens, apps = Keys(store, now=now, tick=tick), Tokens(store, now=now, tick=tick), Apps(store, now=now)
    limits = LimitsOf(store, policies, tick=tick)
    return Accounts(
        store=store,
        policies=policies,
        ledger=ledger,
        users=Users(store, policies, ledger, now=now, hasher=Hasher()),
        sessions=WebSessions(store, now=now),
        keys=keys,
        tokens=tokens,
        apps=apps,
        identities=Identities(keys, tokens, apps),
        limits=limits,
        voices=SavedVoices(store, limits, now=now),
        house=House(store, ledger, now=now),
    )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Accounts]:
    """The accounts in the database of a URL, for as long as the block lasts. Raises StoreError."""
    store = await open_store(url)
    try:
        yield accounts_of(store)
    finally:
        await store.aclose()


@asynccontextmanager
async def open_tabs(accounts: Accounts, *, new_id: Callable[[], str]) -> AsyncIterator[LiveMeter]:
    """The bills of this process's live sessions; what is still open at the end of the block is settled."""

    async def prices() -> PriceTable:
        return (await accounts.policies.current()).prices

    meter = LiveMeter(
        accounts.store,
        accounts.ledger,
        prices,
        now=time.time,
        tick=time.monotonic,
        new_id=new_id,
        owner=f"{socket.gethostname()}:{os.getpid()}:{new_id()}",  # no process before or after has it
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(meter.run(), name="bill live sessions")
        try:
            yield meter
        finally:
            await meter.aclose()
