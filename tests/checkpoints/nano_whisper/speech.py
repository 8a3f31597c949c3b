"""Speech from espeak-ng, in this process, with the time of every word.

The library is loaded from a copy of its own, so that a server under test that has espeak-ng loaded keeps its state.
"""

import ctypes
import functools
import shutil
import tempfile
import threading
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt
import soxr

SAMPLE_RATE = 16000
_ESPEAK_RATE = 22050

Audio = npt.NDArray[np.float32]

_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7
_SYNCHRONOUS, _UTF8, _WORD_EVENT, _END_OF_LIST = 2, 1, 1, 0


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Voice:
    """How a sentence is spoken. ``name`` is espeak's (``en-us+f3``), ``rate`` is words a minute, ``pitch`` and
    ``pitch_range`` are 0..100, ``word_gap`` is in units of 10 ms, ``tract`` scales all frequencies (and the tempo)."""

    name: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    word_gap: int = 0
    tract: float = 1.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """Spoken words: 16 kHz samples without silence around them, and each word's start and end in seconds."""

    text: str
    audio: Audio
    spans: tuple[tuple[float, float], ...]


class _Espeak:
    """The one handle on the library: it keeps its state in globals, so every call holds the lock."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory(prefix="nano-espeak-") as folder:
            copy = Path(folder) / "libespeak-ng-nano.so"
            shutil.copy(Path(espeakng_loader.get_library_path()).resolve(), copy)
            self._library = ctypes.CDLL(str(copy))
        self._lock = threading.Lock()
        self._blocks: list[npt.NDArray[np.int16]] = []
        self._events: list[tuple[int, int]] = []
        self._callback = _Callback(self._receive)
        data = str(espeakng_loader.get_data_path()).encode()
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0) != _ESPEAK_RATE:
            raise RuntimeError("espeak-ng did not start")
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if samples and count:
            self._blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        index = 0
        while events[index].type != _END_OF_LIST:
            if events[index].type == _WORD_EVENT:
                self._events.append((events[index].text_position - 1, events[index].sample))
            index += 1
        return 0

    def render(self, text: str, voice: Voice) -> tuple[Audio, list[tuple[int, int]]]:
        """Samples at espeak's own rate, and (character, sample) of every word event."""
        with self._lock:
            self._blocks, self._events = [], []
            if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise ValueError(f"espeak-ng has no voice {voice.name!r}")
            settings = ((_RATE, voice.rate), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range), (_VOLUME, 90))
            for parameter, value in (*settings, (_WORD_GAP, voice.word_gap)):
                self._library.espeak_SetParameter(parameter, value, 0)
            encoded = text.encode()
            self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
            samples = np.concatenate(self._blocks or [np.zeros(1, np.int16)])
            return (samples / 32768.0).astype(np.float32), list(self._events)


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


def start_anew() -> None:
    """Forget what was said: a voice's noises go on where they stopped, so it says the same only from its start."""
    _espeak.cache_clear()


def speak_words(text: str, voice: Voice) -> Utterance:
    """Say a sentence of the vocabulary and tell when each word was said."""
    raw, events = _espeak().render(text, voice)
    audio = soxr.resample(raw, _ESPEAK_RATE * voice.tract, SAMPLE_RATE).astype(np.float32)
    scale = SAMPLE_RATE / (_ESPEAK_RATE * voice.tract)
    loud = np.flatnonzero(np.abs(audio) > 0.003)
    if not len(loud):
        raise ValueError(f"espeak-ng said nothing for {text!r}")
    first, last = max(int(loud[0]) - 80, 0), min(int(loud[-1]) + 160, len(audio))
    starts = {text.count(" ", 0, character): int(sample * scale) - first for character, sample in reversed(events)}
    starts[0] = 0
    length = last - first
    return Utterance(text, audio[first:last], _spans(text.split(), starts, length))


def _spans(words: list[str], starts: dict[int, int], length: int) -> tuple[tuple[float, float], ...]:
    """Start and end of each word; words espeak ran together share their time by their letters."""
    known = sorted((index, min(max(sample, 0), length)) for index, sample in starts.items() if index < len(words))
    bounds: list[int] = []
    for (index, sample), (following, end) in zip(known, [*known[1:], (len(words), length)], strict=True):
        letters = [len(word) for word in words[index:following]]
        for position in range(len(letters)):
            bounds.append(sample + (end - sample) * sum(letters[:position]) // sum(letters))
    bounds.append(length)
    return tuple((a / SAMPLE_RATE, max(b, a) / SAMPLE_RATE) for a, b in pairwise(bounds))
