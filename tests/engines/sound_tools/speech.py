"""Speech, rooms and noise made here, and what can be measured of what a tool did to them."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from engines.resample import resample_file
from engines.tts.espeak import Espeak, factory
from protocol.requests import Speak

RATE = 16_000
TEXT = (
    "The quick brown fox jumps over the lazy dog. A journey of a thousand miles begins with a single step. "
    "She sells sea shells by the sea shore."
)

Sound = NDArray[np.float32]


@cache
def synthesizer() -> Espeak:
    return factory({})


@cache
def said(text: str = TEXT, voice: str = "en-us/female-1", rate: int = RATE) -> Sound:
    """A sentence, and half a second of silence after it."""
    chunks = list(synthesizer().speak(Speak(text, voice)))
    pcm = resample_file(b"".join(chunk.pcm for chunk in chunks), chunks[0].rate, rate)
    return np.append(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768, np.zeros(rate // 2, np.float32))


def noisy(sound: Sound, ratio_db: float, *, pink: bool = False, seed: int = 1) -> Sound:
    """The same with steady noise, so many dB below it."""
    noise = np.random.default_rng(seed).standard_normal(len(sound)).astype(np.float32)
    if pink:
        lines = np.fft.rfft(noise)
        noise = np.fft.irfft(lines / np.sqrt(np.maximum(np.arange(len(lines)), 20)), len(noise)).astype(np.float32)
    gain = np.sqrt((sound**2).mean() / (noise**2).mean() / 10 ** (ratio_db / 10))
    return np.asarray(np.clip(sound + gain * noise, -1, 1), np.float32)


def ratio_to(clean: Sound, sound: Sound) -> float:
    """How far what is in ``sound`` of the clean one stands above everything else in it, dB."""
    share = float(clean @ sound / (clean @ clean))
    rest = sound - share * clean
    return float(10 * np.log10(share**2 * (clean @ clean) / (rest @ rest)))


def filtered(sound: Sound, response: Sound) -> Sound:
    """A sound in a room of that impulse response."""
    size = 1 << (len(sound) + len(response)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size))[: len(sound)]
    return np.asarray(wet, np.float32)


def room(decay_s: float, rate: int = RATE, level: float = 0.06) -> Sound:
    """The impulse response of a room that falls by 60 dB in so many seconds."""
    times = np.arange(round(1.2 * decay_s * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(times))
    response = (level * noise * 10 ** (-3 * times / decay_s)).astype(np.float32)
    response[0] = 1.0
    return response


def levels(sound: Sound, rate: int = RATE) -> NDArray[np.float64]:
    """The power of each 20 ms, dB."""
    size = rate // 50
    return np.asarray(10 * np.log10((sound[: len(sound) // size * size].reshape(-1, size) ** 2).mean(axis=1) + 1e-10))
