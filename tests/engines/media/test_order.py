"""What a reader is asked and says; what it says may have been written by the file it read."""

import json
import random

import pytest

from engines.media.order import ANSWER_BYTES, Answer, Order, pack_answer, read_answer, read_order
from protocol.errors import Code, VoiceError

ANSWER = Answer("video", "mov", 16000, 44100, 2)


@pytest.mark.parametrize("order", [Order(1, 2, 3), Order(1.5, 2.5, 1 << 40, 1 << 33, 44100, 2, True, (48000, 1), True)])
def test_an_order_arrives_as_it_was_sent(order: Order) -> None:
    assert read_order(order.pack()) == order
    assert len(order.pack()) < 4096


def test_the_most_that_may_come_is_that_of_the_longer_kind() -> None:
    assert Order(10, 20, 0, rate=44100, channels=2).most == 20 * 44100 * 4


def test_an_answer_arrives_as_it_was_sent() -> None:
    assert read_answer(pack_answer(ANSWER)) == ANSWER


def test_an_error_arrives_with_its_numbers_only() -> None:
    error = VoiceError(Code.TOO_LARGE, "too long", maximum_seconds=2000, allowed=["x"], field="f")
    received = read_answer(pack_answer(error))
    assert isinstance(received, VoiceError)
    assert (received.code, received.message, received.facts) == (Code.TOO_LARGE, "too long", {"maximum_seconds": 2000})


def failed(**changes: object) -> bytes:
    return json.dumps({"code": "too_large", "message": "m", "facts": {}} | changes).encode()


def answered(**changes: object) -> bytes:
    whole = {"kind": "audio", "container": "wav", "samples": 1, "rate": 16000, "channels": 1}
    return json.dumps(whole | changes).encode()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"null", b"[]", b"1", b'"code"', b"{}", b"\xff", b"[" * ANSWER_BYTES, b'{"code": "too_large"}'),
        *(answered(kind="x"), answered(samples=0), answered(samples=-1), answered(samples=1.5), answered(samples=True)),
        *(answered(rate=0), answered(rate=16000.5), answered(rate=1 << 20), answered(channels=3), answered(rate=None)),
        *(answered(container=1), answered(kind=None), answered(kind=["audio"])),
        *(failed(code="unauthorized"), failed(code="internal"), failed(code=1), failed(code=["too_large"])),
        *(failed(message=1), failed(facts=[]), failed(facts=None)),
    ],
)
def test_what_is_no_answer_is_none(data: bytes) -> None:
    assert read_answer(data) is None


def test_an_error_shows_no_more_than_a_line() -> None:
    error = read_answer(failed(message="a\x1b[31m\n" + "x" * 5000, facts={"maximum": float("inf"), "install": "rm"}))
    assert isinstance(error, VoiceError)
    assert error.message == ("a[31m" + "x" * 5000)[:200]
    assert error.facts == {}


def test_anything_at_all_is_an_answer_an_error_or_none() -> None:
    """F1."""
    rng = random.Random(5)
    for _ in range(10_000):
        data = bytearray(rng.choice((pack_answer(ANSWER), failed(), answered())))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        read_answer(bytes(data))
