"""The wire's audio to 16 kHz: the same samples however it is cut, and a window as soon as it is complete."""

import math
import random
import struct

import pytest

from protocol.audio import AudioFormat, Encoding, alaw_encode, mulaw_decode, mulaw_encode
from stream.intake import WINDOW, Intake


def tone(rate: int, seconds: float) -> bytes:
    count = round(rate * seconds)
    return struct.pack(f"<{count}h", *(round(9000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(count)))


FORMATS = [
    AudioFormat(),
    AudioFormat(rate=8000),
    AudioFormat(rate=44100),
    AudioFormat(rate=48000),
    AudioFormat(Encoding.MULAW, 8000),
    AudioFormat(Encoding.ALAW, 16000),
]


def sound(audio: AudioFormat, seconds: float = 1.0) -> bytes:
    pcm = tone(audio.rate, seconds)
    return {Encoding.MULAW: mulaw_encode, Encoding.ALAW: alaw_encode}.get(audio.encoding, bytes)(pcm)


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_any_cut_gives_the_same_samples(audio: AudioFormat) -> None:
    """F2, for the conversion."""
    data, random_ = sound(audio), random.Random(7)
    whole = Intake(audio)
    expected = whole.push(data) + whole.finish()
    assert abs(len(expected) // 2 - 16000) <= 1
    for _ in range(5):
        intake, parts, at = Intake(audio), [], 0
        while at < len(data):
            step = audio.sample_bytes * random_.choice([1, 7, 160, 320, 1000])
            parts.append(intake.push(data[at : at + step]))
            if random_.random() < 0.05:
                parts.append(intake.take())
            at += step
        assert b"".join([*parts, intake.finish()]) == expected


def test_16_khz_pcm_is_passed_on() -> None:
    data = tone(16000, 0.5)
    intake = Intake(AudioFormat())
    assert intake.push(data) + intake.finish() == data


def test_g711_is_unpacked() -> None:
    data = sound(AudioFormat(Encoding.MULAW, 16000))
    assert Intake(AudioFormat(Encoding.MULAW, 16000)).push(data) == mulaw_decode(data)


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_a_window_is_never_late(audio: AudioFormat) -> None:
    """Pieces are kept until they complete the next window, and not a piece longer."""
    data = sound(audio)
    step = round(audio.rate * 0.005) * audio.sample_bytes
    coalesced, plain = Intake(audio), Intake(audio)
    kept = direct = 0
    for at in range(0, len(data), step):
        kept += len(coalesced.push(data[at : at + step])) // 2
        direct += len(plain.push(data[at : at + step]) + plain.take()) // 2
        assert kept // WINDOW == direct // WINDOW


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_as_many_windows_are_given_together_as_it_has_patience_for(audio: AudioFormat) -> None:
    data = sound(audio)
    step = round(audio.rate * 0.02) * audio.sample_bytes
    intake = Intake(audio)
    whole = intake.push(data) + intake.finish()
    intake = Intake(audio)
    intake.patience = 4
    given = [intake.push(data[at : at + step]) for at in range(0, len(data), step)]
    assert sum(map(bool, given)) == len(whole) // 2 // WINDOW // 4
    assert b"".join([*given, intake.finish()]) == whole
