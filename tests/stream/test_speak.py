"""``/v1/stream/tts`` over a real server and a real client: sound, words, marks, clear, ends, faults."""

import asyncio
import io
import json
import math
import os
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from protocol.audio import alaw_decode, mulaw_decode
from protocol.errors import Code, VoiceError
from protocol.events import SpeakOutcome, Speech
from protocol.session import Limits, Session
from protocol.speaker import Job, Speaker, SpeakerLimits
from stream import narrator
from stream.admission import Limits as Slots
from stream.pacing import TICK_S, Pacer
from stream.socket import Socket
from stream.talking import BURST
from tests.server.serving import until
from tests.stream.speaking_server import (
    ESPEAK,
    RATE,
    Heard,
    House,
    Voice,
    client,
    event,
    hear,
    house,
    read,
    send,
)

FAST = {"pace": False}
TEXT = "Hello there, my dear friend. How are you today? It is 3.14 past 1,000 as Dr. Who said; well... good bye!"


@pytest.fixture
async def served() -> AsyncIterator[House]:
    async with house() as running:
        yield running


async def gone(house: House, within: float = 5.0) -> None:
    """All sessions are over and have given back what they had."""
    await until(lambda: house.admission.taken == 0, within)
    assert house.value("sessions", kind="speak") == 0
    assert all(stream.ended for stream in house.voice.streams)


async def spoken(house: House, deltas: list[str], config: dict[str, Any]) -> Heard:
    async with client(house, config) as socket:
        await send(socket, *({"text": delta} for delta in deltas), {"action": "stop"})
        return await hear(socket)


# -- sound -------------------------------------------------------------------------------------------


async def test_a_session_from_configuration_to_end(served: House) -> None:
    async with client(served) as socket:
        await send(socket, {"voice": "en-us-male-1", "speed": 1.0, "mystery": 1, "word_timestamps": True, **FAST})
        async with asyncio.timeout(5):
            assert json.loads(await socket.recv()) == {
                "status": "ready", "session": "s0", "engine": "espeak-ng", "voice": "en-us-male-1",
                "format": "pcm_s16le", "sample_rate": 22050,
            }  # fmt: skip
        await send(socket, {"text": "Hello the"}, {"text": "re, my friend. And"})
        await send(socket, {"action": "flush"}, {"action": "stop"})
        heard = await hear(socket)
    text = "Hello there, my friend. And"
    assert read(heard.pcm, text).split() == ["Hello", "there,", "my", "friend.And"]
    words = [message for message in heard.messages if "word" in message]
    assert [word["word"] for word in words] == ["Hello", "there,", "my", "friend.", "And"]
    assert [word["offset"] for word in words] == [0, 6, 13, 16, 24]
    (done,) = heard.events("done")
    assert done["spoken"] == text and done["end"] == pytest.approx(len(heard.pcm) / 2 / RATE, abs=0.001)
    assert heard.messages[-1] == {"is_final": True} and heard.close == (1000, "")
    request, _ = served.voice.asked[0]
    assert request.voice == "en-us/male-1"
    await gone(served)
    assert served.value("sessions_ended_total", kind="speak", reason="done") == 1
    assert served.value("first_audio_seconds_count") == 1
    assert served.value("audio_out_seconds_total") == pytest.approx(len(heard.pcm) / 2 / RATE)


async def test_sound_starts_before_the_text_is_complete(served: House) -> None:
    async with client(served, {}) as socket:
        await send(socket, {"text": "Well, my dear friend, this is a story that I have never"})
        async with asyncio.timeout(5):
            assert isinstance(await socket.recv(), bytes)
        await send(socket, {"text": " told."}, {"action": "stop"})
        heard = await hear(socket)
    assert heard.events("done")[0]["spoken"].endswith("told.")


async def test_splitting_the_text_gives_the_same_sound(served: House) -> None:
    """F2 over a live socket: any deltas, the same bytes, words and ends."""
    chance = random.Random(7)
    text = TEXT + " Xin chào các bạn, hôm nay thế nào? 今天天气很好，我们去公园玩吧。👩‍👩‍👧 ok"
    config = {"word_timestamps": True, **FAST}
    expected = await spoken(served, [text], config)
    assert "".join(read(expected.pcm, text).split()) == "".join(text.split())
    for round_ in range(12):
        cuts = sorted(chance.sample(range(len(text)), 0 if not round_ else chance.randint(1, 60)))
        deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)] if round_ else list(text)
        heard = await spoken(served, deltas, config)
        assert heard.pcm == expected.pcm
        assert heard.messages == expected.messages


async def test_a_pair_of_surrogates_may_be_cut_in_two(served: House) -> None:
    """A browser that cuts its text by UTF-16 units sends halves of emoji."""
    async with client(served, FAST) as socket:
        await socket.send('{"text": "Nice \\ud83d"}')
        await socket.send('{"text": "\\ude00 day."}')
        await send(socket, {"action": "stop"})
        heard = await hear(socket)
    assert heard.events("done")[0]["spoken"] == "Nice 😀 day."


async def test_the_lead_over_playback_is_bounded() -> None:
    """At any time the client was sent at most the lead and a frame more than it can have played."""
    limits = SpeakerLimits(lead_s=0.3)
    async with house(speaker_limits=limits) as served, client(served, {}) as socket:
        await send(socket, {"text": "These are words and more words and even more words to say. "})
        began, heard, ahead = 0.0, 0.0, []
        async with asyncio.timeout(10):
            async for data in socket:
                if isinstance(data, bytes):
                    began = began or time.monotonic()
                    heard += len(data) / 2 / RATE
                    ahead.append(heard - (time.monotonic() - began))
                    if heard > 1.1:
                        break
        assert max(ahead) <= 0.3 + limits.frame_s + 0.03
        assert heard / (time.monotonic() - began) < 1.6, "it came at the pace of speech"


async def test_the_lead_is_sent_in_steps_so_that_the_first_sound_of_others_need_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """24 listeners who began at one moment were each sent a whole second of sound before the next had any."""
    ticks = Counter[int]()
    take = Speaker.take

    def counted(speaker: Speaker, now: float) -> SpeakOutcome | None:
        outcome = take(speaker, now)
        ticks[math.floor(now / TICK_S + 1e-6)] += isinstance(outcome, Speech)
        return outcome

    monkeypatch.setattr(Speaker, "take", counted)
    async with house() as served:
        heard = await spoken(served, ["These are a few words to be said."], {})
    assert len(heard.frames) > 10
    assert max(ticks.values()) <= BURST, "however many pieces the engine makes in a tick"


async def test_a_new_utterance_need_not_wait_for_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its first sound: what is sent ahead of the playback waits for the tick, until others have had their turn."""
    monkeypatch.setattr("stream.speak.Pacer", partial(Pacer, tick_s=30.0))
    async with house() as served, client(served, {}) as socket:
        for text in ("One two three four.", "Five six seven eight."):
            await send(socket, {"text": text, "flush": True})
            heard = Heard()
            while len(heard.frames) < BURST:
                heard.add(await socket.recv())
            await send(socket, {"action": "clear"})
            cleared = await hear(socket, until=lambda message: message.get("event") == "cleared")
            assert not cleared.frames, "the rest of its lead would have come with the next tick"


async def test_frames_are_of_one_length(served: House) -> None:
    heard = await spoken(served, [TEXT], {"format": "mulaw", "sample_rate": 8000, **FAST})
    assert set(heard.frames[:-1]) == {480} and heard.frames[-1] <= 480


async def test_without_pace_it_comes_as_fast_as_it_is_made(served: House) -> None:
    began = time.monotonic()
    heard = await spoken(served, ["These are many words. " * 40], FAST)
    assert len(heard.pcm) / 2 / RATE > 17 and time.monotonic() - began < 5


async def test_flush_speaks_what_waits_and_each_is_answered(served: House) -> None:
    async with client(served, FAST) as socket:
        await send(socket, {"text": "No end here", "flush": True}, {"action": "flush"}, {"text": "More"})
        await send(socket, {"action": "flush"})
        heard = await hear(socket, until=lambda message: message.get("utterance") == 3)
        assert [done["spoken"] for done in heard.events("done")] == ["No end here", "", "More"]
        await send(socket, {"action": "stop"})
        assert (await hear(socket)).messages == [{"is_final": True}]


async def test_unfinished_text_waits_for_its_end_unless_configured(served: House) -> None:
    async with client(served, {"max_buffer_delay_ms": 100}) as socket:
        await send(socket, {"text": "Without an end"})
        async with asyncio.timeout(5):
            assert isinstance(await socket.recv(), bytes)
    async with client(served, {}) as socket:
        await send(socket, {"text": "Without an end"}, {"action": "keepalive"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await socket.recv()


@pytest.mark.parametrize("name", ["mulaw", "alaw"])
async def test_g711(served: House, name: str) -> None:
    heard = await spoken(served, [TEXT], {"format": name, **FAST})
    decode = mulaw_decode if name == "mulaw" else alaw_decode
    samples = np.frombuffer(decode(bytes(heard.pcm)), "<i2")
    seconds = heard.events("done")[0]["end"]
    assert len(samples) / 8000 == pytest.approx(seconds, abs=0.002)
    plain = await spoken(served, [TEXT], FAST)
    assert seconds == pytest.approx(len(plain.pcm) / 2 / RATE, abs=0.005)
    level = np.abs(np.frombuffer(bytes(plain.pcm), "<i2").astype(int)).mean()
    assert np.abs(samples.astype(int)).mean() == pytest.approx(level, rel=0.05)


@pytest.mark.parametrize(("config", "rate"), [({"format": "mp3", "bitrate": 32}, 22050), ({"format": "opus"}, 48000)])
async def test_compressed_formats(served: House, config: dict[str, Any], rate: int) -> None:
    heard = await spoken(served, [TEXT], {**config, **FAST})
    with av.open(io.BytesIO(heard.pcm)) as container:
        stream = container.streams.audio[0]
        seconds = sum(frame.samples for frame in container.decode(stream)) / stream.rate
        assert stream.rate == rate
    assert seconds == pytest.approx(heard.events("done")[0]["end"], abs=0.15)


@pytest.mark.parametrize(
    "config", [{"format": "mp3"}, {"format": "mp3", "sample_rate": 8000}, {"format": "opus", "sample_rate": 24000}]
)
async def test_times_are_those_of_the_sound_after_many_utterances(served: House, config: dict[str, Any]) -> None:
    """Each utterance of mp3 has quiet around it, which was not counted: twenty made a second and a half."""
    async with client(served, {**config, **FAST}) as socket:
        for _ in range(12):
            await send(socket, {"text": "Hello there. "}, {"action": "flush"})
        await send(socket, {"action": "stop"})
        heard = await hear(socket)
    with av.open(io.BytesIO(heard.pcm)) as container:
        stream = container.streams.audio[0]
        seconds = sum(frame.samples for frame in container.decode(stream)) / stream.rate
    assert len(heard.events("done")) == 12
    assert seconds == pytest.approx(heard.events("done")[-1]["end"], abs=0.03)
    assert heard.places[-1] == heard.places[-2] == len(heard.pcm), "all of it was sent before it was said to be done"


async def test_a_voice_nobody_chose_is_one_for_the_text(served: House) -> None:
    """Without a voice and a language, the letters choose; a chosen one speaks everything."""
    texts = ["Good day to you.", "Đây là tiếng Việt. Vâng.", "English again.", "你好吗？"]
    async with client(served, FAST) as socket:
        await send(socket, *({"text": text, "flush": True} for text in texts), {"action": "stop"})
        await hear(socket)
    assert [request.voice.split("/")[0] for request, _ in served.voice.asked] == ["en-us", "vi", "vi", "en-us", "cmn"]
    served.voice.asked.clear()
    await spoken(served, texts, {"language": "vi", **FAST})
    assert {request.voice.split("/")[0] for request, _ in served.voice.asked} == {"vi"}


# -- marks, clear ------------------------------------------------------------------------------------


async def test_marks_come_at_their_place_in_the_sound(served: House) -> None:
    async with client(served, FAST) as socket:
        await send(socket, {"action": "mark", "name": "start"}, {"text": "One two three. "})
        await send(socket, {"action": "mark", "name": "middle"}, {"text": "Four five.", "flush": True})
        await send(socket, {"action": "mark", "name": "end"}, {"action": "stop"})
        heard = await hear(socket)
    marks = {message["name"]: message["at"] for message in heard.events("mark")}
    assert list(marks) == ["start", "middle", "end"] and marks["start"] == 0.0
    assert marks["middle"] == pytest.approx(14 * 0.02 + 0.2, abs=0.021)
    assert marks["end"] == pytest.approx(len(heard.pcm) / 2 / RATE, abs=0.001)
    for message, place in zip(heard.messages, heard.places, strict=True):
        if message.get("event") == "mark":
            assert place / 2 / RATE >= message["at"] - 0.001
            assert place / 2 / RATE <= message["at"] + 0.041


async def test_clear_silences_and_tells_what_was_sent(served: House) -> None:
    """Within 50 ms; what else the machine does can only add to that, so the best of three times tells."""
    waits = [await silenced(served)]
    while waits[-1] >= 0.05 and len(waits) < 3:
        waits.append(await silenced(served))
    assert min(waits) < 0.05, "CONTRACT: silent within 50 ms"


async def silenced(served: House) -> float:
    """Cut a long text off; seconds until the server said that it did."""
    text = "One two three four five six seven eight nine ten eleven twelve, " * 5
    async with client(served, {}) as socket:
        await send(socket, {"text": text}, {"action": "mark", "name": "never"})
        heard = Heard()
        async with asyncio.timeout(5):
            while len(heard.pcm) < 2 * RATE * 1.2:
                heard.add(await socket.recv())
            await send(socket, {"action": "clear"})
            asked = time.monotonic()
            rest = await hear(socket, until=event("cleared"))
            took = time.monotonic() - asked
        heard.pcm += rest.pcm
        (cleared,) = rest.events("cleared")
        assert cleared["at"] == pytest.approx(len(heard.pcm) / 2 / RATE, abs=0.001)
        assert text.startswith(cleared["spoken"]) and len(cleared["spoken"]) > 20
        said = read(heard.pcm, text)
        assert said.startswith(cleared["spoken"].strip()), "every word it names was sent whole"
        assert len(said) - len(cleared["spoken"]) <= len(" seven ") + 2, "and no more than a word beyond"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await socket.recv()
        await send(socket, {"text": "New.", "action": "stop"})
        after = await hear(socket)
        assert read(after.pcm, "New.") == "New."
        assert after.events("done")[0]["spoken"] == "New." and not after.events("mark")
        return took


async def test_clear_cancels_the_engine() -> None:
    voice = Voice(gate=asyncio.Event())
    async with house(voice=voice) as served, client(served, {}) as socket:
        await send(socket, {"text": "Nothing of this is ever heard. Nor is this.", "flush": True})
        await until(lambda: len(voice.asked) == 1, 5)
        await send(socket, {"action": "clear"})
        heard = await hear(socket, until=event("cleared"))
        assert heard.messages[-1] == {"event": "cleared", "spoken": "", "at": 0.0}
        await until(lambda: voice.cancelled == 1, 5)
        assert voice.gate is not None
        voice.gate.set()
        await send(socket, {"text": "This is.", "action": "stop"})
        heard = await hear(socket)
        assert read(heard.pcm, "This is.") == "This is."
        assert [request.text for request, _ in voice.asked[1:]] == ["This is."]


async def test_clear_while_stopping(served: House) -> None:
    async with client(served, {}) as socket:
        await send(socket, {"text": "This is a long goodbye. " * 20, "action": "stop"})
        async with asyncio.timeout(5):
            assert isinstance(await socket.recv(), bytes)
        await send(socket, {"action": "clear"})
        heard = await hear(socket)
        assert heard.events("cleared") and heard.messages[-1] == {"is_final": True} and heard.close[0] == 1000


# -- what a client does wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"language": "tlh"}, "language"),
        ({"format": "flac"}, "format"),
        ({"format": "opus", "sample_rate": 22050}, "sample_rate"),
        ({"format": "mp3", "sample_rate": 44100, "bitrate": 8}, "bitrate"),
        ({"speed": 9}, "speed"),
    ],
)
async def test_a_wrong_configuration_ends_the_session(served: House, config: dict[str, Any], field: str) -> None:
    async with client(served) as socket:
        await send(socket, config)
        heard = await hear(socket)
    assert len(heard.messages) == 1 and heard.messages[0]["field"] == field
    assert heard.messages[0]["code"] in ("bad_request", "not_found")
    assert heard.close == (1008, heard.messages[0]["code"])
    await gone(served)


async def test_a_bad_message_in_mid_stream_ends_nothing(served: House) -> None:
    async with client(served, FAST) as socket:
        await socket.send(b"\x00\x01")
        await socket.send("{")
        await send(socket, {"action": "dance"}, {"text": "x" * 5001}, {"text": 5}, {})
        await send(socket, {"text": "Still here.", "action": "stop"})
        heard = await hear(socket)
    errors = [message for message in heard.messages if "error" in message]
    assert [error["fatal"] for error in errors] == [False] * 6
    assert [error["code"] for error in errors].count("text_too_long") == 1
    assert heard.events("done")[0]["spoken"] == "Still here." and heard.close[0] == 1000


async def test_binary_first_is_an_error(served: House) -> None:
    async with client(served) as socket:
        await socket.send(b"\x00\x01")
        heard = await hear(socket)
    assert heard.messages[0]["code"] == "bad_request" and heard.close[0] == 1008


async def test_too_much_text_at_once_ends_the_session() -> None:
    async with house(speaker_limits=SpeakerLimits(waiting=200)) as served, client(served, {}) as socket:
        await send(socket, *({"text": "x" * 90} for _ in range(4)))
        heard = await hear(socket)
        assert heard.messages[-1]["code"] == "too_fast" and heard.close[0] == 1008


async def test_nothing_said_for_too_long(served: House) -> None:
    async with house(limits=Limits(first_message=0.2, idle=0.3)) as strict:
        async with client(strict) as socket:
            heard = await hear(socket)
            assert heard.messages[0]["code"] == "timeout" and heard.close[0] == 1008
        async with client(strict, {}) as socket:
            # Listening is no idleness: over 2 s of speech are sent in more than 1 s, and idle time begins only then.
            text = "These words are spoken at their own pace, which takes a while. They go on."
            await send(socket, {"text": text * 2, "flush": True})
            began = time.monotonic()
            heard = await hear(socket)
            assert heard.messages[-1]["code"] == "timeout" and time.monotonic() - began > 1.2
            assert heard.events("done")
        await gone(strict)


# -- who may come in ---------------------------------------------------------------------------------


async def test_refusals_come_before_the_handshake() -> None:
    async with house(slots=Slots(0, 1, 0, 0, 1)) as served:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(served.url, additional_headers={"Authorization": "Bearer wrong"}):
                pass
        assert caught.value.response.status_code == 401
        assert json.loads(caught.value.response.body or b"")["code"] == "unauthorized"
        headers = {"Authorization": "Bearer ann-key"}
        async with client(served, {}, additional_headers=headers):
            with pytest.raises(InvalidStatus) as caught:
                async with connect(served.url, additional_headers=headers):
                    pass
            assert caught.value.response.status_code == 429 and "Retry-After" in caught.value.response.headers
        await gone(served)
        assert served.value("rejected_total", kind="speak", reason="too_many_sessions") == 1


async def test_a_key_may_come_by_subprotocol(served: House) -> None:
    async with client(served, {}, subprotocols=["voxline", "token.bob-key"]) as socket:
        assert socket.subprotocol == "voxline"
        await send(socket, {"text": "Hi.", "action": "stop"})
        assert (await hear(socket)).close[0] == 1000


async def test_an_idle_anonymous_session_is_not_counted_by_the_day() -> None:
    async with house(slots=Slots(0, 0, 0, 1, 1)) as served:
        for _ in range(3):
            async with client(served, {}) as socket:
                await send(socket, {"action": "stop"})
                assert (await hear(socket)).messages == [{"is_final": True}]
            await gone(served)
        await spoken(served, ["Hi."], FAST)
        await gone(served)
        with pytest.raises(InvalidStatus) as caught:
            async with client(served):
                pass
        assert caught.value.response.status_code == 429


# -- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "close"), [(Code.ENGINE_FAILED, 1011), (Code.ENGINE_RESTARTED, 1011), (Code.BUSY, 1013)]
)
@pytest.mark.parametrize("after", [0, 9])
async def test_a_failing_engine_is_a_typed_error(code: Code, close: int, after: int) -> None:
    voice = Voice(error=lambda _: VoiceError(code, "It broke."), error_after=after)
    async with house(voice=voice) as served:
        heard = await spoken(served, ["Good day to you."], FAST)
        assert heard.messages[-1]["error"] == "It broke." and heard.messages[-1]["code"] == code.value
        assert heard.close == (close, code.value)
        await gone(served)
        assert served.value("sessions_ended_total", kind="speak", reason=code.value) == 1


async def test_an_engine_that_is_not_installed(served: House) -> None:
    served.voice.installed = False
    async with client(served) as socket:
        await send(socket, {})
        heard = await hear(socket)
    assert heard.messages[0]["code"] == "not_installed" and "espeak" in heard.messages[0]["install"]
    assert heard.close[0] == 1008


async def test_a_client_that_vanishes_frees_everything(served: House) -> None:
    """S1: FIN, RST and a clean close, in the middle of the sound and before the first message."""
    for how in ("close", "abort", "early"):
        async with connect(served.url, compression=None, close_timeout=0.2) as socket:
            if how != "early":
                await send(socket, {"text": "This goes on for a very long time, and on and on. " * 20})
                async with asyncio.timeout(5):
                    while not isinstance(await socket.recv(), bytes):
                        pass
            if how == "abort":
                raw = socket.transport.get_extra_info("socket")
                raw.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: an RST
                socket.transport.abort()
        await gone(served, within=2.0)
    assert served.speaking._streams == set()


async def test_a_client_that_never_reads_is_cut_off() -> None:
    """S2: the send deadline frees the session; what was not taken is never held in memory beyond its bounds."""
    async with house(send_deadline_s=0.5) as served:
        async with client(served, {"format": "pcm_s16le", "sample_rate": 48000, **FAST}, max_queue=1) as socket:
            for _ in range(20):
                await send(socket, {"text": "This goes on for a very long time, and on and on, again. " * 80})
            await gone(served, within=15.0)
        assert served.value("sessions_ended_total", kind="speak", reason="slow_reader") == 1


@pytest.mark.parametrize("reads", [True, False])
async def test_what_waits_for_a_client_is_bounded_in_bytes_even_in_mid_clause(
    monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    """A whole long clause used to be encoded however much waited: megabytes at 48 kHz for a client that never reads."""
    monkeypatch.setattr(narrator, "AHEAD_BYTES", 50_000)
    most, made = 0.0, Speaker.made

    def watched(speaker: Speaker, job: Job, data: bytes, *rest: Any) -> None:
        nonlocal most
        made(speaker, job, data, *rest)
        most = max(most, speaker.waiting * 96_000 - len(data))

    monkeypatch.setattr(Speaker, "made", watched)
    async with house(send_deadline_s=0.5) as served:
        text = "This goes on for a very long time and on and on again and then some more of it. " * 20
        if reads:
            heard = await spoken(served, [text], {"format": "pcm_s16le", "sample_rate": 48000, **FAST})
            assert heard.events("done")[0]["spoken"] == text.rstrip() and heard.close == (1000, "")
        else:
            async with client(served, {"format": "pcm_s16le", "sample_rate": 48000, **FAST}, max_queue=1) as socket:
                await send(socket, *({"text": text} for _ in range(20)))
                await gone(served, within=15.0)
    assert most <= 50_000 + 0.25 * 96_000, "and the quiet between two clauses"


@pytest.mark.parametrize(("owner", "name", "error"), [(Session, "tick", ValueError), (Socket, "receive", TimeoutError)])
async def test_a_bug_ends_the_session_with_a_typed_error(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: type[Exception]
) -> None:
    """A broken timer used to leave the session without deadlines, and a foreign time-out closed it without a word."""

    def broken(*_: object) -> None:
        raise error

    async with house(limits=Limits(first_message=0.5, idle=0.2)) as running:
        async with client(running, {}) as socket:
            monkeypatch.setattr(owner, name, broken)
            if name == "receive":
                await send(socket, {"action": "keepalive"}, {"action": "keepalive"})
            heard = await hear(socket)
        assert heard.messages[-1]["code"] == Code.INTERNAL.value and socket.close_code == 1011
        monkeypatch.undo()
        await gone(running)


async def test_a_reader_that_is_slow_for_a_while_loses_nothing(served: House) -> None:
    text = "This goes on for a very long time, and on and on, again. " * 60
    async with client(served, {"sample_rate": 48000, **FAST}, max_queue=1) as socket:
        await send(socket, {"text": text, "action": "stop"})
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.5, done.set)
        await done.wait()
        heard = await hear(socket)
    assert heard.events("done")[0]["spoken"] == text.strip() and heard.close[0] == 1000
    assert len(heard.pcm) / 2 / 48000 == pytest.approx(heard.events("done")[0]["end"], abs=0.001)


async def test_sigterm_lets_everybody_hear_the_end() -> None:
    """P7: what was asked for is sent whole, as fast as it is made, then 1012; idle sessions end at once."""
    text = "This would take more than a minute at its own pace. " * 60
    async with house() as served, client(served, {}) as talking, client(served, {}) as idle, client(served) as early:
        await send(talking, {"text": text})
        async with asyncio.timeout(5):
            heard = Heard()
            while not heard.frames:
                heard.add(await talking.recv())
        began = time.monotonic()
        drained = asyncio.ensure_future(served.speaking.drain(10.0))
        rest = await hear(talking)
        assert rest.events("done")[0]["spoken"] == text.strip() and rest.messages[-1] == {"is_final": True}
        assert rest.close == (1012, "the server restarts")
        assert len(heard.pcm + rest.pcm) / 2 / RATE > 60 and time.monotonic() - began < 8
        assert (await hear(idle)).close[0] == 1012
        ended = await hear(early)
        assert ended.messages[0]["code"] == "shutting_down" and ended.close[0] == 1012
        await drained
        with pytest.raises(InvalidStatus) as caught:
            async with client(served):
                pass
        assert caught.value.response.status_code == 503


async def test_sigterm_does_not_wait_for_ever() -> None:
    voice = Voice(gate=asyncio.Event())
    async with house(voice=voice) as served, client(served, {}) as socket:
        await send(socket, {"text": "The engine never says this. Nor this."})
        await until(lambda: len(voice.asked) == 1, 5)
        await served.speaking.drain(0.2)
        heard = await hear(socket)
        assert heard.messages[-1]["code"] == "shutting_down" and heard.close[0] == 1012


# -- the real voice ----------------------------------------------------------------------------------


async def test_espeak_ng_speaks_over_the_wire() -> None:
    """First sound before the text is complete, words in their places, and the length of the speech it is."""
    async with house(specs=[ESPEAK]) as served:
        took = []
        for _ in range(5):
            async with client(served, {"language": "en", "word_timestamps": True, **FAST}) as socket:
                began = time.perf_counter()
                await send(socket, {"text": "Good morning, my dear friend, "})
                async with asyncio.timeout(5):
                    first = await socket.recv()
                    while not isinstance(first, bytes):
                        first = await socket.recv()
                took.append(time.perf_counter() - began)
                await send(socket, {"text": "it is a lovely day. I paid 3.14 dollars."}, {"action": "stop"})
                heard = await hear(socket)
        assert min(took) < 0.05
        words = [message for message in heard.messages if "word" in message]
        assert [word["word"] for word in words][-3:] == ["paid", "3.14", "dollars"]
        assert all(a["start"] < b["start"] for a, b in pairwise(words))
        seconds = (len(heard.pcm) + len(first)) / 2 / RATE
        assert 3.0 < seconds < 8.0 and heard.events("done")[0]["end"] == pytest.approx(seconds, abs=0.001)
        slow = await spoken(served, ["It is a lovely day."], {"language": "en", "speed": 0.5, **FAST})
        quick = await spoken(served, ["It is a lovely day."], {"language": "en", "speed": 2.0, **FAST})
        ratio = len(slow.pcm) / len(quick.pcm)
        assert 3 < ratio < 6.5, "half against double speed"


async def test_an_engine_that_is_killed_in_mid_session() -> None:
    """S7: the next clause is made by its successor, or the session ends with a typed error; nobody hangs."""
    limits = SpeakerLimits(lead_s=0.2, ahead_s=0.3)
    async with house(specs=[ESPEAK], speaker_limits=limits) as served:
        for _ in range(2):
            async with client(served, {"language": "en"}) as socket:
                await send(socket, {"text": "This is one of many sentences. " * 40, "flush": True})
                heard = Heard()
                async with asyncio.timeout(20):
                    while len(heard.pcm) < RATE:
                        heard.add(await socket.recv())
                    assert served.fleet is not None
                    for pid in served.fleet.pids():
                        os.kill(pid, signal.SIGKILL)
                    try:
                        while len(heard.pcm) < 4 * RATE:
                            heard.add(await socket.recv())
                    except ConnectionClosed:
                        assert heard.messages[-1]["code"] in ("engine_restarted", "busy")
        assert len((await spoken(served, ["All is well."], {"language": "en", **FAST})).pcm) > RATE / 2
