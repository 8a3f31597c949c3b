"""``POST /v1/tts`` over a real server: the document's example, every error of its table, sound while it is made."""

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from engines.catalogue import Catalogue
from engines.encode import mp3_bitrates
from protocol.audio import Encoding
from protocol.dialects.vbee_realtime import BITRATES, SAMPLE_RATES, Request
from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from stream.admission import Limits as Slots
from stream.realtime import CallLimits, resolve_rates
from tests.server.serving import until
from tests.stream.speaking_server import ESPEAK, RATE, House, Voice, house, read

VOICE = "hn_female_ngochuyen_full_48k-fhg"
HEADERS = {"Authorization": "Bearer ann-key", "App-id": "your-app-id", "Content-Type": "application/json"}
LEAST = {"text": "Xin chào, đây là giọng nói tổng hợp từ Vbee.", "voiceCode": VOICE, "mode": "sync"}


class Answer:
    """A reply as it comes in; over one connection, so that a test sees each part when it arrives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}

    async def head(self) -> "Answer":
        async with asyncio.timeout(10):
            self.status = int((await self.reader.readline()).split()[1])
            while line := (await self.reader.readline()).strip():
                name, _, value = line.decode().partition(":")
                self.headers[name.lower()] = value.strip()
        return self

    async def chunk(self) -> bytes:
        async with asyncio.timeout(10):
            size = int(await self.reader.readline(), 16)
            data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def body(self) -> bytes:
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        parts = []
        while data := await self.chunk():
            parts.append(data)
        return b"".join(parts)

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def ask(
    house: House, body: bytes | dict[str, Any], *, path: str = "/v1/tts", headers: dict[str, str] | None = None,
    method: str = "POST", size: int | None = None,
) -> Answer:  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", house.served.port)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "x", **(HEADERS if headers is None else headers), "Content-Length": str(size or len(data))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + data)
    return Answer(reader, writer)


async def answer(house: House, body: bytes | dict[str, Any], **options: Any) -> tuple[int, dict[str, str], bytes]:
    given = await ask(house, body, **options)
    try:
        await given.head()
        return given.status, given.headers, await given.body()
    finally:
        await given.close()


async def error(house: House, body: bytes | dict[str, Any], **options: Any) -> tuple[int, str, str]:
    status, headers, data = await answer(house, body, **options)
    assert headers["content-type"] == "application/json"
    found = json.loads(data)["error"]
    return status, found["code"], found["message"]


@pytest.fixture
async def served() -> AsyncIterator[House]:
    async with house() as running:
        yield running


# -- sound -------------------------------------------------------------------------------------------


async def test_the_documents_example_as_curl(tmp_path: Path) -> None:
    """E, request example: only the address and the token are changed; the file is a playable mp3."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    out = tmp_path / "output.mp3"
    async with house(specs=[ESPEAK]) as served:
        process = await asyncio.create_subprocess_exec(
            curl, "-s", "-X", "POST", f"http://127.0.0.1:{served.served.port}/v1/tts",
            "-H", "Content-Type: application/json", "-H", "Authorization: Bearer ann-key", "-H", "App-id: your-app-id",
            "-d", """{
    "text": "Xin chào, đây là giọng nói tổng hợp từ Vbee.",
    "voiceCode": "hn_female_ngochuyen_full_48k-fhg",
    "outputFormat": "mp3",
    "bitrate": 128,
    "speed": 1.0,
    "mode": "sync"
  }""", "--output", str(out),
        )  # fmt: skip
        assert await process.wait() == 0
    with av.open(str(out)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name.startswith("mp3") and stream.rate == 48000  # E8: the voice's highest
        assert 1.5 < sum(frame.samples for frame in container.decode(stream)) / 48000 < 5


async def test_every_format_at_every_rate() -> None:
    """E5, E6, E8: as long at each rate as at the others, and what MPEG does not allow is not asked for."""
    async with house(specs=[ESPEAK]) as served:
        seconds: dict[tuple[str, int], float] = {}
        for name in ("mp3", "wav", "pcm"):
            for rate in SAMPLE_RATES:
                status, headers, body = await answer(served, {**LEAST, "outputFormat": name, "sampleRate": rate})
                assert status == 200 and headers["x-engine"] == "espeak-ng"
                expected = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": f"audio/pcm;rate={rate}"}
                assert headers["content-type"] == expected[name] and "content-length" not in headers
                seconds[name, rate] = len(body) / 2 / rate if name == "pcm" else length(body, rate)
        longest, shortest = max(seconds.values()), min(seconds.values())
        assert shortest > 1.5 and longest - shortest < 0.25, seconds


def length(body: bytes, rate: int) -> float:
    with av.open(io.BytesIO(body)) as container:
        stream = container.streams.audio[0]
        assert stream.rate == rate
        return float(sum(frame.samples for frame in container.decode(stream)) / rate)


async def test_three_hundred_characters_are_spoken_whole(served: House) -> None:
    """E2, to the character, trimmed; long texts go to the engine clause by clause, joined without a loss."""
    text = ("Mười hai con ngựa chạy rất nhanh, qua cánh đồng xanh. " * 6)[:299].strip() + "!"
    assert len(text) == 300
    status, _, body = await answer(served, {**LEAST, "text": f"  {text}\n", "outputFormat": "pcm", "sampleRate": 22050})
    assert status == 200
    assert "".join(read(body, text).split()) == "".join(text.split())
    requests = [request for request, _ in served.voice.asked]
    assert len(requests) > 3 and all(request.voice == "vi/female-1" for request in requests)
    assert [priority for _, priority in served.voice.asked] == [
        Priority.FINAL, *[Priority.SYNCHRONOUS] * (len(requests) - 1),
    ]  # fmt: skip


async def test_the_first_bytes_leave_before_synthesis_ends() -> None:
    voice = Voice(gate=asyncio.Event())
    async with house(voice=voice) as served:
        body = {**LEAST, "text": "Đây là câu đầu tiên, và đây là câu sau.", "outputFormat": "wav", "sampleRate": 22050}
        given = await ask(served, body)
        await until(lambda: len(voice.streams) == 2, 5)
        voice._say(voice.streams[0])
        await given.head()
        assert given.status == 200 and (await given.chunk()).startswith(b"RIFF")
        assert not voice.streams[1].ended
        voice.resume()
        assert len(await given.body()) > 1000
        await given.close()


async def test_speed_reaches_the_engine(served: House) -> None:
    await answer(served, {**LEAST, "speed": 1.9})
    assert {request.speed for request, _ in served.voice.asked} == {1.9}


async def test_a_text_with_nothing_to_say_is_a_short_silence(served: House) -> None:
    status, _, body = await answer(served, {**LEAST, "text": "...", "outputFormat": "pcm", "sampleRate": 8000})
    assert status == 200 and len(body) == 2 * 1600 and not any(body) and not served.voice.asked


# -- errors (E10, E11) -------------------------------------------------------------------------------


async def test_unauthorized(served: House) -> None:
    for headers in (
        {},
        {"App-Id": "x"},
        {"Authorization": "Bearer ann-key"},
        {"Authorization": "Bearer wrong", "App-Id": "x"},
        {"Authorization": "Basic ann-key", "App-Id": "x"},
    ):
        status, code, _ = await error(served, LEAST, headers=headers)
        assert (status, code) == (401, "UNAUTHORIZED")
    assert (await error(served, b"{", headers={}))[:2] == (401, "UNAUTHORIZED"), "who has no right is told that first"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "x" * 301}, "text must be less than or equal to 300 characters"),
        ({"text": ""}, "text must not be empty"),
        ({"mode": None}, "mode is required"),
        ({"voiceCode": "nobody"}, "voiceCode does not exist"),
        ({"outputFormat": "ogg"}, "outputFormat must be one of mp3, wav, pcm"),
        ({"bitrate": 160}, "bitrate must be one of 8, 16, 32, 64, 128"),
        ({"speed": 2}, "speed must be less than or equal to 1.9"),
        (
            {"voiceCode": "af-ZA-Standard-A", "sampleRate": 48000},
            "sampleRate must be one of 8000, 16000, 22050, 24000 for voiceCode af-ZA-Standard-A",
        ),
        (
            {"bitrate": 8, "sampleRate": 44100},
            "bitrate 8 is not possible at sampleRate 44100 in mp3: at sampleRate 44100 bitrate must be one of 32, 64, "
            "128; at bitrate 8 sampleRate must be one of 8000, 16000, 22050, 24000",
        ),
    ],
)
async def test_bad_requests(served: House, changes: dict[str, Any], message: str) -> None:
    assert await error(served, {**LEAST, **changes}) == (400, "BAD_REQUEST", message)


async def test_bad_bodies(served: House) -> None:
    assert await error(served, b'{"text": ') == (400, "BAD_REQUEST", "request body must be valid JSON")
    assert await error(served, b"[]") == (400, "BAD_REQUEST", "request body must be a JSON object")
    assert await error(served, b" " * 65_537) == (400, "BAD_REQUEST", "request body must be at most 65536 bytes")


async def test_a_body_that_never_comes() -> None:
    async with house(call_limits=CallLimits(body_s=0.2)) as served:
        status, code, _ = await error(served, b"{", size=100)
        assert (status, code) == (400, "BAD_REQUEST")


async def test_too_many_calls_at_once() -> None:
    voice = Voice(gate=asyncio.Event())
    async with house(voice=voice, calls=Slots(0, 2, 0, 0, 0)) as served:
        running = [await ask(served, LEAST) for _ in range(2)]
        await until(lambda: served.calls.taken == 2, 5)
        status, code, _ = await error(served, LEAST)
        assert (status, code) == (429, "TTS_CCR_MAX_LIMIT_REACHED")
        other = {**HEADERS, "Authorization": "Bearer bob-key"}
        running.append(await ask(served, LEAST, headers=other))
        await until(lambda: served.calls.taken == 3, 5)
        voice.resume()
        for given in running:
            await given.head()
            assert given.status == 200 and await given.body()
            await given.close()
        await until(lambda: served.calls.taken == 0, 5)
        assert served.value("sessions", kind="call") == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.ENGINE_FAILED, (500, "INTERNAL_SERVER_ERROR")),
        (Code.ENGINE_RESTARTED, (500, "INTERNAL_SERVER_ERROR")),
        (Code.STORAGE_FULL, (500, "TTS_SPEND_CREDITS_FAILED")),
        (Code.BUSY, (429, "TTS_CCR_MAX_LIMIT_REACHED")),
    ],
)
async def test_a_failure_before_the_first_byte_is_json(code: Code, expected: tuple[int, str]) -> None:
    async with house(voice=Voice(error=lambda _: VoiceError(code, "It broke."))) as served:
        assert await error(served, LEAST) == (*expected, "It broke.")
        assert served.calls.taken == 0


async def test_a_failure_after_it_cuts_the_answer_short() -> None:
    """No caller may take half a text for the whole: the end of the chunked body never comes."""
    voice = Voice(error=lambda _: VoiceError(Code.ENGINE_FAILED, "It broke."), error_after=10)
    async with house(voice=voice) as served:
        given = await ask(served, {**LEAST, "outputFormat": "pcm", "sampleRate": 22050})
        await given.head()
        assert given.status == 200 and await given.chunk()
        with pytest.raises((asyncio.IncompleteReadError, ValueError, ConnectionError)):
            await given.body()
        await given.close()
        await until(lambda: served.calls.taken == 0, 5)


async def test_an_engine_that_is_not_installed(served: House) -> None:
    served.voice.installed = False
    status, code, message = await error(served, LEAST)
    assert (status, code) == (400, "BAD_REQUEST") and "not installed" in message


async def test_a_caller_who_leaves_stops_the_engine() -> None:
    voice = Voice(gate=asyncio.Event())
    async with house(voice=voice) as served:
        given = await ask(served, {**LEAST, "text": "Một câu nói. Hai câu nói. Ba câu nói."})
        await until(lambda: len(voice.streams) == 2, 5)
        await given.close()
        await until(lambda: served.calls.taken == 0, 2)
        assert voice.cancelled == 2


async def test_a_caller_who_never_reads_is_cut_off() -> None:
    async with house(call_limits=CallLimits(send_s=0.3)) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.served.port, limit=1024)
        writer.transport.get_extra_info("socket").setsockopt(1, 8, 4096)  # SO_RCVBUF
        text = "Một câu rất dài " * 18
        body = json.dumps({**LEAST, "text": text, "outputFormat": "wav", "sampleRate": 48000, "speed": 0.25}).encode()
        head = "".join(f"{name}: {value}\r\n" for name, value in {**HEADERS, "Content-Length": str(len(body))}.items())
        writer.write(f"POST /v1/tts HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body)
        await until(lambda: served.value("sessions_opened_total", kind="call") == 1, 5)
        await until(lambda: served.calls.taken == 0, 10)
        writer.transport.abort()


# -- nothing is sniffed here: who is it for was decided before (server.dispatch) -------------------------


async def test_whatever_comes_is_taken_for_its_own(served: House) -> None:
    multipart = {**HEADERS, "Content-Type": "multipart/form-data; boundary=x"}
    assert (await error(served, b"--x--", headers=multipart))[:2] == (400, "BAD_REQUEST")
    theirs = {"model": "kokoro", "voice": "af_bella", "text": "Hi"}
    assert (await error(served, theirs))[:2] == (400, "BAD_REQUEST")
    for path in ("/v1/tts/", "/e/v1/tts"):
        assert (await answer(served, LEAST, path=path))[0] == 200


async def test_only_post_is_taken(served: House) -> None:
    assert (await error(served, b"", method="GET"))[:2] == (405, "BAD_REQUEST")


# -- rates and bitrates (E6, E8) -----------------------------------------------------------------------


def request(bitrate: int | None, rate: int | None, encoding: Encoding = Encoding.MP3) -> Request:
    return Request("Hi", VOICE, encoding, bitrate, 1.0, rate)


def test_what_was_asked_for_is_kept_and_the_other_follows() -> None:
    catalogue = Catalogue.load()
    for voice in catalogue.all():
        assert resolve_rates(request(None, None), voice)[1] == 128_000
        assert resolve_rates(request(None, None, Encoding.WAV), voice) == (voice.default_rate, None)
        for rate in voice.rates:
            assert resolve_rates(request(None, rate, Encoding.PCM_S16LE), voice) == (rate, None)
            assert resolve_rates(request(8, rate, Encoding.WAV), voice) == (rate, None)
            found, bitrate = resolve_rates(request(None, rate), voice)
            assert found == rate and bitrate in mp3_bitrates(rate)
            assert bitrate == 128_000 or rate in (8000, 11025, 12000)
        for kbps in BITRATES:
            rate, bitrate = resolve_rates(request(kbps, None), voice)
            assert bitrate == 1000 * kbps and bitrate in mp3_bitrates(rate) and rate in voice.rates


def test_a_pair_that_mpeg_does_not_have_names_those_it_has() -> None:
    voice = Catalogue.load().find(VOICE)
    assert voice is not None
    refused = 0
    for kbps in BITRATES:
        for rate in SAMPLE_RATES:
            if 1000 * kbps in mp3_bitrates(rate):
                assert resolve_rates(request(kbps, rate), voice) == (rate, 1000 * kbps)
                continue
            refused += 1
            with pytest.raises(VoiceError) as caught:
                resolve_rates(request(kbps, rate), voice)
            assert caught.value.code is Code.BAD_REQUEST and str(rate) in caught.value.message
    assert refused == 7, "8 and 16 kbps at 32, 44.1 and 48 kHz; 128 kbps at 8 kHz"


async def test_the_real_voice_is_as_loud_as_speech() -> None:
    async with house(specs=[ESPEAK]) as served:
        _, _, body = await answer(served, {**LEAST, "outputFormat": "pcm", "sampleRate": 16000})
        samples = np.frombuffer(body, "<i2").astype(float)
        assert 500 < np.sqrt((samples**2).mean()) < 12_000 and np.abs(samples).max() < 32_767
        assert len(samples) / 16000 == pytest.approx(len(body) / 2 / 16000) and RATE == 22050
