"""What is remembered of the store: one question for all who ask at once, fresh after a second, gone when changed."""

import asyncio

import pytest

from accounts.remembered import KEPT_S, Remembered
from tests.accounts.conftest import Clock


class Shelf:
    """A store that counts how often it is asked, and answers when it is let."""

    def __init__(self, *, closed: bool = False) -> None:
        self.asked: list[str] = []
        self.values: dict[str, int] = {"one": 1, "two": 2, "three": 3}
        self.open = asyncio.Event()
        if not closed:
            self.open.set()

    async def look_up(self, key: str) -> int | None:
        self.asked.append(key)
        value = self.values.get(key)
        await self.open.wait()
        if value == -1:
            raise LookupError(key)
        return value


async def waiting(shelf: Shelf, count: int) -> None:
    while len(shelf.asked) < count:  # noqa: ASYNC110  (the next turn of the loop is all that is waited for)
        await asyncio.sleep(0)


async def test_all_who_ask_at_one_moment_share_one_question(clock: Clock) -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.look_up, tick=clock)
    assert await asyncio.gather(*(remembered.of("one") for _ in range(20)), remembered.of("two")) == [1] * 20 + [2]
    assert sorted(shelf.asked) == ["one", "two"]


async def test_an_answer_is_as_old_as_its_question(clock: Clock) -> None:
    shelf = Shelf(closed=True)
    remembered = Remembered(shelf.look_up, tick=clock)
    asking = asyncio.create_task(remembered.of("one"))
    await waiting(shelf, 1)
    clock.time += KEPT_S - 0.1
    shelf.open.set()
    assert await asking == 1
    assert await remembered.of("one") == 1 and shelf.asked == ["one"]
    clock.time += 0.1
    shelf.values["one"] = 11
    assert await remembered.of("one") == 11


async def test_that_there_is_none_is_not_kept(clock: Clock) -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.look_up, tick=clock)
    assert await remembered.of("four") is None
    shelf.values["four"] = 4
    assert await remembered.of("four") == 4


async def test_who_gives_up_does_not_take_the_answer_from_the_others(clock: Clock) -> None:
    shelf = Shelf(closed=True)
    remembered = Remembered(shelf.look_up, tick=clock)
    first, second = (asyncio.create_task(remembered.of("one")) for _ in range(2))
    await waiting(shelf, 1)
    first.cancel()
    await asyncio.wait([first])
    shelf.open.set()
    assert first.cancelled() and await second == 1 and shelf.asked == ["one"]


async def test_an_error_is_everybody_s_and_the_next_asks_again(clock: Clock) -> None:
    shelf = Shelf()
    shelf.values["one"] = -1
    remembered = Remembered(shelf.look_up, tick=clock)
    answers = await asyncio.gather(*(remembered.of("one") for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LookupError] * 3 and shelf.asked == ["one"]
    shelf.values["one"] = 1
    assert await remembered.of("one") == 1


async def test_after_a_change_nobody_is_told_what_was_being_looked_up_before(clock: Clock) -> None:
    shelf = Shelf(closed=True)
    remembered = Remembered(shelf.look_up, tick=clock)
    before = asyncio.create_task(remembered.of("one"))
    await waiting(shelf, 1)
    shelf.values["one"] = 11
    remembered.forget()
    after = asyncio.create_task(remembered.of("one"))
    await waiting(shelf, 2)
    shelf.open.set()
    assert (await before, await after) == (1, 11)
    assert await remembered.of("one") == 11 and len(shelf.asked) == 2


async def test_what_was_put_is_known_without_a_question(clock: Clock) -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.look_up, tick=clock)
    remembered.put("one", 7)
    assert await remembered.of("one") == 7 and not shelf.asked


@pytest.mark.parametrize("most", [1, 2])
async def test_what_is_kept_is_bounded_and_the_oldest_goes(clock: Clock, most: int) -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.look_up, tick=clock, most=most)
    for key in ("one", "two", "three"):
        await remembered.of(key)
    assert [key for key in shelf.values if key in remembered] == ["one", "two", "three"][-most:]
