"""Live sessions are charged what they used, in whole units, whatever ended them: on SQLite and on Postgres."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.ledger import Balance, Ledger
from accounts.live_tab import AHEAD, LiveTab, affordable
from accounts.metering import LiveMeter
from accounts.schema import hold, live_session
from accounts.store import Store, open_store
from accounts.tabs import FreeTab, Tab, Tabs
from protocol.errors import Code, VoiceError
from protocol.pricing import UNITS, Price, PriceTable, Rounding, Route, Unit
from tests.accounts.conftest import Clock
from tests.accounts.money import balance_of, findings, person
from tests.crashes import crash_everywhere

_numbers = count(1)
SECOND = 10  # units


class Prices:
    """Prices an admin may change in the middle."""

    def __init__(self) -> None:
        self.table = PriceTable()
        self.set({"live.listen": {"credits": "0.001", "per": 1}, "live.speak": {"credits": "0.0001", "per": 1}})

    def set(self, patch: dict[str, Any]) -> None:
        self.table = self.table.patched(patch)

    async def __call__(self) -> PriceTable:
        return self.table


class Server:
    """A process with a meter."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tick = Clock(0.0)
        self.prices = Prices()
        self.ledger = Ledger(Clock())
        self.meter = self.another("server-1")

    async def use(self, tab: LiveTab, seconds: float) -> None:
        """Book so much sound, when so much time has gone by."""
        self.tick.time = max(self.tick.time, seconds)
        await tab.book(seconds)

    def another(self, owner: str) -> LiveMeter:
        """The meter of another process on the same store."""
        return LiveMeter(
            self.store, self.ledger, self.prices, now=Clock(), tick=self.tick, owner=owner,
            new_id=lambda: f"session{next(_numbers)}",
        )  # fmt: skip

    async def person(self, units: int) -> int:
        return await person(self.store, self.ledger, units)

    async def balance(self, user_id: int) -> Balance:
        assert await findings(self.store) == ()
        return await balance_of(self.store, user_id)

    async def holds(self) -> int:
        async with self.store.read() as connection:
            return int(await connection.scalar(select(func.count()).select_from(hold)) or 0)


@pytest.fixture
def server(store: Store) -> Server:
    return Server(store)


async def test_a_session_pays_for_the_whole_seconds_it_used(server: Server) -> None:
    ada = await server.person(10_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    assert await server.balance(ada) == Balance(10_000 - 60 * SECOND, held=60 * SECOND)
    for hundredth in range(0, 12_345, 7):
        await server.use(tab, hundredth / 100)
    assert (await server.balance(ada)).spent == 121 * SECOND  # a minute ahead of what is wanted
    await tab.settle()
    assert await server.balance(ada) == Balance(10_000 - 123 * SECOND, spent=123 * SECOND)


async def test_a_session_that_said_nothing_costs_nothing(server: Server) -> None:
    ada = await server.person(1000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    await tab.book(0.99)
    await tab.settle()
    await tab.settle()
    assert await server.balance(ada) == Balance(1000)


async def test_what_was_reserved_and_not_used_is_free_again(server: Server) -> None:
    """Text that was to be spoken, and was cut off by a Clear."""
    ada = await server.person(10_000)
    tab = await server.meter.open(ada, Route.LIVE_SPEAK)
    await tab.reserve(5000)
    assert (await server.balance(ada)).held >= 5000
    await tab.book(1234)
    await tab.settle()
    assert await server.balance(ada) == Balance(10_000 - 1234, spent=1234)


@pytest.mark.parametrize(("units", "held"), [(10_000, 5000 + AHEAD[Unit.CHARACTERS]), (5500, 5500), (3000, 3000)])
async def test_what_is_wanted_at_once_is_held_with_the_opening(server: Server, units: int, held: int) -> None:
    """Sixteen who begin at one moment waited for a transaction more; who has less is told so when he reserves."""
    ada = await server.person(units)
    tab = await server.meter.open(ada, Route.LIVE_SPEAK, wanted=lambda: 4999.5)
    assert (await server.balance(ada)).held == held
    if units >= 5000:
        await tab.reserve(5000)
        assert await server.holds() == 1
    else:
        with pytest.raises(VoiceError):
            await tab.reserve(5000)
    await tab.settle()
    assert await server.balance(ada) == Balance(units)


async def test_roundings_do_not_add_up(server: Server) -> None:
    """A second at 41.66... units each: an hour costs what an hour costs, held and captured 60 times on the way."""
    server.prices.set({"live.listen": {"credits": "0.25", "per": 60}})
    ada = await server.person(1_000_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    for second in range(3601):
        await server.use(tab, second)
    await tab.settle()
    assert (await server.balance(ada)).spent == 60 * UNITS // 4


async def test_every_second_there_are_credits_for_can_be_used(server: Server) -> None:
    ada = await server.person(73 * SECOND + 3)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    for tenth in range(740):
        await server.use(tab, tenth / 10)
    with pytest.raises(VoiceError) as caught:
        await tab.book(74)
    assert caught.value.code is Code.INSUFFICIENT_CREDITS
    with pytest.raises(VoiceError):
        await tab.reserve(80)
    await tab.settle()
    assert await server.balance(ada) == Balance(3, spent=73 * SECOND)


async def test_a_jump_past_the_end_is_charged_up_to_it(server: Server) -> None:
    ada = await server.person(80 * SECOND)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    with pytest.raises(VoiceError):
        await tab.book(100)
    await tab.settle()
    assert await server.balance(ada) == Balance(20 * SECOND, spent=60 * SECOND)


async def test_who_cannot_pay_one_second_is_not_let_in(server: Server) -> None:
    ada = await server.person(SECOND - 1)
    with pytest.raises(VoiceError) as caught:
        await server.meter.open(ada, Route.LIVE_LISTEN)
    assert caught.value.code is Code.INSUFFICIENT_CREDITS
    assert caught.value.facts == {"required": SECOND, "available": SECOND - 1}
    assert await server.balance(ada) == Balance(SECOND - 1)


async def test_two_sessions_of_one_user_share_his_credits(server: Server) -> None:
    ada = await server.person(100 * SECOND)
    tabs = [await server.meter.open(ada, Route.LIVE_LISTEN) for _ in range(2)]
    used = [0, 0]

    async def listen(number: int) -> None:
        with pytest.raises(VoiceError):
            while True:
                await tabs[number].book(used[number] + 1)
                used[number] += 1

    await asyncio.gather(listen(0), listen(1))
    for tab in tabs:
        await tab.settle()
    assert await server.balance(ada) == Balance(0, spent=100 * SECOND)
    assert sum(used) == 100


async def test_sessions_are_limited_over_all_servers(server: Server) -> None:
    ada, other = await server.person(10_000), server.another("server-2")
    opened = await asyncio.gather(
        *(meter.open(ada, Route.LIVE_LISTEN, most=3) for meter in [server.meter, other] * 5), return_exceptions=True
    )
    tabs = [tab for tab in opened if isinstance(tab, LiveTab)]
    assert len(tabs) == 3
    refused = [error for error in opened if isinstance(error, VoiceError)]
    assert {(error.code, error.facts["allowed"]) for error in refused} == {(Code.TOO_MANY_SESSIONS, 3)}
    await tabs[0].settle()
    assert await server.meter.open(ada, Route.LIVE_LISTEN, most=3)


async def test_sessions_that_share_a_bill_count_on_other_servers_after_a_beat(server: Server) -> None:
    ada, other = await server.person(10_000), server.another("server-2")
    here = await server.meter.open(ada, Route.LIVE_LISTEN, most=3)
    here.share(2, most=3)
    await server.meter.beat()
    there = await other.open(ada, Route.LIVE_LISTEN, most=3)
    with pytest.raises(VoiceError) as refused:
        there.share(2, most=3)
    assert (refused.value.code, refused.value.facts["allowed"]) == (Code.TOO_MANY_SESSIONS, 3)
    there.share(1)
    here.share(1)
    await server.meter.beat()
    with pytest.raises(VoiceError):
        there.share(2, most=3)  # as it was when it looked last
    await other.reap()
    there.share(2, most=3)
    assert await other.open(ada, Route.LIVE_SPEAK, most=1), "sessions of another kind are counted apart"


async def test_a_bill_that_nobody_runs_up_any_more_is_in_nobodys_way(server: Server) -> None:
    """It is settled some seconds later, and until a beat the store says that there is a session."""
    ada = await server.person(10_000)
    left = await server.meter.open(ada, Route.LIVE_LISTEN, most=1)
    with pytest.raises(VoiceError, match="1 live sessions"):
        await server.meter.open(ada, Route.LIVE_LISTEN, most=1)
    left.share(0)
    assert await server.meter.open(ada, Route.LIVE_LISTEN, most=1)


async def test_a_free_route_holds_nothing_and_goes_on_for_ever(server: Server) -> None:
    server.prices.set({"live.listen": {"credits": 0}})
    ada = await server.person(0)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    for second in range(0, 100_000, 1000):
        await tab.book(second)
    await server.meter.beat()
    assert await server.holds() == 1
    await tab.settle()
    assert await server.balance(ada) == Balance(0)


async def test_a_session_keeps_the_price_it_began_with(server: Server) -> None:
    ada = await server.person(10_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    server.prices.set({"live.listen": {"credits": 100}})
    await tab.book(200)
    await tab.settle()
    assert (await server.balance(ada)).spent == 200 * SECOND


# -- beats ------------------------------------------------------------------------------------------


async def test_a_beat_is_two_statements_for_any_number_of_sessions(server: Server) -> None:
    ada = await server.person(1_000_000)
    tabs = [await server.meter.open(ada, Route.LIVE_LISTEN) for _ in range(20)]
    for tab in tabs:
        await tab.book(5.5)
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement.split()[0])

    for engine in server.store.engines:
        event.listen(engine, "before_cursor_execute", note)
    await server.meter.beat()
    await server.meter.beat()
    for engine in server.store.engines:
        event.remove(engine, "before_cursor_execute", note)
    assert [what for what in sent if what != "BEGIN"] == ["UPDATE", "UPDATE", "UPDATE"]
    async with server.store.read() as connection:
        rows = {(row.beat, row.booked, row.charged) for row in await connection.execute(select(live_session))}
    assert rows == {(2, 5, 5 * SECOND)}


async def test_between_beats_a_frame_asks_the_store_nothing(server: Server) -> None:
    tab = await server.meter.open(await server.person(10_000), Route.LIVE_LISTEN)
    await server.store.aclose()
    for frame in range(60 * 50):
        await tab.book(frame / 50)


async def test_a_beat_holds_ahead_so_that_no_frame_waits_for_it(server: Server) -> None:
    ada = await server.person(1_000_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    for second in range(0, 300, 10):
        held = await server.holds()
        await tab.book(second)
        assert await server.holds() == held
        await server.meter.beat()
    await tab.settle()
    assert (await server.balance(ada)).spent == 290 * SECOND


async def test_a_beat_does_not_trouble_those_who_are_nearly_out(server: Server) -> None:
    ada = await server.person(80 * SECOND)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    for second in range(0, 81, 10):
        await tab.book(second)
        await server.meter.beat()
    assert await server.holds() == 2
    await tab.settle()
    assert await server.balance(ada) == Balance(0, spent=80 * SECOND)


async def test_a_meter_without_sessions_does_nothing(server: Server) -> None:
    await server.store.aclose()
    await server.meter.beat()
    await server.meter.aclose()


# -- ends -------------------------------------------------------------------------------------------


async def test_sessions_of_a_dead_server_are_settled_by_another(server: Server) -> None:
    """What was noted with the last beat is charged; what came after it is a gift."""
    ada, living = await server.person(100_000), server.another("server-2")
    dead = [await server.meter.open(ada, Route.LIVE_LISTEN) for _ in range(2)]
    alive = await living.open(ada, Route.LIVE_LISTEN)
    await dead[0].book(7)
    await dead[1].book(100)
    await server.meter.beat()
    await dead[0].book(9)
    reaped = []
    for server.tick.time in (0.0, 10.0, 20.0, 30.0, 40.0):
        await living.beat()
        reaped.append(await living.reap())
    assert reaped == [0, 0, 0, 2, 0]
    await alive.settle()
    assert await server.balance(ada) == Balance(100_000 - 107 * SECOND, spent=107 * SECOND)
    await dead[0].settle()  # it was not dead, only frozen
    with pytest.raises(VoiceError) as caught:
        await dead[1].book(50_000)
    assert caught.value.code is Code.TIMEOUT
    await server.meter.beat()
    await dead[1].settle()
    assert (await server.balance(ada)).spent == 107 * SECOND


async def test_many_who_come_at_once_wait_for_two_transactions(server: Server) -> None:
    """A crowd on one line: who is first holds for all, at the pace at which they came."""
    tab = await server.meter.open(await server.person(1_000_000), Route.LIVE_SPEAK)
    await asyncio.gather(*(tab.reserve(300 * caller) for caller in range(1, 25)))
    assert await server.holds() <= 3
    await tab.reserve(24 * 300 + 5000)  # the pace goes on
    assert await server.holds() <= 3
    await tab.settle()


async def test_what_is_held_ahead_leaves_a_user_most_of_what_he_has(server: Server) -> None:
    ada = await server.person(100_000)
    tab = await server.meter.open(ada, Route.LIVE_SPEAK)
    await tab.reserve(20_000)  # in no time: a minute of that would be all he has
    balance = await server.balance(ada)
    assert 20_000 < balance.held <= 25_000 + 900
    await tab.settle()


@asynccontextmanager
async def at_work(meter: LiveMeter) -> AsyncIterator[asyncio.Task[None]]:
    """A meter that beats and holds ahead, until its process ends with the block."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(meter.run())
        yield running
        await meter.aclose()
        await running


async def test_a_half_used_hold_is_renewed_beside_the_session(server: Server) -> None:
    ada = await server.person(100_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    async with at_work(server.meter):
        await server.use(tab, 29)
        await server.use(tab, 31)
        while await server.holds() < 2:  # noqa: ASYNC110 - only the store tells
            await asyncio.sleep(0)
    assert (await server.balance(ada)).spent == 31 * SECOND


async def test_who_has_little_is_held_for_now_and_then_however_fast_he_goes(server: Server) -> None:
    """A minute at his pace is more than he has: what could be held instead is used half up before the next."""
    ada = await server.person(40_000)
    tab = await server.meter.open(ada, Route.LIVE_SPEAK)
    for characters in range(0, 40_000, 20):
        await tab.reserve(characters)
        if tab.low:
            await tab.extend()
    assert 10 < await server.holds() <= 60
    await tab.book(39_980)
    await tab.settle()
    assert (await server.balance(ada)).spent == 39_980


async def test_a_store_that_fails_while_it_holds_ahead_ends_nothing(server: Server) -> None:
    ada = await server.person(100_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    failing = Broken(SQLAlchemyError("the connection is gone"))
    kept, server.meter.store = server.meter.store, failing  # type: ignore[assignment]
    async with asyncio.timeout(20), at_work(server.meter) as running:
        await tab.reserve(45)
        await failing.asked.wait()
        server.meter.store = kept
        await server.use(tab, 59)  # what was held before
        await server.use(tab, 100)  # and more, for which there was time to wait
        assert not running.done()
    assert (await server.balance(ada)).spent == 100 * SECOND


async def test_of_two_who_ask_at_once_the_second_finds_it_reserved(server: Server) -> None:
    tab = await server.meter.open(await server.person(10_000), Route.LIVE_LISTEN)
    await asyncio.gather(tab.reserve(100), tab.reserve(90), tab.book(80))
    assert await server.holds() == 2
    await tab.settle()


async def test_two_reapers_settle_a_session_once(server: Server) -> None:
    ada = await server.person(1000)
    await server.meter.open(ada, Route.LIVE_LISTEN)
    others = [server.another(f"other-{number}") for number in range(3)]
    for server.tick.time in (0.0, 20.0, 40.0):
        reaped = await asyncio.gather(*(other.reap() for other in others))
    assert sum(reaped) == 1
    assert await server.balance(ada) == Balance(1000)


async def test_a_session_that_ended_while_a_reaper_looked_is_left_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await server.person(1000)
    ended, beating = [await server.meter.open(ada, Route.LIVE_LISTEN) for _ in range(2)]
    await ended.settle()
    monkeypatch.setattr(server.meter, "_stillness", StandingStill(ended.id))
    assert await server.meter.reap() == 0
    await beating.settle()
    assert await server.balance(ada) == Balance(1000)


class StandingStill:
    """Says of one session that it stands still."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id

    def look(self, _counters: object, _at: float) -> list[str]:
        return [self._session_id]


async def test_what_cannot_be_settled_now_is_with_a_later_beat(server: Server) -> None:
    """The disk is full just as a session ends: the session does not hang or fail by it."""
    ada = await server.person(1000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    await tab.book(5)
    kept, server.meter.store = server.meter.store, Broken()  # type: ignore[assignment]
    await tab.settle()
    with pytest.raises(VoiceError):
        await tab.book(70)
    server.meter.store = kept
    await server.meter.beat()
    assert await server.balance(ada) == Balance(1000 - 5 * SECOND, spent=5 * SECOND)
    await server.meter.beat()


async def test_the_end_of_the_process_settles_all(server: Server) -> None:
    ada = await server.person(10_000)
    for _ in range(3):
        await (await server.meter.open(ada, Route.LIVE_LISTEN)).book(2)
    await server.meter.aclose()
    assert await server.balance(ada) == Balance(10_000 - 6 * SECOND, spent=6 * SECOND)


async def test_a_cancelled_session_leaves_nothing_behind(server: Server) -> None:
    """Cancelled in the middle of holding ahead, and again in the middle of settling."""
    ada = await server.person(1_000_000)
    for _ in range(20):
        tab = await server.meter.open(ada, Route.LIVE_LISTEN)
        for call in (tab.reserve(100), tab.settle()):
            task = asyncio.ensure_future(call)
            for _ in range(5 + next(_numbers) % 20):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await server.meter.beat()
    assert await server.balance(ada) == Balance(1_000_000)


async def test_who_is_cancelled_while_his_session_is_written_down_leaves_no_credits_held(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that vanished during the commit: a session nobody knew of was kept alive by the beats of all others."""
    ada = await server.person(10_000)
    other = await server.meter.open(ada, Route.LIVE_LISTEN)
    transact = server.store.transact

    async def written_and_cancelled(work: Callable[[AsyncConnection], Coroutine[Any, Any, object]]) -> None:
        await transact(work)
        raise asyncio.CancelledError

    monkeypatch.setattr(server.store, "transact", written_and_cancelled)
    with pytest.raises(asyncio.CancelledError):
        await server.meter.open(ada, Route.LIVE_SPEAK)
    monkeypatch.undo()
    assert (await server.balance(ada)).held == 60 * SECOND + AHEAD[Unit.CHARACTERS]
    await server.meter.beat()
    assert (await server.balance(ada)).held == 60 * SECOND
    await server.meter.open(ada, Route.LIVE_SPEAK, most=1)  # nor is it in the way of another
    await other.settle()


async def test_what_could_not_be_paid_is_not_held_with_the_next_minute(server: Server) -> None:
    """One session asked for too much and was refused; for as long as another was there, all the user had was held."""
    ada = await server.person(100_000)
    tab = await server.meter.open(ada, Route.LIVE_SPEAK)
    await tab.reserve(100)
    with pytest.raises(VoiceError, match="credits"):
        await tab.reserve(200_000)
    for characters in range(100, 3000, 100):
        server.tick.time += 10
        await tab.reserve(characters)
    assert (await server.balance(ada)).held <= 3000 + 2 * AHEAD[Unit.CHARACTERS]
    await tab.settle()


async def test_what_is_reserved_no_longer_is_free_again_while_the_bill_is_open(server: Server) -> None:
    ada = await server.person(100_000)
    tab = await server.meter.open(ada, Route.LIVE_SPEAK)
    async with at_work(server.meter):
        await tab.reserve(50_000)
        await tab.book(1_000)
        server.tick.time += 600
        tab.release(1_200)  # most of it was somebody's who has gone
        while (await server.balance(ada)).held > 2_000:  # noqa: ASYNC110 - only the store tells
            await asyncio.sleep(0)
        await tab.reserve(1_200)
        await tab.book(1_200)
    assert await server.balance(ada) == Balance(100_000 - 1_200, spent=1_200)


async def test_a_bill_another_server_settled_is_over(server: Server) -> None:
    """This one was cut off for longer than a lease: it says so once, and asks and holds nothing any more."""
    ada = await server.person(10_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    other = server.another("server-2")
    for _ in range(4):
        reaped = await other.reap()
        server.tick.time += 10
    assert reaped == 1
    assert not tab.over
    with pytest.raises(VoiceError) as lost:
        await tab.reserve(100)
    assert lost.value.code is Code.TIMEOUT
    assert tab.over
    held = await server.holds()
    await server.meter.beat()
    await tab.settle()
    assert await server.holds() == held


async def test_the_loop_beats_and_survives_a_store_that_is_away(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.metering.BEAT_S", 0.001)
    tab = await server.meter.open(await server.person(1000), Route.LIVE_LISTEN)
    broken = Broken()
    kept, server.meter.store = server.meter.store, broken  # type: ignore[assignment]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(server.meter.run())
        await broken.asked.wait()
        server.meter.store = kept
        await tab.book(3)
        while not tab.noted:  # noqa: ASYNC110  (it is the meter's own number)
            await asyncio.sleep(0.001)
        running.cancel()
    await tab.settle()


class Broken:
    """A store that fails; without an error of its own its disk is full."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = asyncio.Event()
        self._error = error or VoiceError(Code.STORAGE_FULL, "The server cannot store anything now.")

    def write(self) -> Any:
        self.asked.set()
        raise self._error

    async def transact(self, work: object) -> Any:
        self.write()


ACTS: dict[str, Callable[[Server, int, LiveTab], Awaitable[object]]] = {
    "open": lambda server, ada, tab: server.meter.open(ada, Route.LIVE_LISTEN, most=5),
    "reserve": lambda server, ada, tab: tab.reserve(70),
    "beat": lambda server, ada, tab: server.meter.beat(),
    "settle": lambda server, ada, tab: tab.settle(),
    "reap": lambda server, ada, tab: server.meter.reap(),
}


@pytest.mark.parametrize("name", ACTS)
async def test_everything_is_whole_or_nothing(server: Server, name: str) -> None:
    """R4, for live sessions."""
    ada = await server.person(10_000)
    tab = await server.meter.open(ada, Route.LIVE_LISTEN)
    await tab.book(7)
    if name == "reap":
        await server.meter.beat()
        for server.tick.time in (0.0, 20.0, 40.0):
            if server.tick.time < 40:
                assert await server.meter.reap() == 0
    assert await crash_everywhere(server.store, lambda: ACTS[name](server, ada, tab)) >= 2
    await server.meter.aclose()
    assert (await server.balance(ada)).spent == 7 * SECOND


async def test_the_audit_sees_sessions_and_holds_that_disagree(server: Server) -> None:
    ada = await server.person(10_000)
    done, going = [await server.meter.open(ada, Route.LIVE_LISTEN) for _ in range(2)]
    await done.book(5)
    await done.settle()
    for change, wrong in (
        (f"SET charged = 40 WHERE id = '{done.id}'", "live session and its holds disagree"),
        (f"SET captured = 5 WHERE id = '{going.id}'", "live session and its holds disagree"),
        (f"SET closed_at = 1 WHERE id = '{going.id}'", "live session and its holds disagree"),
        (f"SET hold_id = (SELECT MIN(id) FROM hold) WHERE id = '{going.id}'", "hold is not its own"),
    ):
        async with server.store.write() as connection:
            await connection.execute(text(f"UPDATE live_session {change}"))
            report = await server.ledger.audit(connection)
            assert any(wrong in finding for finding in report.findings), change
            await connection.rollback()
    await going.settle()


# -- sums -------------------------------------------------------------------------------------------


@given(
    st.decimals(0, 3, places=4), st.integers(1, 60), st.sampled_from(Rounding), st.integers(0, 500),
    st.integers(0, 2_000_000), st.integers(0, 100), st.integers(0, 100),
)  # fmt: skip
def test_what_isaffordable(
    credits: Decimal, per: int, rounding: Rounding, booked: int, available: int, least: int, more: int
) -> None:
    price = Price(credits=credits, per=per, unit=Unit.SECONDS, rounding=rounding)
    charged, least = price.of(booked), booked + least
    allowed = affordable(price, charged, available, least=least, most=least + more)
    if not credits:
        assert price.of(allowed) == 0
    else:
        assert least <= allowed <= least + more
        assert allowed == least or price.of(allowed) - charged <= available
        assert allowed == least + more or price.of(allowed + 1) - charged > available


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 90), st.booleans()), max_size=12), st.integers(0, 4000), st.sampled_from(Rounding)
)
def test_whatever_is_booked_the_price_of_the_total_is_paid(
    pieces: list[tuple[float, bool]], units: int, rounding: Rounding
) -> None:
    asyncio.run(pay(pieces, units, rounding))


async def pay(pieces: list[tuple[float, bool]], units: int, rounding: Rounding) -> None:
    store = await open_store("sqlite+aiosqlite://")
    server = Server(store)
    server.prices.set({"live.listen": {"credits": "0.0205", "per": 30, "rounding": rounding}})
    ada, total = await server.person(units), 0.0
    try:
        tab = await server.meter.open(ada, Route.LIVE_LISTEN)
        for seconds, beat in pieces:
            await tab.book(total + seconds)
            total += seconds
            if beat:
                await server.meter.beat()
    except VoiceError as error:
        assert error.code is Code.INSUFFICIENT_CREDITS
        total = float("nan")
    await server.meter.aclose()
    balance = await server.balance(ada)
    assert balance.held == 0 and balance.available + balance.spent == units
    if total == total:
        assert balance.spent == server.prices.table[Route.LIVE_LISTEN].of(int(total))
    await store.aclose()


async def test_a_free_tab_asks_for_nothing() -> None:
    tab: Tab = FreeTab()
    await tab.reserve(1e9)
    await tab.book(1e9)
    await tab.settle()


def test_the_meter_is_what_streams_ask_for(server: Server) -> None:
    tabs: Tabs = server.meter
    assert tabs is server.meter and set(AHEAD) == set(Unit)
