"""``/v1/stream`` over a real server and a real client on a loopback port: sessions, keys, ends, faults."""

import asyncio
import gc
import json
import logging
import random
import socket as sockets
import struct
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from protocol.audio import mulaw_encode
from protocol.errors import Code, VoiceError
from protocol.session import Limits
from stream.admission import Limits as Slots
from stream.hearing import Hearing
from stream.recognition import Recognition
from tests.server.serving import until
from tests.stream.hearing_server import (
    House,
    client,
    ending,
    finals,
    house,
    message,
    silence,
    speech,
    stop,
)


@pytest.fixture
async def served() -> AsyncIterator[House]:
    async with house() as running:
        yield running


async def gone(house: House, within: float = 5.0) -> None:
    """All sessions are over and have given back what they had."""
    await until(lambda: house.admission.taken == 0, within)
    assert house.value("sessions", kind="listen") == 0
    assert not house.batcher._ready


# -- the document's session --------------------------------------------------------------------------


async def test_the_documented_session(served: House) -> None:
    """C8, C9: configuration, ready, audio in 8192-byte messages, partials and finals, stop, is_final, a normal end."""
    async with client(served) as socket:
        await socket.send(json.dumps({"language": "auto", "model": "large-v3-turbo"}))
        ready = await message(socket)
        assert ready["status"] == "ready" and ready["engine"] == "scripted" and ready["model"] == "small"
        assert ready["queue_delay"] == 0.01 and ready["realtime_factor"] == 0.1
        audio = speech(1.5) + silence(1.0) + speech(1.0, seed=2) + silence(0.2)
        for at in range(0, len(audio), 8192):
            await socket.send(audio[at : at + 8192])
        messages, code, _ = await stop(socket)
    assert code == 1000
    assert len(finals(messages)) == 2
    assert [m.get("is_final", False) for m in messages] == [False] * (len(messages) - 1) + [True]
    assert all(m["text"] == "" for m in messages if m["partial"])
    first = next(m for m in messages if m["text"])
    assert 0.0 <= first["start"] < 0.1 and 1.4 < first["end"] < 2.2 and first["language"] == "en"
    assert "words" not in first
    await gone(served)


async def test_partials_are_revised_and_say_what_is_stable(served: House) -> None:
    async with client(served, config={}) as socket:
        audio = speech(3.0)
        partials: list[dict[str, Any]] = []
        for at in range(0, len(audio), 3200):
            await socket.send(audio[at : at + 3200])
            await asyncio.sleep(0.005)  # a stream, though faster than life
        messages, _, _ = await stop(socket)
        partials = [m for m in messages if m["partial"]]
    assert len(partials) >= 2
    for before, after in pairwise(partials):
        assert after["partial"][: before["stable"]] == before["partial"][: before["stable"]]
    assert all(0 <= m["stable"] <= len(m["partial"]) for m in partials)


async def test_no_partials_where_none_are_wanted(served: House) -> None:
    async with client(served, config={"interim_results": False}) as socket:
        await socket.send(speech(2.0))
        messages, _, _ = await stop(socket)
    assert not any(m["partial"] for m in messages) and len(finals(messages)) == 1


async def test_words_and_events(served: House) -> None:
    async with client(served, config={"word_timestamps": True, "events": True}) as socket:
        await socket.send(speech(1.0) + silence(1.0))
        messages, _, _ = await stop(socket)
    assert [m["event"] for m in messages if "event" in m] == ["speech_started", "speech_stopped"]
    assert next(m for m in messages if m.get("text"))["words"][0].keys() == {"word", "start", "end", "confidence"}


async def test_finalize_ends_the_utterance_and_keeps_the_stream(served: House) -> None:
    async with client(served, config={"interim_results": False}) as socket:
        for seed in (1, 2):
            await socket.send(speech(1.0, seed=seed))
            await socket.send('{"action": "finalize"}')
            final = await message(socket)
            assert final["utterance"] == seed and final["text"]
        messages, code, _ = await stop(socket)
    assert code == 1000 and finals(messages) == []


async def test_configure_in_mid_stream(served: House) -> None:
    async with client(served, config={"interim_results": False}) as socket:
        await socket.send(speech(1.0) + silence(1.0))
        assert "words" not in await message(socket)
        await socket.send('{"action": "configure", "word_timestamps": true, "vad": {"min_silence_ms": 300}}')
        await socket.send(speech(1.0) + silence(1.0))
        assert "words" in await message(socket)
        await socket.send('{"action": "configure", "language": "vi"}')
        refused = await message(socket)
        assert refused["field"] == "language" and refused["fatal"] is False
        _, code, _ = await stop(socket)
    assert code == 1000


async def test_stop_without_a_word(served: House) -> None:
    async with client(served, config={}) as socket:
        messages, code, _ = await stop(socket)
    assert messages == [{"text": "", "partial": "", "is_final": True}] and code == 1000


async def test_without_voice_activity_detection_the_client_says_where_utterances_end(served: House) -> None:
    async with client(served, config={"vad": False, "interim_results": False}) as socket:
        await socket.send(speech(0.5) + silence(2.0))
        await socket.send('{"action": "finalize"}')
        final = await message(socket)
        assert final["start"] == 0.0 and abs(final["end"] - 2.5) < 0.05
        await stop(socket)


# -- any cut, any format (F2) ------------------------------------------------------------------------


async def transcript(served: House, pieces: list[bytes], config: dict[str, Any]) -> list[dict[str, Any]]:
    async with client(served, config={"interim_results": False, **config}) as socket:
        for piece in pieces:
            for at in range(0, len(piece), 100_000):  # a message may have 256 KiB
                await socket.send(piece[at : at + 100_000])
        messages, code, _ = await stop(socket)
    assert code == 1000
    return messages


def cut(data: bytes, random_: random.Random) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        size = random_.choice([1, 3, 319, 320, 641, 4096, 20000])
        pieces.append(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("rate", [16_000, 48_000])
async def test_a_change_lies_at_its_place_however_unjudged_audio_is_cut(served: House, rate: int) -> None:
    """Without voice activity detection several windows are heard at a time, but none together with what came behind."""
    parts = [speech(1.3, rate), speech(1.7, rate, seed=2)]

    async def told(cuts: list[list[bytes]]) -> list[dict[str, Any]]:
        config = {"vad": False, "interim_results": False, "max_utterance_s": 1, "sample_rate": rate}
        async with client(served, config=config) as socket:
            for pieces in cuts:
                for piece in pieces:
                    await socket.send(piece)
                await socket.send('{"action": "configure", "word_timestamps": true}')
            messages, code, _ = await stop(socket)
        assert code == 1000
        return messages

    whole = await told([[part] for part in parts])
    with_words = ["words" in final for final in whole if final.get("text")]
    assert with_words == sorted(with_words) and len(set(with_words)) == 2, whole
    for seed in range(3):
        assert await told([cut(part, random.Random(seed)) for part in parts]) == whole


@pytest.mark.parametrize(
    "config", [{}, {"sample_rate": 8000}, {"encoding": "mulaw"}, {"sample_rate": 44100}], ids=lambda c: str(c)
)
async def test_any_cut_gives_the_same_transcript(config: dict[str, Any]) -> None:
    """Odd byte counts and single bytes included; the scripted text is a checksum of what the engine heard."""
    rate = config.get("sample_rate", 8000 if "encoding" in config else 16000)
    audio = silence(0.3, rate) + speech(1.2, rate) + silence(1.0, rate) + speech(0.7, rate, 2)
    if config.get("encoding") == "mulaw":
        audio = mulaw_encode(audio)
    random_ = random.Random(5)
    async with house(limits=Limits(messages=100_000.0)) as served:
        expected = await transcript(served, [audio], config)
        assert len(finals(expected)) == 2
        for _ in range(4):
            assert await transcript(served, cut(audio, random_), config) == expected


async def test_sessions_do_not_hear_each_other(served: House) -> None:
    """Twelve at once say what each says alone."""
    spoken = [speech(0.6 + 0.1 * n, seed=n) + silence(0.8) + speech(0.5, seed=99 - n) for n in range(12)]
    alone = [await transcript(served, [audio], {}) for audio in spoken]
    cuts = [[audio[at : at + 6400] for at in range(0, len(audio), 6400)] for audio in spoken]
    together = await asyncio.gather(*(transcript(served, pieces, {}) for pieces in cuts))
    assert together == alone
    await gone(served)


# -- who may come in ---------------------------------------------------------------------------------


async def refused(served: House, **options: Any) -> tuple[int, dict[str, Any], str | None]:
    query = options.pop("query", "")
    with pytest.raises(InvalidStatus) as caught:
        async with connect(served.url + query, compression=None, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}"), response.headers.get("Retry-After")


async def test_keys_in_all_their_places() -> None:
    async with house(anonymous=False) as served:
        places: list[dict[str, Any]] = [
            {"additional_headers": {"Authorization": "Bearer ann-key"}},
            {"subprotocols": ["voxline", "token.ann-key"]},
            {"subprotocols": ["token", "ann-key"]},
            {"query": "?token=ann-key"},
            {"query": "?api_key=bob-key"},
        ]
        for options in places:
            async with client(served, config={}, **options) as socket:
                offered = options.get("subprotocols")
                assert socket.subprotocol == (offered[0] if offered else None)
        wrong: list[dict[str, Any]] = [{}, {"query": "?token=wrong"}, {"subprotocols": ["voxline", "token.wrong"]}]
        for options in wrong:
            status, body, _ = await refused(served, **options)
            assert status == 401 and isinstance(body["error"], str)  # C20, C21
        assert served.value("rejected_total", kind="listen", reason="unauthorized") == 3
        await gone(served)


async def test_the_anonymous_tier() -> None:
    """C3, before the handshake is answered: one at once, three a day; what never spoke is not counted."""
    async with house(slots=Slots()) as served:
        for _ in range(4):
            async with client(served, config={}) as socket:
                status, body, retry = await refused(served)
                assert status == 429 and "API key" in body["error"] and retry is not None
                await stop(socket)
            await gone(served)
        for _ in range(3):
            await transcript(served, [silence(0.1)], {})
            await gone(served)
        status, body, retry = await refused(served)
        assert status == 429 and int(retry or 0) > 3600
        async with client(served, config={}, additional_headers={"Authorization": "Bearer ann-key"}):
            pass


async def test_a_full_server_says_so_before_it_accepts() -> None:
    async with house(slots=Slots(sessions=1)) as served:
        async with client(served, config={}):
            status, body, retry = await refused(served, additional_headers={"Authorization": "Bearer ann-key"})
            assert status == 503 and retry == "5" and "in use" in body["error"]
        await gone(served)
        served.recogniser.busy = True
        status, _, retry = await refused(served)
        assert status == 503 and retry == "3"
        assert served.admission.taken == 0


# -- what a client can do wrong ----------------------------------------------------------------------


async def fault(served: House, *sent: str | bytes, within: float = 10.0) -> tuple[dict[str, Any], int]:
    """The last message before the end of a connection that sent this, and the close code."""
    async with client(served) as socket:
        for data in sent:
            await socket.send(data)
        messages, code, reason = await ending(socket, within)
    await gone(served)
    assert reason == messages[-1]["code"]
    return messages[-1], code


async def test_errors_before_ready(served: House) -> None:
    cases: list[tuple[str | bytes, str, str | None]] = [
        ("not json", "bad_request", None),
        ('{"sample_rate": "high"}', "bad_request", "sample_rate"),
        ('{"vad": {"threshold": 7}}', "bad_request", "vad.threshold"),
        ('{"action": "stop"}', "out_of_order", None),
        ("[" * 100_000, "too_large", None),
        ("[" * 50_000, "bad_request", None),
        (b"\0\0", "out_of_order", None),
        ('{"language": "tlh"}', "not_installed", None),
        ('{"model": "other"}', "not_found", None),
    ]
    for sent, expected, named in cases:
        error, code = await fault(served, sent)
        assert error["code"] == expected and error.get("field") == named
        assert code == (1009 if expected == "too_large" else 1008)
        assert error["fatal"] is True and "text" not in error and "partial" not in error
    assert (await fault(served, '{"language": "tlh"}'))[0]["install"] == "voxline models pull small"


async def test_a_bad_message_in_mid_stream_ends_nothing(served: House) -> None:
    async with client(served, config={"interim_results": False}) as socket:
        await socket.send(speech(1.0))
        for line in ("{", '{"action": "dance"}', '{"action": "configure", "vad": 3}', "null", '"\\ud800"'):
            await socket.send(line)
            answer = await message(socket)
            assert answer["code"] == "bad_request" and answer["fatal"] is False
        messages, code, _ = await stop(socket)
    assert code == 1000 and len(finals(messages)) == 1


async def test_what_comes_too_late_is_passed_over(served: House) -> None:
    async with client(served, config={}) as socket:
        await socket.send(speech(0.5))
        await socket.send('{"action": "stop"}')
        await socket.send(speech(0.5))
        messages, code, _ = await stop(socket)
    assert code == 1000 and len(finals(messages)) == 1


async def test_oversize_messages_are_refused(served: House) -> None:
    """S6: the limit is the connection's; 1009, and memory does not grow."""
    async with client(served, config={}, max_size=None) as socket:
        await socket.send(bytes(300_000))
        _, code, _ = await ending(socket)
    assert code == 1009
    await gone(served)


async def test_invalid_utf_8_is_refused(served: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with client(served, config={}) as socket:
        await socket.send(b"\xff\xfe", text=True)
        _, code, _ = await ending(socket)
    assert code == 1007
    await gone(served)


async def test_deadlines() -> None:
    """Section 4: time to the first message, and idle; a keepalive or audio puts it off."""
    async with house(limits=Limits(first_message=0.15, idle=0.4)) as served:
        error, code = await fault(served)
        assert (error["code"], code) == ("timeout", 1008)
        error, code = await fault(served, "{}")
        assert (error["code"], code) == ("timeout", 1008)
        async with client(served, config={}) as socket:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for data in ('{"action": "keepalive"}', silence(0.02)) * 2:
                await asyncio.sleep(0.2)
                await socket.send(data)
            messages, _, _ = await ending(socket)
            assert messages[-1]["code"] == "timeout" and loop.time() - began > 1.1


async def test_a_session_has_a_longest_time() -> None:
    async with house(limits=Limits(session=0.3)) as served:
        error, code = await fault(served, "{}")
        assert (error["code"], code) == ("session_too_long", 1008)


async def test_a_flood_is_read_no_faster_than_the_limit() -> None:
    """S4: audio far ahead of real time is read no faster than agreed, and after a while the session ends."""
    async with house(limits=Limits(audio_burst=1.0, audio_rate=10.0, flood=0.3)) as served:
        async with client(served, config={"interim_results": False}) as socket:
            with pytest.raises(Exception, match=r".*"):
                for _ in range(200):
                    await socket.send(silence(1.0))
            messages, code, _ = await ending(socket)
        assert (messages[-1]["code"], code) == ("too_fast", 1008)
        assert served.value("audio_in_seconds_total") < 20
        await gone(served)


async def test_tiny_frames_are_paced() -> None:
    """S4: one-byte frames are audio like any other, at so many messages a second; the loop stays free."""
    async with house(limits=Limits(messages=200.0)) as served, client(served, config={}) as socket:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(400):
            await socket.send(b"\1")
        messages, code, _ = await stop(socket)
        assert code == 1000 and messages[-1]["is_final"]
        assert loop.time() - began >= 0.9


# -- clients that vanish or do not read (S1, S2) -----------------------------------------------------


@pytest.mark.parametrize("when", ["before the first message", "ready", "mid-audio", "mid-decode"])
@pytest.mark.parametrize("how", ["fin", "rst", "close"])
async def test_a_client_that_vanishes_leaves_nothing_behind(served: House, when: str, how: str) -> None:
    async with asyncio.timeout(20):
        for _ in range(3):
            if when == "mid-decode":
                served.recogniser.gate = asyncio.Event()
                served.recogniser.asked.clear()
            socket = await connect(served.url, compression=None)
            if when != "before the first message":
                await socket.send("{}")
                await message(socket)
            if when.startswith("mid"):
                await socket.send(speech(1.0))
            if when == "mid-decode":
                await socket.send('{"action": "finalize"}')
                await until(lambda: bool(served.recogniser.asked) and served.recogniser.asked[-1][0].final)
            if how == "close":
                await socket.close()
            elif how == "rst":
                raw = socket.transport.get_extra_info("socket")
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
                socket.transport.abort()
            else:
                socket.transport.close()
            await gone(served, 2.0)
            await socket.wait_closed()
    if when == "mid-decode":
        assert served.recogniser.cancelled >= 3


async def test_a_client_that_never_reads_is_let_go() -> None:
    """S2: many messages to a client that takes none: the send deadline ends the session and frees its slot."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    async with house(send_deadline_s=0.5, limits=Limits(messages=1e6)) as served:
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", served.served.port))
        reader, writer = await asyncio.open_connection(sock=raw)
        writer.write(
            b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(frame(b"{}", text=True))
        bad = frame(json.dumps({"action": "x"}).encode(), text=True)  # each is answered by an error
        async with asyncio.timeout(30):
            while served.value("sessions_ended_total", kind="listen", reason="slow_reader") == 0:
                assert not writer.transport.is_closing()
                if writer.transport.get_write_buffer_size() < 100_000:
                    writer.write(bad * 500)
                await asyncio.sleep(0.01)
        await gone(served)
        writer.transport.abort()


def frame(payload: bytes, *, text: bool) -> bytes:
    """A masked WebSocket frame (RFC 6455, 5.2), mask zero."""
    assert len(payload) < 126
    return bytes([0x81 if text else 0x82, 0x80 | len(payload), 0, 0, 0, 0]) + payload


# -- engines that fail -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [Code.ENGINE_FAILED, Code.ENGINE_RESTARTED, Code.BUSY])
async def test_a_final_that_fails_ends_the_session_with_a_typed_error(served: House, code: Code) -> None:
    served.recogniser.error = lambda decode: VoiceError(code, "It broke.") if decode.final else None
    async with client(served, config={}) as socket:
        await socket.send(speech(1.0) + silence(1.0))
        messages, close, _ = await ending(socket)
    assert messages[-1]["code"] == code.value and close == (1013 if code is Code.BUSY else 1011)
    await gone(served)


async def test_a_partial_that_fails_is_let_go(served: House) -> None:
    served.recogniser.error = lambda decode: None if decode.final else VoiceError(Code.ENGINE_FAILED, "It broke.")
    async with client(served, config={}) as socket:
        await socket.send(speech(1.0) + silence(1.0))
        messages, code, _ = await stop(socket)
    assert code == 1000 and len(finals(messages)) == 1


async def test_a_bug_ends_one_session_and_is_logged(served: House, caplog: pytest.LogCaptureFixture) -> None:
    served.recogniser.error = lambda decode: ZeroDivisionError("oops")
    async with client(served, config={}) as other, client(served, config={}) as socket:
        await socket.send(speech(1.0) + silence(1.0))
        messages, code, _ = await ending(socket)
        served.recogniser.error = lambda decode: None
        await other.send(speech(1.0))
        assert (await stop(other))[1] == 1000
    assert messages[-1]["code"] == "internal" and code == 1011 and "oops" not in messages[-1]["error"]
    assert any("broke" in record.message for record in caplog.records)
    await gone(served)


async def test_finals_come_in_order_whatever_takes_how_long(served: House) -> None:
    asked: list[int] = []

    def delay(decode: Any) -> float:
        asked.append(len(decode.pcm))
        return 0.3 if len(asked) == 1 else 0.0

    served.recogniser.delay = delay
    async with client(served, config={"interim_results": False}) as socket:
        await socket.send(b"".join(speech(0.5 + 0.1 * n, seed=n) + silence(0.8) for n in range(4)))
        messages, _, _ = await stop(socket)
    texts = [m for m in messages if m["text"]]
    assert [m["utterance"] for m in texts] == [1, 2, 3, 4]
    assert all(before["end"] <= after["start"] + 0.5 for before, after in pairwise(texts))


# -- the server goes down (S9) -----------------------------------------------------------------------


async def heard(served: House, expected: list[int]) -> None:
    """So many bytes of each session's audio have come in."""
    await until(lambda: sorted(s._audio_bytes for s in served.listening._streams if s._audio_bytes) == expected)


async def test_on_shutdown_each_session_gets_its_transcript(served: House) -> None:
    """P7: open utterances are recognised as if the clients had said stop; then 1012, and nobody comes in."""
    contexts = [client(served, config={"interim_results": False}) for _ in range(10)]
    talking = [await context.__aenter__() for context in contexts]
    async with client(served) as unconfigured:
        for number, socket in enumerate(talking):
            await socket.send(speech(1.0, seed=number))
        await heard(served, [32_000] * 10)
        endings = [asyncio.ensure_future(ending(socket)) for socket in talking]
        await served.listening.drain(10.0)
        for future in endings:
            messages, code, _ = await future
            assert len(finals(messages)) == 1 and messages[-1]["is_final"] and code == 1012
        messages, code, _ = await ending(unconfigured)
        assert messages[-1]["code"] == "shutting_down" and code == 1012
        assert (await refused(served))[0] == 503
    for context in contexts:
        await context.__aexit__(None, None, None)
    await gone(served)


async def test_what_does_not_finish_in_time_is_cut_off(served: House) -> None:
    served.recogniser.gate = asyncio.Event()
    async with client(served, config={"interim_results": False}) as socket:
        await socket.send(speech(1.0))
        await heard(served, [32_000])
        future = asyncio.ensure_future(ending(socket))
        await served.listening.drain(0.3)
        messages, code, _ = await future
    assert messages[-1]["code"] == "shutting_down" and code == 1012
    await gone(served)


async def test_a_drain_with_nobody_there(served: House) -> None:
    await served.listening.drain(10.0)


# -- metrics, logs, churn ----------------------------------------------------------------------------


async def test_what_is_measured_and_what_is_never_logged(served: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": "Bearer ann-key"}
    async with client(served, config={"prompt": "canary-prompt"}, additional_headers=headers) as socket:
        await socket.send(speech(1.0) + silence(1.0))
        messages, _, _ = await stop(socket)
    await gone(served)
    assert served.value("final_latency_seconds_count") == 1
    assert served.value("audio_in_seconds_total") == 2.0
    assert served.value("sessions_ended_total", kind="listen", reason="done") == 1
    lines = "\n".join(str(record.__dict__) for record in caplog.records if record.name.startswith("stream"))
    assert "listen session ended" in lines
    for secret in ("canary-prompt", "ann-key", finals(messages)[0]):
        assert secret not in lines


async def test_churn_leaves_nothing(served: House) -> None:
    """S11 in small: sessions come and go, tasks and slots do not stay."""
    before = len(asyncio.all_tasks())
    for number in range(60):
        async with client(served, config={}) as socket:
            await socket.send(speech(0.2))
            if number % 3:
                await stop(socket)
    await gone(served)
    await until(lambda: len(asyncio.all_tasks()) <= before + 1)
    assert served.value("sessions_opened_total", kind="listen") == 60
    gc.collect()
    assert not [found for found in gc.get_objects() if type(found) in (Hearing, Recognition)]


async def test_a_session_that_is_over_takes_no_place_of_the_recogniser_s() -> None:
    """Neither when it was refused for its configuration, nor after it was heard, nor when its client vanished."""
    async with house() as running:
        for config in ({"language": "xx"}, {"model": "other"}, {}):
            socket = await connect(running.url)
            await socket.send(json.dumps(config))
            await socket.recv()
            await socket.send(speech(0.2)) if not config else None
            socket.transport.abort() if not config else await socket.wait_closed()
        await until(lambda: not running.value("sessions", kind="listen"))
        await until(lambda: running.recogniser.seats.read(0.0) == 0.0)
