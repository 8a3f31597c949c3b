"""The order in which requests leave, what makes room for what, and the bounds."""

import asyncio
import itertools
import random

import pytest

from engines.waiting import Request, Superseded, Waiting
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis, Priority

SECOND = bytes(32_000)


def request(
    priority: Priority = Priority.FINAL, key: object = None, pcm: bytes = SECOND, session: str = ""
) -> Request:
    answer: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
    return Request(Decode(pcm), priority, key if key is not None else object(), 0.0, answer, session)


def any_length(priority: Priority, seconds: float, requests: int) -> bool:
    return True


def drained(waiting: Waiting, most: int = 1) -> list[list[Request]]:
    return list(itertools.takewhile(bool, (waiting.take(most, any_length, True) for _ in range(100))))


async def test_finals_then_partials_then_synchronous_then_batch_each_in_order_of_arrival() -> None:
    waiting = Waiting(100, 1 << 30)
    orders = [Priority.BATCH, Priority.PARTIAL, Priority.SYNCHRONOUS, Priority.FINAL] * 3
    requests = [request(priority) for priority in orders]
    for one in requests:
        waiting.add(one, 5)
    left = [one for batch in drained(waiting) for one in batch]
    assert left == sorted(requests, key=lambda one: one.priority)
    assert len(waiting) == 0


async def test_a_call_holds_one_priority_and_at_most_so_many() -> None:
    waiting = Waiting(100, 1 << 30)
    for priority in [Priority.FINAL] * 5 + [Priority.PARTIAL] * 2:
        waiting.add(request(priority), 5)
    assert [len(batch) for batch in drained(waiting, most=4)] == [4, 1, 2]


async def test_a_call_ends_where_it_would_be_too_long_but_is_never_empty() -> None:
    waiting = Waiting(100, 1 << 30)
    for _ in range(5):
        waiting.add(request(Priority.PARTIAL), 5)
    assert len(waiting.take(8, lambda priority, seconds, requests: seconds <= 2.0, True)) == 2
    assert len(waiting.take(8, lambda priority, seconds, requests: False, True)) == 1


async def test_partials_can_be_left_out() -> None:
    waiting = Waiting(100, 1 << 30)
    partial, batch = request(Priority.PARTIAL), request(Priority.BATCH)
    waiting.add(partial, 5)
    waiting.add(batch, 5)
    assert waiting.take(8, any_length, False) == [batch]
    assert waiting.take(8, any_length, False) == []
    assert waiting.first(Priority.PARTIAL) is partial


async def test_the_newer_takes_the_older_s_place_in_the_line() -> None:
    waiting = Waiting(100, 1 << 30)
    old, other, new = (request(Priority.PARTIAL, key) for key in ("a", "b", "a"))
    for one in (old, other, new):
        waiting.add(one, 5)
    assert isinstance(old.answer.exception(), Superseded)
    assert drained(waiting) == [[new], [other]]


async def test_who_asks_for_much_waits_for_himself_and_hardly_for_whom_others_wait() -> None:
    """Two send recordings as fast as they are read: a third, who says a word now and then, waits for one of theirs."""
    waiting = Waiting(100, 1 << 30)
    long = {name: [request(pcm=28 * SECOND, session=name) for _ in range(5)] for name in ("a", "b")}
    for one in itertools.chain(*long.values()):
        waiting.add(one, 5)
    assert waiting.take(1, any_length, True) == [long["a"][0]]
    for turn in range(8):
        word = request(session="c")
        waiting.add(word, 5)
        taken = [waiting.take(1, any_length, True)[0] for _ in range(2)]
        assert word in taken, turn
    assert [one for one in long["a"] if one not in waiting] == long["a"][:5]  # each in its own order, and by turns
    assert len(list(waiting)) == 1


@pytest.mark.parametrize("senders", [3, 5, 30])
async def test_a_word_now_and_then_waits_for_little_however_long_others_send(senders: int) -> None:
    """The clock ran ahead with every word that was served, and a word waited for a recording of each."""
    waiting, chance = Waiting(1000, 1 << 40), random.Random(1)
    long, short = bytes(28 * 32_000), bytes(32_000)
    for number in range(8 * senders):
        waiting.add(request(pcm=long, session=f"s{number % senders}"), 5)
    word, before, waits = None, 0.0, []
    for _ in range(1500):
        if word is None and chance.random() < 0.1:
            word, before = request(pcm=short, session="word"), 0.0
            waiting.add(word, 5)
        (taken,) = waiting.take(1, any_length, True)
        if taken is word:
            waits.append(before)
            word = None
        else:
            before += taken.seconds
            waiting.add(request(pcm=long, session=taken.session), 5)
    waits.sort()
    assert len(waits) > 50
    assert waits[len(waits) // 2] == 0.0 and waits[int(0.95 * len(waits))] <= 28.0


async def test_what_is_given_up_counts_for_nothing() -> None:
    waiting = Waiting(100, 1 << 30)
    for _ in range(20):
        given_up = request(pcm=20 * SECOND, session="a")
        waiting.add(request(pcm=2 * SECOND, session="other"), 5)
        waiting.add(given_up, 5)
        waiting.remove(given_up)
    first = request(session="a")
    waiting.add(first, 5)
    assert waiting.take(1, any_length, True) == [first]


async def test_nobody_waits_for_ever_for_those_who_ask_for_less() -> None:
    """Two always have a second of sound waiting; who has 28 is served when they have had as much."""
    waiting = Waiting(100, 1 << 30)
    long = request(pcm=28 * SECOND, session="long")
    waiting.add(long, 5)
    served = 0
    while long in waiting and served < 100:
        for name in ("a", "b"):
            if not any(one.session == name for one in waiting):
                waiting.add(request(session=name), 5)
        served += len(waiting.take(1, any_length, True))
    assert 28 <= served <= 60


async def test_a_final_does_not_supersede_a_partial() -> None:
    waiting = Waiting(100, 1 << 30)
    partial, final = request(Priority.PARTIAL, "a"), request(Priority.FINAL, "a")
    waiting.add(partial, 5)
    waiting.add(final, 5)
    assert drained(waiting) == [[final], [partial]]


async def test_what_is_tried_again_goes_first_and_alone() -> None:
    waiting = Waiting(100, 1 << 30)
    waiting.add(request(), 5)
    again = [request(Priority.PARTIAL), request(Priority.FINAL)]
    for one in again:
        waiting.add_again(one)
    assert drained(waiting, 8)[:2] == [[again[0]], [again[1]]]


async def test_at_most_so_many_and_so_much_sound() -> None:
    waiting = Waiting(3, 4 * len(SECOND))
    for key in "abc":
        waiting.add(request(Priority.PARTIAL, key), 5)
    with pytest.raises(VoiceError) as caught:
        waiting.add(request(Priority.FINAL), 7)
    assert (caught.value.code, caught.value.facts) == (Code.BUSY, {"retry_after": 7})
    waiting.add(request(Priority.PARTIAL, "a", 2 * SECOND), 5)  # in place of another, so it is no more than before
    with pytest.raises(VoiceError):
        waiting.add(request(Priority.PARTIAL, "a", 3 * SECOND), 5)
    assert len(waiting) == 3


async def test_sound_is_counted_out_again() -> None:
    waiting = Waiting(100, 2 * len(SECOND))
    for _ in range(50):
        kept, removed = request(), request(Priority.PARTIAL, "a")
        waiting.add(kept, 5)
        waiting.add(removed, 5)
        waiting.remove(removed)
        waiting.remove(removed)
        assert drained(waiting) == [[kept]]
        waiting.remove(kept)
