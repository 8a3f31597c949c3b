"""Live use on the real ledger: what a session and a call cost, to the unit, and that the books add up after it."""

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from protocol.pricing import PriceTable, Route
from server.accounts import Accounts
from tests.api.serving import Api, Person

SECONDS = 3.4
VOICE = "hn_female_ngochuyen_full_48k-fhg"


@pytest.fixture
def cyd(api: Api) -> Person:
    """Somebody with exactly 1,000 credits."""
    return api.person(credits=1000)


def spent(api: Api, person: Person) -> int:
    async def look(accounts: Accounts) -> int:
        async with accounts.store.read() as connection:
            assert (await accounts.ledger.audit(connection)).findings == ()
            balance = await accounts.ledger.balance(connection, person.user_id)
        return balance.spent if not balance.held else -1

    return api.within(look)


def settled(api: Api, person: Person, units: int) -> None:
    """The books say so, as soon as the session is over for the server too."""
    deadline = time.monotonic() + 20
    while spent(api, person) != units:
        assert time.monotonic() < deadline, f"{spent(api, person)} units were spent, not {units}"
        time.sleep(0.1)  # nothing announces it to somebody outside


def listen(api: Api, person: Person, *, stop: bool) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    with connect(f"{api.base.replace('http', 'ws', 1)}/v1/stream", additional_headers=person.bearer) as socket:
        socket.send("{}")
        assert json.loads(socket.recv())["status"] == "ready"
        socket.send(bytes(int(SECONDS * 16000) * 2))
        if not stop:
            socket.send(json.dumps({"action": "finalize"}))
            return messages
        socket.send(json.dumps({"action": "stop"}))
        try:
            while True:
                messages.append(json.loads(socket.recv(20)))
        except ConnectionClosed:
            return messages


@pytest.mark.parametrize("stop", [True, False], ids=["says stop", "goes away"])
def test_listening_costs_the_whole_seconds_that_came_in(api: Api, cyd: Person, stop: bool) -> None:
    listen(api, cyd, stop=stop)
    settled(api, cyd, PriceTable()[Route.LIVE_LISTEN].of(int(SECONDS)))


def test_a_synchronous_call_costs_its_characters(api: Api, cyd: Person) -> None:
    body = {"text": "Xin chào các bạn.", "voiceCode": VOICE, "mode": "sync"}
    with api.client(cyd) as http:
        assert http.post("/v1/tts", json=body, headers={"App-Id": "mine"}).status_code == 200
    settled(api, cyd, PriceTable()[Route.VBEE_REALTIME].of(len("Xin chào các bạn.")))


def test_who_has_nothing_hears_nothing_and_owes_nothing(api: Api) -> None:
    poor = api.person(credits=0)
    assert listen(api, poor, stop=True)[-1]["code"] == "insufficient_credits"
    with api.client(poor) as http:
        body = {"text": "Xin chào.", "voiceCode": VOICE, "mode": "sync"}
        answer = http.post("/v1/tts", json=body, headers={"App-Id": "mine"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")
    settled(api, poor, 0)
