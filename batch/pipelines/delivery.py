"""A tape to the file that was asked for, at the rate and bitrate it can have."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event

from batch.pipelines.base import ProducedFile
from batch.pipelines.tape import Tape
from engines.encode import mp3_bitrates, mp3_rates
from engines.encode_file import FileEncoder
from protocol.work import Delivery

_MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "ogg": "audio/ogg"}


def rate_for(delivery: Delivery, native: int) -> int:
    """The sample rate to write: what was asked for, else that of the sound, or the nearest one mp3 has (B7)."""
    if delivery.sample_rate is not None or delivery.format != "mp3":
        return delivery.sample_rate or native
    if delivery.bitrate is None:
        possible = [
            rate for rate in (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000) if mp3_bitrates(rate)
        ]
    else:
        possible = list(mp3_rates(1000 * delivery.bitrate))
    above = [rate for rate in possible if rate >= native]
    return min(above) if above else max(possible, default=native)


async def deliver(tape: Tape, delivery: Delivery, directory: Path, tell: Callable[[float], None]) -> ProducedFile:
    """Encode a tape, off the loop. BAD_REQUEST for a rate or bitrate the format does not have."""
    bitrate = 1000 * delivery.bitrate if delivery.bitrate and delivery.format == "mp3" else None
    path = directory / f"audio.{delivery.format}"
    stopped = Event()

    def told(share: float) -> None:
        if stopped.is_set():
            raise _Stopped
        tell(share)

    def write() -> None:
        with FileEncoder(path, delivery.format, tape.rate, bitrate=bitrate) as encoder:
            tape.encode(encoder, told)

    try:
        await asyncio.to_thread(write)
    finally:
        stopped.set()  # cancelled, the thread would go on to the end
    return ProducedFile("audio", path, _MEDIA_TYPES[delivery.format])


class _Stopped(Exception):
    """Nobody waits for the file any more."""
