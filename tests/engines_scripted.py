"""Engines that do exactly what a test says, in real child processes; reachable only through the specs made here.

Five kinds: ``null_recognizer`` answers at once with the length and level of what it heard; ``scripted_recognizer`` says
one word of a fixed list for each 0.3 s of sound; ``scripted_synthesizer`` makes a tone for each word;
``scripted_detector`` takes what is loud for speech; and ``scripted_separator`` the first channel for the voice.

Failing: a marker in the prompt (recognisers) or in the text (synthesisers), or the option ``fail``, names a fault:
``[[raise]]``, ``[[typed]]`` (a VoiceError), ``[[hang]]``, ``[[freeze]]`` (holding the interpreter), ``[[segfault]]``,
``[[exit]]``, ``[[memory]]``, and the garbage ``[[nan]]``, ``[[long]]``, ``[[back]]`` (time going back),
``[[surrogate]]``, ``[[few]]`` (too few answers), ``[[bytes]]`` (noise on the pipe). ``[[slow:0.5]]`` takes longer.
Options beside ``fail``: ``fail_after`` = calls that go well first (in each process), ``once`` = a path: fail only until
that file exists.
"""

import ctypes
import math
import os
import signal
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from engines.base import Capabilities, Options, Task, Voice
from engines.registry import EngineSpec
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis, Reference, Speak, SpeechChunk, SpokenWord

RATE = 16_000
WORD_S = 0.3
FRAME = 320  # samples, 20 ms
LOUD = 500  # peak from which a frame is sound
_ALPHABET = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo "
    "sierra tango uniform victor whiskey xray yankee zulu"
)
WORDS = _ALPHABET.split()
_FAULTS = "raise typed hang freeze segfault exit memory nan long back surrogate few bytes"
FAULTS = _FAULTS.split()


def recognizer(kind: str = "scripted", *, name: str = "", memory_bytes: int = 1 << 30, **options: object) -> EngineSpec:
    """A spec of a recogniser, ``kind`` scripted or null.

    Options: ``latency_s`` (a call), ``work`` (seconds a second of audio), ``batch``, ``languages``,
    ``detects_language``, ``incremental``, ``model``, ``warm_s``, and those of faults.
    """
    factory = f"tests.engines_scripted:{kind}_recognizer"
    return EngineSpec(name or f"{kind}-recognizer", Task.RECOGNIZE, factory, options, memory_bytes=memory_bytes)


def synthesizer(
    *, name: str = "tones", processes: int = 1, memory_bytes: int = 1 << 30, **options: object
) -> EngineSpec:
    """A spec of the synthesiser.

    Options: ``rate``, ``latency_s`` (before each chunk), ``chunk_s``, ``clones`` (it does), ``wants_words`` (of what it
    clones), ``batch`` (clauses it makes together), ``notes`` (a file it writes into how many those were, and "clone"
    for each clone), and those of faults.
    """
    factory = "tests.engines_scripted:scripted_synthesizer"
    return EngineSpec(name, Task.SYNTHESIZE, factory, options, processes=processes, memory_bytes=memory_bytes)


def detector(*, name: str = "loudness", memory_bytes: int = 1 << 30, **options: object) -> EngineSpec:
    """A spec of the detector. Options: ``latency_s``, and those of faults."""
    factory = "tests.engines_scripted:scripted_detector"
    return EngineSpec(name, Task.DETECT, factory, options, memory_bytes=memory_bytes)


def separator(*, name: str = "halves", memory_bytes: int = 1 << 30, **options: object) -> EngineSpec:
    """A spec of the separator. Options: ``latency_s``, and those of faults."""
    factory = "tests.engines_scripted:scripted_separator"
    return EngineSpec(name, Task.SEPARATE, factory, options, memory_bytes=memory_bytes)


def words_of(seconds: float) -> str:
    """What ``scripted_recognizer`` says of so much sound."""
    return " ".join(WORDS[index % len(WORDS)] for index in range(int(seconds / WORD_S + 1e-6)))


@lru_cache(maxsize=64)
def tone(seconds: float, hertz: float = 440.0, rate: int = RATE, peak: int = 8000) -> bytes:
    """A sine, s16le: sound to all engines here."""
    step = 2 * math.pi * hertz / rate
    return array("h", (round(peak * math.sin(step * n)) for n in range(round(seconds * rate)))).tobytes()


def silence(seconds: float, rate: int = RATE) -> bytes:
    """Digital silence."""
    return bytes(2 * round(seconds * rate))


def pause(seconds: float) -> None:
    """Sleep, but not for nothing: a sleep of 0 s takes a system call and more."""
    if seconds > 0:
        time.sleep(seconds)


class Faults:
    """Does what the markers and options say, at the moment it is asked to ``strike``."""

    def __init__(self, options: Options) -> None:
        self._always = str(options.get("fail", ""))
        self._after = int(str(options.get("fail_after", 0)))
        self._once = Path(str(options["once"])) if "once" in options else None
        self._calls = 0

    def strike(self, text: str = "") -> str:
        """Fail as told, or return the kind of garbage to answer with ("" for none)."""
        self._calls += 1
        fault = next((fault for fault in FAULTS if f"[[{fault}]]" in text), "")
        if not fault and self._calls > self._after:
            fault = self._always
        if fault and self._once is not None:
            if self._once.exists():
                return ""
            self._once.touch()
        if "[[slow:" in text:
            time.sleep(float(text.partition("[[slow:")[2].partition("]]")[0]))
        return self._happen(fault)

    def _happen(self, fault: str) -> str:
        match fault:
            case "raise":
                raise RuntimeError("the script says so")
            case "typed":
                raise VoiceError(Code.UNSUPPORTED_MEDIA, "not this kind", allowed="that kind", field="audio")
            case "hang":
                time.sleep(3600)
            case "freeze":
                ctypes.PyDLL(None).sleep(3600)  # PyDLL keeps the interpreter's lock
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(3)
            case "memory":
                self._devour()
            case "bytes":
                os.write(int(sys.argv[1]), b"\x00garbage" * 64)
        return fault

    def _devour(self) -> None:
        held = []
        for _ in range(48):  # 1.5 GiB at most, should nobody stop it
            held.append(bytearray(b"\x01") * (32 << 20))
            time.sleep(0.02)
        time.sleep(3600)


class NullRecognizer:
    """Answers at once; the text depends on nothing but the length of the audio and about how loud it gets."""

    kind = "null"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._faults = Faults(options)
        self._latency_s = float(str(options.get("latency_s", 0.0)))
        self._work = float(str(options.get("work", 0.0)))
        time.sleep(float(str(options.get("warm_s", 0.0))))

    def describe(self) -> Capabilities:
        languages = self._options.get("languages", ("en", "vi"))
        assert isinstance(languages, list | tuple)
        return Capabilities(
            engine=f"{self.kind}-recognizer",
            task=Task.RECOGNIZE,
            model=str(self._options.get("model", self.kind)),
            languages=tuple(languages),
            detects_language=bool(self._options.get("detects_language", True)),
            word_timestamps=True,
            incremental=bool(self._options.get("incremental", False)),
            batch=int(str(self._options.get("batch", 8))),
            note="a script, not a recogniser",
        )

    def recognize(self, batch: Sequence[Decode]) -> Sequence[Hypothesis]:
        garbage = ""
        for request in batch:
            garbage = self._faults.strike(request.prompt) or garbage
        pause(self._latency_s + self._work * sum(len(request.pcm) for request in batch) / (2 * RATE))
        answers = [self._answer(request) for request in batch]
        return answers if not garbage else spoilt(answers, garbage)

    def _answer(self, request: Decode) -> Hypothesis:
        samples = array("h", request.pcm)
        heard = samples[::64]  # every 4 ms: this engine is to cost next to nothing
        peak = max(max(heard), -min(heard)) if heard else 0
        text = f"{len(samples) * 1000 // RATE} ms peak {peak}" if peak else ""
        return Hypothesis(text, language=self._language(request), language_probability=1.0)

    def _language(self, request: Decode) -> str:
        return "en" if request.language == "auto" else request.language

    def close(self) -> None:
        """Nothing is held."""


class ScriptedRecognizer(NullRecognizer):
    """Says the next word of the list for each 0.3 s of sound; so the text of a longer beginning only grows."""

    kind = "scripted"

    def _answer(self, request: Decode) -> Hypothesis:
        samples = array("h", request.pcm)
        loud = [at for at in range(0, len(samples), FRAME) if max(samples[at : at + FRAME]) > LOUD]
        a_word = round(WORD_S * RATE / FRAME)
        said = [loud[start : start + a_word] for start in range(0, len(loud) - a_word + 1, a_word)]
        words = tuple(
            Word(WORDS[index % len(WORDS)], frames[0] / RATE, min(frames[-1] + FRAME, len(samples)) / RATE, 0.9)
            for index, frames in enumerate(said)
        )
        return Hypothesis(
            " ".join(word.text for word in words),
            words if request.word_timestamps else (),
            self._language(request),
            1.0,
            -0.2,
            0.0 if words else 1.0,
        )


def spoilt(answers: list[Hypothesis], garbage: str) -> list[Hypothesis]:
    """Answers no sound engine gives."""
    match garbage:
        case "nan":
            return [Hypothesis("nan", (Word("nan", math.nan, math.nan),)) for _ in answers]
        case "long":
            return [Hypothesis("x" * 10_000_000) for _ in answers]
        case "back":
            return [Hypothesis("a b", (Word("a", 0.2, 0.3), Word("b", 0.1, 0.2))) for _ in answers]
        case "surrogate":
            return [Hypothesis("\ud83d") for _ in answers]
        case "few":
            return answers[1:]
    return answers


class ScriptedSynthesizer:
    """A tone of 0.3 s (at speed 1) for each word, higher for each next one; an event where each begins."""

    def __init__(self, options: Options) -> None:
        self._faults = Faults(options)
        self._rate = int(str(options.get("rate", 22_050)))
        self._latency_s = float(str(options.get("latency_s", 0.0)))
        self._chunk_s = float(str(options.get("chunk_s", 0.1)))
        self._clones = bool(options.get("clones"))
        self._wants_words = bool(options.get("wants_words"))
        self._batch = int(str(options.get("batch", 1)))
        self._notes = Path(str(options["notes"])) if "notes" in options else None

    def describe(self) -> Capabilities:
        voices = (Voice("low", "Low tone", "en", "male"), Voice("high", "High tone", "vi", "female"))
        return Capabilities(
            "tones",
            Task.SYNTHESIZE,
            "tones",
            ("en", "vi"),
            word_timestamps=True,
            rate=self._rate,
            voices=voices,
            batch=self._batch,
            cloning=self._clones,
            wants_words=self._wants_words,
        )

    def clone(self, reference: Reference) -> bytes:
        """A prompt that tells how much there was to hear."""
        garbage = self._faults.strike()
        if self._notes is not None:
            with self._notes.open("a") as notes:
                notes.write("clone\n")
        if not any(reference.pcm):
            raise VoiceError(Code.BAD_REQUEST, "there is no speech in ref_audio", field="ref_audio")
        said = f": {reference.text}" if reference.text else ""
        return b"" if garbage else f"{len(reference.pcm)} bytes at {reference.rate}{said}".encode()

    def speak_together(self, requests: Sequence[Speak]) -> Iterator[tuple[int, SpeechChunk | VoiceError | None]]:
        if self._notes is not None:
            with self._notes.open("a") as notes:
                notes.write(f"{len(requests)}\n")
        streams = {number: self.speak(request) for number, request in enumerate(requests)}
        while streams:
            for number, stream in list(streams.items()):
                try:
                    piece = next(stream, None)
                except VoiceError as error:
                    yield number, error
                    del streams[number]
                    continue
                yield number, piece
                if piece is None:
                    del streams[number]

    def speak(self, request: Speak) -> Iterator[SpeechChunk]:
        spoken = 0
        offset = 0
        for number, word in enumerate(request.text.split()):
            garbage = self._faults.strike(word)
            offset = request.text.index(word, offset)
            at = spoken / self._rate if garbage != "back" else -1.0
            event = SpokenWord(offset, len(word), math.nan if garbage == "nan" else at)
            hertz = (330.0 if request.voice == "high" else 110.0) + 20.0 * number
            sound = tone(WORD_S / request.speed, hertz, self._rate)
            if garbage == "long":
                sound = bytes(2 * self._rate * 60)
            step = 2 * round(self._chunk_s * self._rate)
            for start in range(0, len(sound), step):
                pause(self._latency_s)
                piece = sound[start : start + step]
                odd = piece + b"\0" if garbage == "few" else piece
                yield SpeechChunk(odd, self._rate, (event,) if start == 0 and (request.words or garbage) else ())
            spoken += len(sound) // 2
            offset += len(word)

    def close(self) -> None:
        """Nothing is held."""


class ScriptedDetector:
    """Speech is what is loud. The first number of each stream's state counts its windows."""

    def __init__(self, options: Options) -> None:
        self._faults = Faults(options)
        self._latency_s = float(str(options.get("latency_s", 0.0)))

    def describe(self) -> Capabilities:
        return Capabilities("loudness", Task.DETECT, "loudness", batch=256)

    def detect(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        import numpy as np

        garbage = self._faults.strike()
        pause(self._latency_s)
        samples = np.frombuffer(windows, np.float32).reshape(-1, 576)[:, 64:]
        loud = np.abs(samples).max(axis=1) > LOUD / 32768
        probabilities = np.where(loud, np.float32(0.97), np.float32(0.03)).astype(np.float32)
        kept = np.frombuffer(state, np.float32).reshape(2, -1, 128).copy()
        kept[0, :, 0] += 1.0
        if garbage == "nan":
            kept[1] = np.nan
        if garbage == "long":
            probabilities *= 100.0
        return (b"" if garbage == "few" else probabilities.tobytes()), kept.tobytes()

    def close(self) -> None:
        """Nothing is held."""


class ScriptedSeparator:
    """The voice is the first channel, the rest is the rest."""

    def __init__(self, options: Options) -> None:
        self._faults = Faults(options)
        self._latency_s = float(str(options.get("latency_s", 0.0)))

    def describe(self) -> Capabilities:
        return Capabilities("halves", Task.SEPARATE, "halves", rate=44_100)

    def separate(self, pcm: bytes, rate: int, channels: int) -> dict[str, bytes]:
        import numpy as np

        garbage = self._faults.strike()
        pause(self._latency_s)
        mix = np.frombuffer(pcm, "<i2").reshape(-1, channels)
        vocals = mix * (np.arange(channels) == 0).astype(np.int16)
        stems = {"vocals": vocals.tobytes(), "instrumental": (mix - vocals).astype("<i2").tobytes()}
        return {"vocals": stems["vocals"][:-2]} if garbage == "few" else stems

    def close(self) -> None:
        """Nothing is held."""


def null_recognizer(options: Options) -> NullRecognizer:
    """Factory."""
    return NullRecognizer(options)


def scripted_recognizer(options: Options) -> ScriptedRecognizer:
    """Factory."""
    return ScriptedRecognizer(options)


def scripted_synthesizer(options: Options) -> ScriptedSynthesizer:
    """Factory."""
    return ScriptedSynthesizer(options)


def scripted_detector(options: Options) -> ScriptedDetector:
    """Factory."""
    return ScriptedDetector(options)


def scripted_separator(options: Options) -> ScriptedSeparator:
    """Factory."""
    return ScriptedSeparator(options)
