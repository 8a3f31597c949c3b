"""The speech detector alone: what it calls speech, and that streams in one call do not see each other."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engines.base import Task
from engines.vad.silero import CONTEXT, STATE, WINDOW, SileroVad, factory
from protocol.errors import Code, VoiceError
from tests.checkpoints.nano_whisper.held_out import speak

Sound = npt.NDArray[np.float32]
RATE = 16000


@pytest.fixture(scope="module")
def detector() -> SileroVad:
    return factory({})


def probabilities(detector: SileroVad, sounds: Sequence[Sound]) -> Sound:
    """Probabilities of every window (rows) of sounds of one length (columns), all in one batch."""
    state, context = np.zeros((2, len(sounds), STATE), np.float32), np.zeros((len(sounds), CONTEXT), np.float32)
    rows = []
    for start in range(0, min(map(len, sounds)) - WINDOW + 1, WINDOW):
        new = np.stack([sound[start : start + WINDOW] for sound in sounds]).astype(np.float32)
        answer, after = detector.detect(np.concatenate([context, new], axis=1).tobytes(), state.tobytes())
        state, context = np.frombuffer(after, np.float32).reshape(2, -1, STATE), new[:, -CONTEXT:]
        rows.append(np.frombuffer(answer, np.float32))
    return np.stack(rows)


def longest_run(speech: npt.NDArray[np.bool_]) -> int:
    best = run = 0
    for value in speech.tolist():
        run = run + 1 if value else 0
        best = max(best, run)
    return best


def test_it_says_what_it_is(detector: SileroVad) -> None:
    described = detector.describe()
    assert (described.engine, described.task, described.rate) == ("silero-vad", Task.DETECT, RATE)
    detector.close()


def test_speech_is_found_between_silences(detector: SileroVad) -> None:
    silence = np.zeros(RATE, np.float32)
    speech = speak("please turn on the light", "en-us")
    found = probabilities(detector, [np.concatenate([silence, speech, silence])])[:, 0]
    first, last = RATE // WINDOW, (RATE + len(speech)) // WINDOW
    assert found[first : last + 1].mean() > 0.7
    assert found[: first - 1].max() < 0.1
    assert found[last + 10 :].max() < 0.2


def test_a_stream_gets_the_same_bits_alone_and_among_others(detector: SileroVad) -> None:
    voices = ("en-us", "en-us+f3", "vi", "en-us+m1", "vi+f3")
    sounds = [speak("turn on the light now", voice)[:RATE] for voice in voices]
    together = probabilities(detector, sounds)
    for column, sound in enumerate(sounds):
        assert probabilities(detector, [sound])[:, 0].tobytes() == np.ascontiguousarray(together[:, column]).tobytes()


def keypad(seconds: float, on_s: float, off_s: float, level: float) -> Sound:
    """All sixteen keys again and again."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    times = np.arange(round(on_s * RATE)) / RATE
    pieces, key, length = [], 0, 0
    while length < seconds * RATE:
        row, column = rows[key % 4], columns[key // 4 % 4]
        pieces += [np.sin(2 * np.pi * row * times) + np.sin(2 * np.pi * column * times), np.zeros(round(off_s * RATE))]
        length += len(pieces[-1]) + len(times)
        key += 1
    return np.asarray(level / 2 * np.concatenate(pieces)[: round(seconds * RATE)], np.float32)


def test_a_minute_of_what_is_no_speech_never_starts_an_utterance(detector: SileroVad) -> None:
    """100 ms is the shortest speech by default: three windows and a bit."""
    size = 60 * RATE
    times = np.arange(size) / RATE
    noise = np.random.default_rng(0).standard_normal(size) * 0.01
    sounds = {
        "digital silence": np.zeros(size),
        "white noise at -40 dBFS": noise,
        "hum at 50 Hz": 0.1 * np.sin(2 * np.pi * 50 * times),
        "hum at 50 Hz, with harmonics": 0.1 * sum(np.sin(2 * np.pi * 50 * n * times) / n for n in range(1, 6)),
        "dial tone": 0.2 * (np.sin(2 * np.pi * 350 * times) + np.sin(2 * np.pi * 440 * times)),
        "keys, 100 ms": keypad(60, 0.1, 0.1, 0.5),
        "keys, 50 ms, soft": keypad(60, 0.05, 0.05, 0.05),  # seven windows of speech in a row, without the guard
        "keys, 70 ms, loud": keypad(60, 0.07, 0.2, 0.9),
        "keys, 500 ms": keypad(60, 0.5, 0.3, 0.05),
        "keys over noise": keypad(60, 0.08, 0.08, 0.3) + 0.3 * noise,
    }
    found = probabilities(detector, [np.asarray(sound, np.float32) for sound in sounds.values()])
    runs = {name: longest_run(found[:, column] > 0.5) for column, name in enumerate(sounds)}
    assert all(run <= 2 for run in runs.values()), runs


def test_buffers_that_do_not_fit_are_refused(detector: SileroVad) -> None:
    with pytest.raises(VoiceError) as caught:
        detector.detect(bytes(4 * (CONTEXT + WINDOW)), bytes(4 * STATE))
    assert caught.value.code is Code.ENGINE_FAILED


def test_options_are_checked() -> None:
    with pytest.raises(VoiceError) as caught:
        factory({"threads": "two"})
    assert caught.value.code is Code.BAD_REQUEST


def test_it_is_loaded_without_torch(repository: Path) -> None:
    """silero_vad imports torch: 190 MB and seconds for nothing."""
    code = "import sys; from engines.vad.silero import factory; factory({}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, timeout=60, check=False).returncode == 0
