"""Work that calls back, as an iterator: two threads that take turns, so that it can be stopped at every call back."""

from collections.abc import Callable, Iterator
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """Raised in the work when nobody takes any more of it."""


class _Exchange(Generic[T]):
    """What the work hands over; it waits until it is asked for more."""

    def __init__(self, work: Callable[[Callable[[T], None]], None]) -> None:
        self.full = Semaphore(0)
        self.wanted = Semaphore(0)
        self.given: list[T] = []
        self.error: Exception | None = None
        self.ended = self.closed = False
        self._work = work

    def put(self, value: T) -> None:
        self.given.append(value)
        self.full.release()
        self.wanted.acquire()
        if self.closed:
            raise Stopped

    def run(self) -> None:
        try:
            self._work(self.put)
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 (raised again where the values are taken)
            self.error = error
        finally:
            self.ended = True
            self.full.release()


def turns(work: Callable[[Callable[[T], None]], None], name: str) -> Iterator[T]:
    """What ``work`` puts, one by one; it goes on when the next one is asked for, and ends when this is closed."""
    exchange = _Exchange(work)
    thread = Thread(target=exchange.run, name=name)
    thread.start()
    try:
        while True:
            exchange.full.acquire()
            if exchange.given:
                yield exchange.given.pop()
                exchange.wanted.release()
            if exchange.ended:
                break
    finally:
        exchange.closed = True
        exchange.wanted.release()
        thread.join()
    if exchange.error is not None:
        raise exchange.error
