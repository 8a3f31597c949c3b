"""Who may come in: keys in all their places, and slots."""

from collections.abc import Callable

import pytest

from protocol.errors import Code, VoiceError
from stream.admission import ANONYMOUS, DAY, Admission, Caller, Limits, Presented, identify, network, presented
from stream.socket import Message, Socket

ANN, BOB = Caller("ann"), Caller("bob")


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def handshake(
    *, header: str | None = None, subprotocols: tuple[str, ...] = (), query: str = "", address: str = "192.0.2.1"
) -> Socket:
    headers = [] if header is None else [(b"authorization", header.encode())]
    scope = {
        "type": "websocket", "path": "/v1/stream", "headers": headers, "query_string": query.encode(),
        "subprotocols": list(subprotocols), "client": (address, 5000),
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent here")

    return Socket(scope, receive, send)


def refusal(call: Callable[[], object]) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        call()
    return caught.value


# -- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("socket", "key", "echo"),
    [
        (handshake(), None, None),
        (handshake(header="Bearer k1"), "k1", None),
        (handshake(header="bearer  k1 "), "k1", None),
        (handshake(header="Basic abc"), "", None),
        (handshake(subprotocols=("voxline", "token.k2")), "k2", "voxline"),
        (handshake(subprotocols=("token", "k2")), "k2", "token"),
        (handshake(subprotocols=("voxline",)), None, "voxline"),
        (handshake(subprotocols=("chat",)), None, None),
        (handshake(query="token=k3"), "k3", None),
        (handshake(query="api_key=k%2B3&x=1"), "k+3", None),
        (handshake(query="token="), None, None),
        (handshake(header="Bearer k1", subprotocols=("voxline", "token.k2"), query="token=k3"), "k1", "voxline"),
        (handshake(subprotocols=("voxline", "token.k2"), query="token=k3"), "k2", "voxline"),
    ],
)
def test_where_a_key_may_be(socket: Socket, key: str | None, echo: str | None) -> None:
    """C10: by header, by subprotocol, by query, in this order; the key itself is never echoed."""
    assert presented(socket) == Presented(key, echo)


async def test_a_key_is_checked_and_none_is_anonymous() -> None:
    async def authenticate(key: str) -> Caller | None:
        return ANN if key == "right" else None

    assert await identify(handshake(header="Bearer right"), authenticate, anonymous=True) == ANN
    assert await identify(handshake(), authenticate, anonymous=True) == ANONYMOUS
    for socket, anonymous in [
        (handshake(), False),
        (handshake(header="Bearer wrong"), True),
        (handshake(header="Basic right"), True),
        (handshake(query="token=wrong"), True),
    ]:
        with pytest.raises(VoiceError) as caught:
            await identify(socket, authenticate, anonymous=anonymous)
        assert caught.value.code is Code.UNAUTHORIZED


def test_an_address_is_what_one_client_has() -> None:
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("::ffff:192.0.2.7") == "192.0.2.7"
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") != network("2001:db8:1:3::1")
    assert network("fe80::1%eth0") == network("fe80::2")
    assert network("") == "" and network("testclient") == "testclient"


# -- slots -------------------------------------------------------------------------------------------


def test_slots_are_counted_by_server_address_and_key() -> None:
    admission = Admission(Limits(sessions=4, sessions_per_key=2, sessions_per_address=3), now=Clock())
    held = [admission.enter(ANN, "192.0.2.1"), admission.enter(ANN, "192.0.2.2")]
    error = refusal(lambda: admission.enter(ANN, "192.0.2.3"))
    assert error.code is Code.TOO_MANY_SESSIONS and error.facts["retry_after"]
    held += [admission.enter(BOB, "192.0.2.1"), admission.enter(BOB, "192.0.2.1")]
    assert refusal(lambda: admission.enter(Caller("cyd"), "192.0.2.9")).code is Code.BUSY
    held.pop(1).release()
    assert refusal(lambda: admission.enter(Caller("cyd"), "192.0.2.1")).code is Code.TOO_MANY_SESSIONS
    with admission.enter(Caller("cyd"), "192.0.2.9"):
        assert admission.taken == 4
    for slot in held:
        slot.release()
        slot.release()  # once is enough
    assert admission.taken == 0


def test_zero_is_no_limit() -> None:
    admission = Admission(Limits(0, 0, 0, 0, 0), now=Clock())
    for _ in range(1000):
        admission.enter(ANONYMOUS, "192.0.2.1")
    assert admission.taken == 1000


def test_the_anonymous_tier() -> None:
    """C3: one at once and three a day for an address; a key is not counted by the day."""
    clock = Clock()
    admission = Admission(Limits(), now=clock)
    with admission.enter(ANONYMOUS, "192.0.2.1"):
        assert refusal(lambda: admission.enter(ANONYMOUS, "192.0.2.1")).code is Code.TOO_MANY_SESSIONS
        with admission.enter(ANONYMOUS, "192.0.2.2"), admission.enter(ANN, "192.0.2.1"):
            pass
    for _ in range(2):
        clock.time += 3600
        with admission.enter(ANONYMOUS, "192.0.2.1"):
            pass
    error = refusal(lambda: admission.enter(ANONYMOUS, "192.0.2.1"))
    assert error.code is Code.RATE_LIMITED and error.facts["retry_after"] == DAY - 7200
    clock.time += DAY - 7200
    with admission.enter(ANONYMOUS, "192.0.2.1"):
        pass


def test_a_session_that_said_nothing_is_not_counted_by_the_day() -> None:
    admission = Admission(Limits(), now=Clock())
    for _ in range(10):
        with admission.enter(ANONYMOUS, "192.0.2.1") as slot:
            slot.used = False
    for _ in range(3):
        with admission.enter(ANONYMOUS, "192.0.2.1") as slot:
            pass
    assert refusal(lambda: admission.enter(ANONYMOUS, "192.0.2.1")).code is Code.RATE_LIMITED


def test_a_closed_door() -> None:
    admission = Admission(Limits(), now=Clock())
    slot = admission.enter(ANN, "192.0.2.1")
    admission.close()
    assert refusal(lambda: admission.enter(ANN, "192.0.2.1")).code is Code.SHUTTING_DOWN
    slot.release()
    assert admission.taken == 0


def test_memory_is_bounded_over_many_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.admission.MAX_TRACKED_ADDRESSES", 100)
    admission = Admission(Limits(), now=Clock())
    for number in range(1000):
        with admission.enter(ANONYMOUS, f"198.51.{number // 256}.{number % 256}"):
            pass
    assert len(admission._days) == 100
    assert not admission._by_address and not admission._anonymous
