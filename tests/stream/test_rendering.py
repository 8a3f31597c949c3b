"""Engine sound to client bytes: whole whatever the pieces, joined with quiet, clean after a reset."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest

from protocol.audio import AudioFormat, Encoding, mulaw_decode
from protocol.errors import Code, VoiceError
from protocol.requests import SpeechChunk
from stream.rendering import Rendering


def tone(seconds: float, rate: int = 22050, hertz: float = 440.0) -> bytes:
    at = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * at)).astype("<i2").tobytes()


def decoded(data: bytes) -> tuple[np.ndarray, int]:
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray().astype(np.float64).ravel() for frame in container.decode(stream)]
        return np.concatenate(parts), stream.rate


def loud_until(data: bytes) -> float:
    samples, rate = decoded(data)
    return float(np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())[-1]) / rate


async def test_pcm_passes_and_is_resampled_to_the_sample() -> None:
    plain = Rendering(AudioFormat(Encoding.PCM_S16LE, 22050))
    sound = tone(0.5)
    assert plain.render(sound, 22050) + plain.finish() == sound
    half = Rendering(AudioFormat(Encoding.PCM_S16LE, 8000))
    out = b"".join(half.render(sound[start : start + 1000], 22050) for start in range(0, len(sound), 1000))
    out += half.finish()
    assert abs(len(out) // 2 - 4000) <= 2


async def test_pieces_of_uncompressed_sound_are_whole_chunks() -> None:
    rendering = Rendering(AudioFormat(Encoding.MULAW, 8000))
    found = [piece async for piece in rendering.pieces(SpeechChunk(tone(1.0), 22050))]
    assert len(found) == 1 and found[0][1] == pytest.approx(1.0)
    samples = np.frombuffer(mulaw_decode(found[0][0] + rendering.finish()), "<i2")
    assert abs(len(samples) - 8000) <= 2 and 7000 < np.abs(samples).max() < 9000


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize(("encoding", "rate"), [(Encoding.MP3, 22050), (Encoding.OPUS, 24000), (Encoding.MP3, 8000)])
async def test_compressed_sound_has_its_length(encoding: Encoding, rate: int, threads: int) -> None:
    """On the loop and in a pool of threads; seconds count what went in."""
    rendering = Rendering(AudioFormat(encoding, rate))
    pool = ThreadPoolExecutor(threads) if threads else None
    out, seconds, count = bytearray(), 0.0, 0
    for _ in range(2):
        async for data, length in rendering.pieces(SpeechChunk(tone(1.5), 22050), pool):
            out += data
            seconds += length
            count += 1
    out += rendering.finish()
    if pool is not None:
        pool.shutdown()
    samples, found = decoded(bytes(out))
    assert seconds == pytest.approx(3.0) and count > 4
    assert len(samples) / found == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize(
    ("encoding", "rate"),
    [(Encoding.MP3, 8000), (Encoding.MP3, 22050), (Encoding.MP3, 44100), (Encoding.OPUS, 24000), (Encoding.OPUS, 8000)],
)
async def test_what_an_encoder_holds_back_can_be_had_while_nothing_follows(encoding: Encoding, rate: int) -> None:
    """Else the last word of a clause ends when the next one begins, however long that takes."""
    rendering = Rendering(AudioFormat(encoding, rate))
    lead_s = rendering.part(0.0)[1]
    data = b"".join([data async for data, _ in rendering.pieces(SpeechChunk(tone(0.5), 22050))])
    short = loud_until(data)
    rest, quiet_s = rendering.drain()
    assert loud_until(data + rest) == pytest.approx(lead_s + 0.5, abs=0.012)
    assert short < loud_until(data + rest) - 0.02
    assert 0 < quiet_s < 0.12 + 1200 / rate
    assert rendering.part(quiet_s)[1] == 0.0  # it is part of the pause before the next clause
    data += rest + rendering.finish()
    samples, decoded_rate = decoded(data)
    assert len(samples) / decoded_rate == pytest.approx(lead_s + 0.5 + quiet_s + rendering.tail_s, abs=0.03)


async def test_plain_sound_holds_nothing_back() -> None:
    rendering = Rendering(AudioFormat(Encoding.PCM_S16LE, 22050))
    rendering.render(tone(0.1), 22050)
    assert rendering.drain() == (b"", 0.0)
    assert rendering.finish() == b"" and rendering.tail_s == 0.0


async def test_a_change_of_the_engines_rate_loses_nothing() -> None:
    rendering = Rendering(AudioFormat(Encoding.PCM_S16LE, 16000))
    out = rendering.render(tone(0.5), 22050) + rendering.render(tone(0.5, 24000), 24000) + rendering.finish()
    assert abs(len(out) // 2 - 16000) <= 4


async def test_the_gap_counts_the_quiet_that_is_there() -> None:
    """An engine that pauses by itself gets no second pause."""
    rendering = Rendering(AudioFormat(Encoding.PCM_S16LE, 22050))
    rendering.render(tone(0.5), 22050)
    data, seconds = rendering.part(0.2)
    assert data == bytes(2 * 4410) and seconds == pytest.approx(0.2)
    rendering.render(tone(0.5) + bytes(2 * 2205), 22050)
    assert rendering.part(0.2)[1] == pytest.approx(0.1, abs=0.001)
    rendering.render(tone(0.5) + bytes(2 * 22050), 22050)
    assert rendering.part(0.2) == (b"", 0.0)
    rendering.render(bytes(2 * 22050), 22050)
    assert rendering.part(0.2) == (b"", 0.0)


async def test_after_a_reset_the_next_sound_is_clean() -> None:
    """What follows a clear is a stream of its own, without a sound of what was dropped."""
    rendering = Rendering(AudioFormat(Encoding.MP3, 22050))
    rendering.render(tone(2.0, hertz=3000), 22050)
    rendering.reset()
    out = rendering.render(tone(1.0, hertz=300), 22050) + rendering.finish()
    samples, rate = decoded(out)
    assert len(samples) / rate == pytest.approx(1.0, abs=0.15)
    spectrum = np.abs(np.fft.rfft(samples))
    found = np.fft.rfftfreq(len(samples), 1 / rate)
    assert spectrum[(found > 2500) & (found < 3500)].max() < spectrum.max() / 1000


async def test_a_reset_while_a_thread_is_at_work() -> None:
    rendering = Rendering(AudioFormat(Encoding.MP3, 22050))
    with ThreadPoolExecutor(1) as pool:
        async def work() -> None:
            async for _ in rendering.pieces(SpeechChunk(tone(30.0), 22050), pool):
                working.set()

        working = asyncio.Event()
        task = asyncio.ensure_future(work())
        await working.wait()
        await asyncio.sleep(0)
        task.cancel()
        rendering.reset()
        out = rendering.render(tone(1.0), 22050) + rendering.finish()
    assert task.cancelled() or task.cancelling()
    samples, rate = decoded(out)
    assert len(samples) / rate == pytest.approx(1.0, abs=0.15)


def test_what_cannot_be_written_is_refused() -> None:
    for audio, bitrate in (
        (AudioFormat(Encoding.OPUS, 22050), None),
        (AudioFormat(Encoding.MP3, 44100), 8000),
        (AudioFormat(Encoding.PCM_S16LE, 4000), None),
    ):
        with pytest.raises(VoiceError) as caught:
            Rendering(audio, bitrate)
        assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"]
