"""``POST /v1/tts``: the document's request gives a playable file, in every format, rate, bitrate and speed (E1-E9)."""

import asyncio
import subprocess
import unicodedata
from pathlib import Path

import httpx
import pytest

from engines.encode import mp3_rates
from loadtest.subject import Subject
from tests.acceptance.calling import TEXT, VOICE, body, caller, error, sound
from tests.acceptance.speaking import decoded

RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
BITRATES = (8, 16, 32, 64, 128)
MP3_PADDING = 2400  # samples a coder of MPEG frames puts around a stream: its delay, and what fills the last frame
AT_ONCE = 6
# The request example of the document, as it stands there.
EXAMPLE = """curl -X POST https://api.vbee.vn/v1/tts \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer <access_token>" \\
  -H "App-id: your-app-id" \\
  -d '{
    "text": "Xin chào, đây là giọng nói tổng hợp từ Vbee.",
    "voiceCode": "hn_female_ngochuyen_full_48k-fhg",
    "outputFormat": "mp3",
    "bitrate": 128,
    "speed": 1.0,
    "mode": "sync"
  }' \\
  --output output.mp3
"""


def test_the_documents_curl_gives_a_playable_mp3(live: Subject, tmp_path: Path) -> None:
    """E1: only the address and the token are filled in."""
    command = EXAMPLE.replace("https://api.vbee.vn", live.http).replace("<access_token>", live.key)
    shell = ["sh", "-c", command.replace("curl ", "curl --silent --show-error --max-time 30 ", 1)]
    subprocess.run(shell, cwd=tmp_path, check=True, capture_output=True)
    media = decoded((tmp_path / "output.mp3").read_bytes())
    assert (media.codec, media.rate, media.bitrate) == ("mp3float", 48000, 128_000)
    assert 2.0 < media.seconds < 6.0
    assert media.loudness > 0.02


async def reference(client: httpx.AsyncClient, **changes: object) -> float:
    """How long the speech is, as uncompressed as it comes."""
    answer = await client.post("/v1/tts", json=body(outputFormat="wav", bitrate=None, **changes))
    return sound(answer, "wav", 48000).seconds


async def test_every_format_rate_and_bitrate(live: Subject) -> None:
    """E5, E6, E8: what was asked for is what comes; a pair MPEG does not have is refused with those it has."""
    async with caller(live) as client:
        seconds, gate = await reference(client), asyncio.Semaphore(AT_ONCE)

        async def check(kind: str, rate: int, bitrate: int | None) -> None:
            async with gate:
                answer = await client.post("/v1/tts", json=body(outputFormat=kind, sampleRate=rate, bitrate=bitrate))
            if kind == "mp3" and bitrate is not None and rate not in mp3_rates(1000 * bitrate):
                status, code, message = error(answer)
                assert (status, code) == (400, "BAD_REQUEST")
                assert f"bitrate {bitrate}" in message and str(rate) in message
                return
            media = sound(answer, kind, rate)
            assert media.rate == rate
            padding = MP3_PADDING / rate if kind == "mp3" else 0.0
            assert seconds - 0.02 < media.seconds < seconds + 0.02 + padding
            assert media.loudness > 0.02
            if kind == "mp3" and bitrate is not None:
                assert media.bitrate == 1000 * bitrate
                assert len(answer.content) == pytest.approx(media.seconds * bitrate * 125, rel=0.05)

        async with asyncio.TaskGroup() as tasks:
            for rate in RATES:
                for kind in ("mp3", "wav", "pcm"):
                    tasks.create_task(check(kind, rate, None))
                for bitrate in BITRATES:
                    tasks.create_task(check("mp3", rate, bitrate))


async def test_the_defaults(live: Subject) -> None:
    """mp3, 128 kbit/s, speed 1.0, the voice's highest rate; a bitrate alone takes the highest rate it goes with."""
    async with caller(live) as client:
        seconds = await reference(client)
        plain = await client.post("/v1/tts", json={"text": TEXT, "mode": "sync", "voiceCode": VOICE})
        media = sound(plain, "mp3", 48000)
        assert (media.rate, media.bitrate) == (48000, 128_000) and media.seconds == pytest.approx(seconds, abs=0.1)
        lean = sound(await client.post("/v1/tts", json=body(bitrate=16)), "mp3", 24000)
        assert lean.bitrate == 16_000 and lean.rate == max(set(mp3_rates(16_000)) & set(RATES))
        standard = await client.post("/v1/tts", json=body(voiceCode="da-DK-Standard-A", text="Goddag."))
        assert sound(standard, "mp3", 24000).rate == 24000


async def test_the_speed_sets_the_length(live: Subject) -> None:
    """E7: 0.25 to 1.9, both ends included."""
    speeds = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.9)
    async with caller(live) as client:
        lengths = await asyncio.gather(*(reference(client, speed=speed) for speed in speeds))
    natural = lengths[speeds.index(1.0)]
    for speed, length in zip(speeds, lengths, strict=True):
        assert length == pytest.approx(natural / speed, rel=0.15), f"speed {speed}"
    assert list(lengths) == sorted(lengths, reverse=True)


def vietnamese(characters: int) -> str:
    """So many composed characters of Vietnamese, without white space at the ends."""
    text = ("Tiếng Việt có nhiều dấu, và mỗi dấu đều quan trọng với người nghe. " * 10)[: characters - 1] + "ế"
    assert len(unicodedata.normalize("NFC", text)) == characters and text == text.strip()
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_300_characters_pass_and_301_fail(live: Subject, form: str) -> None:
    """E2: characters as people count them, after trimming, however they were typed."""

    def typed(characters: int) -> str:
        return f" \n\t {unicodedata.normalize(form, vietnamese(characters))} \u00a0\n"  # type: ignore[arg-type]

    assert form == "NFC" or len(typed(300).strip()) > 330
    async with caller(live) as client:
        fits = await client.post("/v1/tts", json=body(text=typed(300), sampleRate=16000, bitrate=None))
        over = await client.post("/v1/tts", json=body(text=typed(301)))
    assert sound(fits, "mp3", 16000).seconds > 10
    assert error(over) == (400, "BAD_REQUEST", "text must be less than or equal to 300 characters")  # E10 has it so


@pytest.mark.parametrize("text", ["?!", "🎉", "...", "1", "a"])
async def test_a_text_with_hardly_anything_to_say_is_a_file_all_the_same(live: Subject, text: str) -> None:
    async with caller(live) as client:
        for kind in ("mp3", "wav", "pcm"):
            asked = body(text=text, outputFormat=kind, sampleRate=16000, bitrate=None)
            answer = await client.post("/v1/tts", json=asked)
            assert 0 < sound(answer, kind, 16000).seconds < 3


async def test_the_same_words_last_as_long_however_they_are_typed(live: Subject) -> None:
    """Composed and decomposed letters are one text to the voice as well, which is never quite the same twice."""
    async with caller(live) as client:
        composed, decomposed = [
            await reference(client, text=unicodedata.normalize(form, vietnamese(60))) for form in ("NFC", "NFD")
        ]
    assert composed == pytest.approx(decomposed, rel=0.01)


async def test_the_voices_of_the_documents_are_all_there(live: Subject) -> None:
    """B15 and B16: each of the 31 codes speaks; women higher than men by and large is the catalogue's own test."""
    async with caller(live) as client:
        rows = (await client.get("/v1/voices")).json()["voices"]
        codes = [row["id"] for row in rows if row["id"].endswith("-fhg") or "-Standard-" in row["id"]]
        assert len(codes) == 31
        gate = asyncio.Semaphore(AT_ONCE)

        async def speak(code: str) -> float:
            async with gate:
                answer = await client.post("/v1/tts", json=body(voiceCode=code, text="1 2 3", outputFormat="wav"))
            return sound(answer, "wav", 0).loudness

        assert min(await asyncio.gather(*map(speak, codes))) > 0.01
