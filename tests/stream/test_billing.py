"""What live sessions cost: seconds heard, characters really spoken; nothing for who only waits, whatever ends it."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from protocol.pricing import Route
from tests.server.serving import until
from tests.stream import hearing_server, speaking_server
from tests.stream.hearing_server import ending, message, speech, stop
from tests.stream.speaking_server import Heard, hear, send
from tests.stream.tabs import Purse

ANN: Any = {"additional_headers": {"Authorization": "Bearer ann-key"}}


async def test_seconds_that_came_in_are_booked_at_the_end() -> None:
    purse = Purse()
    async with hearing_server.house(purse=purse) as house:
        async with hearing_server.client(house, config={}, **ANN) as socket:
            await socket.send(speech(2.5))
            await stop(socket)
        await until(lambda: bool(purse.booked))
    assert purse.opened == [Route.LIVE_LISTEN]
    assert purse.booked == [2.5]


async def test_a_bill_is_asked_when_a_second_begins_and_not_for_every_frame() -> None:
    purse = Purse()
    async with hearing_server.house(purse=purse) as house:
        async with hearing_server.client(house, config={}, **ANN) as socket:
            for _ in range(145):
                await socket.send(speech(0.02))
            await stop(socket)
        await until(lambda: bool(purse.booked))
    assert int(purse.booked[0]) == 2
    assert 2 <= purse.asked <= 4  # for each of two seconds: to reserve it, and to book it


async def test_a_client_that_vanishes_is_booked_for_what_it_sent() -> None:
    purse = Purse()
    async with hearing_server.house(purse=purse) as house:
        socket = await connect(house.url, **ANN)
        await socket.send("{}")
        await message(socket)
        await socket.send(speech(1.0))
        await until(lambda: bool(purse.opened))
        socket.transport.abort()
        await until(lambda: purse.booked == [1.0])


async def test_the_sessions_of_a_user_share_one_open_bill() -> None:
    """So that a session, or a call among many, begins without a word to the store."""
    purse = Purse()
    async with hearing_server.house(purse=purse) as house:
        async with (
            hearing_server.client(house, config={}, **ANN) as one,
            hearing_server.client(house, config={}, **ANN) as other,
        ):
            for socket in (one, other):
                await socket.send(speech(1.5))
            await stop(one)
            assert not purse.booked
            await stop(other)
        await until(lambda: bool(purse.booked))
    assert purse.opened == [Route.LIVE_LISTEN]
    assert purse.booked == [3.0]


async def test_a_session_more_than_a_user_may_have_on_all_servers_is_told_so() -> None:
    """The handshake knows of this server only; who uses nothing is not counted elsewhere."""
    cyd: Any = {"additional_headers": {"Authorization": "Bearer cyd-key"}}
    async with hearing_server.house(purse=Purse(elsewhere=1)) as house:
        async with hearing_server.client(house, config={}, **cyd) as one:
            await one.send(speech(0.5))
            async with hearing_server.client(house, config={}, **cyd) as other:
                await other.send(speech(0.5))
                messages, code, reason = await ending(other)
            assert (messages[-1]["code"], code, reason) == ("too_many_sessions", 1008, "too_many_sessions")
            await stop(one)
        async with hearing_server.client(house, config={}, **cyd) as another:
            await another.send(speech(0.5))
            await stop(another)


async def test_waiting_and_anonymous_sessions_have_no_bill() -> None:
    purse = Purse()
    async with hearing_server.house(purse=purse) as house:
        async with hearing_server.client(house, config={}, **ANN) as socket:
            await socket.send(json.dumps({"action": "keepalive"}))
            await stop(socket)
        async with hearing_server.client(house, config={}) as socket:
            await socket.send(speech(0.5))
            await stop(socket)
    assert not purse.opened
    assert not purse.booked


async def test_who_cannot_pay_is_told_before_anything_is_heard() -> None:
    async with hearing_server.house(purse=Purse(quantity=0)) as house:
        async with hearing_server.client(house, config={}, **ANN) as socket:
            await socket.send(speech(1.0))
            messages, code, reason = await ending(socket)
        assert messages[-1]["code"] == "insufficient_credits"
        assert (code, reason) == (1008, "insufficient_credits")
        assert not house.value("audio_in_seconds_total")


async def test_a_session_ends_where_the_credits_do() -> None:
    purse = Purse(quantity=2)
    async with hearing_server.house(purse=purse) as house:
        async with hearing_server.client(house, config={}, **ANN) as socket:
            for _ in range(30):
                await socket.send(speech(0.1))
            messages, code, _ = await ending(socket)
        assert messages[-1]["code"] == "insufficient_credits"
        assert code == 1008
        await until(lambda: bool(purse.booked))
    assert 1.9 <= purse.booked[0] <= 2.0


async def test_books_that_are_closed_stop_new_sound_with_a_typed_error() -> None:
    """What cannot be written down is not given (P2), and nobody is left without a word (P6)."""
    async with (
        hearing_server.house(purse=Purse(away=True)) as house,
        hearing_server.client(house, config={}, **ANN) as socket,
    ):
        await socket.send(speech(0.5))
        messages, _, reason = await ending(socket)
    assert messages[-1]["code"] == reason == "storage_full"


async def test_who_comes_back_after_his_bill_was_lost_is_on_a_new_one() -> None:
    """A server cut off from the database: those who were on the bill are told, and were told again whenever they came
    back within seconds."""
    purse = Purse()
    async with (
        hearing_server.house(purse=purse) as house,
        hearing_server.client(house, config={}, **ANN) as waiting,
        hearing_server.client(house, config={}, **ANN) as socket,
    ):
        for one in (waiting, socket):
            await one.send(speech(0.5))
        await until(lambda: bool(purse.bills))
        purse.bills[0].lost = True
        await socket.send(speech(1.0))
        messages, _, reason = await ending(socket)
        assert messages[-1]["code"] == reason == "timeout"
        async with hearing_server.client(house, config={}, **ANN) as again:
            await again.send(speech(2.5))
            await stop(again)
        await until(lambda: 2.5 in purse.booked)
        await stop(waiting)


async def test_characters_that_were_spoken_are_booked() -> None:
    purse = Purse()
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {"pace": False}, **ANN) as socket:
            await send(socket, {"text": "Hello there. "}, {"text": "Good bye."}, {"action": "stop"})
            await hear(socket)
        await until(lambda: bool(purse.booked))
    assert purse.opened == [Route.LIVE_SPEAK]
    assert abs(purse.booked[0] - len("Hello there. Good bye.")) <= 1


def closed_purse(quantity: float = 1e9) -> tuple[Purse, asyncio.Event]:
    """A purse whose bills are opened once the event is set."""
    gate = asyncio.Event()
    return Purse(quantity, gate=gate), gate


async def heard_so_far(socket: ClientConnection) -> Heard:
    """What was sent before the answer to a message that changes nothing."""
    await send(socket, {"action": "no such thing"})
    return await hear(socket, until=lambda message: "error" in message)


async def test_the_first_sound_is_made_while_the_bill_is_opened_and_heard_when_it_is() -> None:
    """To open it takes a transaction: longer than to make the first sound, many times so where many begin."""
    purse, gate = closed_purse()
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {"pace": False}, **ANN) as socket:
            await send(socket, {"text": "Hello there. "})
            await until(lambda: bool(house.voice.streams) and house.voice.streams[0].ended)
            before = await heard_so_far(socket)
            assert not before.frames and not before.events("done")
            gate.set()
            await send(socket, {"text": "Good bye."}, {"action": "stop"})
            heard = await hear(socket)
        await until(lambda: bool(purse.booked))
    assert [done["spoken"] for done in heard.events("done")] == ["Hello there. Good bye."]
    assert purse.opened == [Route.LIVE_SPEAK]
    assert abs(purse.booked[0] - len("Hello there. Good bye.")) <= 1


async def test_text_that_comes_while_the_bill_is_opened_is_spoken_behind_the_first() -> None:
    purse, gate = closed_purse()
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {"pace": False}, **ANN) as socket:
            await send(socket, {"text": "One two. "}, {"text": "Three four. "}, {"text": "Five."}, {"action": "stop"})
            await until(lambda: bool(house.voice.streams))
            gate.set()
            heard = await hear(socket)
        await until(lambda: bool(purse.booked))
    assert [done["spoken"] for done in heard.events("done")] == ["One two. Three four. Five."]
    assert abs(purse.booked[0] - len("One two. Three four. Five.")) <= 1


async def test_what_is_cleared_while_the_bill_is_opened_is_neither_heard_nor_reserved() -> None:
    purse, gate = closed_purse()
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {"pace": False}, **ANN) as socket:
            await send(socket, {"text": "Never to be heard. "})
            await until(lambda: bool(house.voice.streams))
            await send(socket, {"action": "clear"})
            assert not (await heard_so_far(socket)).frames
            gate.set()
            await send(socket, {"action": "stop"})
            heard = await hear(socket)
            assert not heard.frames and heard.close == (1000, "")
        await until(lambda: bool(purse.booked))
    assert purse.booked == [0]
    assert purse.released and set(purse.released) == {0}


async def test_who_cannot_pay_is_told_before_anything_is_said() -> None:
    purse, gate = closed_purse(5)
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {}, **ANN) as socket:
            await send(socket, {"text": "More than five characters. "})
            await until(lambda: bool(house.voice.streams))
            await send(socket, {"text": "And more. "})
            gate.set()
            heard = await hear(socket)
        await until(lambda: bool(purse.booked))
    assert not heard.frames
    assert heard.messages[-1]["code"] == "insufficient_credits" and heard.close == (1008, "insufficient_credits")
    assert purse.booked == [0] and len(purse.opened) == 1


async def test_a_client_that_leaves_while_the_bill_is_opened_leaves_nothing() -> None:
    purse, gate = closed_purse()
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {}, **ANN) as socket:
            await send(socket, {"text": "Hello there. "})
            await until(lambda: bool(house.voice.streams))
            socket.transport.abort()
        gate.set()
        await until(lambda: purse.booked == [0])
        await until(lambda: house.admission.taken == 0)


async def test_those_who_begin_at_one_moment_are_held_for_at_once() -> None:
    purse, gate = closed_purse()
    async with speaking_server.house(purse=purse) as house:
        async with AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(speaking_server.client(house, {"pace": False}, **ANN)) for _ in range(3)
            ]
            for socket in sockets:
                await send(socket, {"text": "Hello there. "})
            await until(lambda: len(house.voice.streams) == 3)
            gate.set()
            for socket in sockets:
                await send(socket, {"action": "stop"})
                assert (await hear(socket)).frames
        await until(lambda: bool(purse.booked))
    assert purse.wanted == [3 * len("Hello there. ")]


async def test_what_somebody_was_refused_is_not_held_for_the_next() -> None:
    """He who could not open the bill has gone; what he was going to say is nobody's any more."""
    purse = Purse(away=True)
    async with speaking_server.house(purse=purse) as house:
        for text in ("Far too much to be said. " * 9, "Hello. "):
            async with speaking_server.client(house, {"pace": False}, **ANN) as socket:
                await send(socket, {"text": text}, {"action": "stop"})
                await hear(socket)
            purse.away = False
        await until(lambda: bool(purse.booked))
    assert purse.wanted == [len("Hello. ")]


async def test_text_that_was_cleared_does_not_count_against_what_there_is() -> None:
    """A voice agent that is interrupted often was cut off once what it had not said came to more than its credits."""
    purse = Purse(quantity=1000)
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {}, **ANN) as socket:
            for _ in range(10):
                await send(socket, {"text": "One two three four five six. " * 20}, {"action": "clear"})
                await hear(socket, lambda message: message.get("event") == "cleared")
            await send(socket, {"text": "Good bye."}, {"action": "stop"})
            heard = await hear(socket)
            assert heard.close == (1000, "")
        await until(lambda: bool(purse.booked))
    assert purse.booked[0] < 1000
    assert min(purse.released) < 600


async def test_text_that_was_cut_off_is_free() -> None:
    purse = Purse()
    text = "One two three four five six seven eight nine ten. " * 20
    async with speaking_server.house(purse=purse) as house:
        async with speaking_server.client(house, {}, **ANN) as socket:
            await send(socket, {"text": text})
            await until(lambda: bool(purse.opened))
            while not isinstance(await socket.recv(), bytes):
                pass
            await send(socket, {"action": "clear"}, {"action": "stop"})
            await hear(socket)
        await until(lambda: bool(purse.booked))
    assert purse.booked[0] < len(text) / 4


async def call(house: speaking_server.House, text: str) -> httpx.Response:
    body = {"text": text, "voiceCode": "hn_female_ngochuyen_full_48k-fhg", "mode": "sync", "outputFormat": "wav"}
    headers = {"Authorization": "Bearer ann-key", "App-Id": "app"}
    async with httpx.AsyncClient(timeout=20) as http:
        return await http.post(f"http://127.0.0.1:{house.served.port}/v1/tts", json=body, headers=headers)


async def test_a_synchronous_call_is_paid_by_the_character() -> None:
    purse = Purse()
    async with speaking_server.house(purse=purse) as house:
        assert (await call(house, "  Xin chào các bạn.  ")).status_code == 200
    assert purse.opened == [Route.VBEE_REALTIME]
    assert purse.booked == [len("Xin chào các bạn.")]


async def test_a_call_that_cannot_be_paid_is_a_bad_request() -> None:
    """E11 counts it among those; nothing is charged."""
    purse = Purse(quantity=3)
    async with speaking_server.house(purse=purse) as house:
        answer = await call(house, "Xin chào các bạn.")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BAD_REQUEST"
    assert purse.booked == [0]


async def test_credits_that_cannot_be_spent_have_the_documents_own_code() -> None:
    """E11: TTS_SPEND_CREDITS_FAILED."""
    async with speaking_server.house(purse=Purse(away=True)) as house:
        answer = await call(house, "Xin chào.")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "TTS_SPEND_CREDITS_FAILED"


async def test_a_call_whose_client_leaves_is_free() -> None:
    purse = Purse()
    text = "One two three four five six seven eight nine ten. " * 6
    async with speaking_server.house(purse=purse, voice=speaking_server.Voice(gate=asyncio.Event())) as house:
        asking = asyncio.create_task(call(house, text[:300]))
        await until(lambda: bool(purse.opened))
        asking.cancel()
        await until(lambda: bool(purse.booked))
    assert purse.booked == [0]
