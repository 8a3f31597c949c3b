"""The sound card of this machine, through PortAudio where it is installed: a microphone in, a loudspeaker out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_INSTALL = "install PortAudio (Debian, Ubuntu: apt-get install libportaudio2; macOS: brew install portaudio)"
_BLOCK_S = 0.1
_WAITING_BLOCKS = 50  # of a listener that falls behind; older sound is dropped, as a sound card would


class NoAudio(Exception):
    """There is no way to hear or be heard here; the message says what to install."""


def audio_problem() -> str:
    """Why sound cannot be recorded or played here, and what to do; "" when it can."""
    try:
        import sounddevice
    except ImportError:
        return "pip install sounddevice, then " + _INSTALL
    except OSError:
        return _INSTALL
    return "" if len(sounddevice.query_devices()) else "connect a sound device; PortAudio finds none"


def play(pcm: bytes, rate: int) -> None:
    """Play s16le mono sound and wait for its end."""
    sounddevice = _sounddevice()
    with sounddevice.RawOutputStream(samplerate=rate, channels=1, dtype="int16") as stream:
        stream.write(pcm)


@asynccontextmanager
async def microphone(rate: int) -> AsyncIterator[AsyncIterator[bytes]]:
    """Blocks of s16le mono sound as they are recorded, until the context is left."""
    sounddevice, loop = _sounddevice(), asyncio.get_running_loop()
    blocks: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_BLOCKS)

    def keep(block: bytes) -> None:
        if blocks.full():
            blocks.get_nowait()
        blocks.put_nowait(block)

    def heard(block: Any, _frames: int, _time: object, _status: object) -> None:
        loop.call_soon_threadsafe(keep, bytes(block))

    async def recorded() -> AsyncIterator[bytes]:
        while True:
            yield await blocks.get()

    size = int(rate * _BLOCK_S)
    with sounddevice.RawInputStream(samplerate=rate, blocksize=size, channels=1, dtype="int16", callback=heard):
        yield recorded()


def _sounddevice() -> Any:
    problem = audio_problem()
    if problem:
        raise NoAudio(f"sound needs a device and PortAudio here: {problem}")
    import sounddevice

    return sounddevice
