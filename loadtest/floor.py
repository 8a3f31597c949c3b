"""The floor: the same engines in a bare loop, without a server, so that a server's figure becomes a ratio."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import engines.stt.faster_whisper as whisper
import engines.tts.espeak as espeak
import engines.vad.silero as silero
from loadtest.recordings import RATE, Recording
from loadtest.stats import Row, Summary
from protocol.chunker import Chunker
from protocol.requests import Decode, Speak

ROUNDS = 5
_CALLS = 10  # of the detector, a second
_WINDOWS = 30  # that come in it, about: 31.25


def _timed(work: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def decode_floor(directory: Path, recordings: list[Recording], threads: int) -> Row:
    """How long the recogniser takes for one utterance when nobody else asks."""
    engine = whisper.factory({"directory": str(directory), "threads": threads})
    times: list[float] = []
    for recording in recordings:
        for utterance in recording.utterances:
            span = recording.pcm[int(utterance.start * RATE) * 2 : int(utterance.end * RATE) * 2]
            times += _timed(partial(engine.recognize, [Decode(span, language="en")]), rounds=2)
    engine.close()
    summary = Summary.of(times)
    return Row(
        "floor: one decode",
        1,
        {"decode_p50_s": summary.p50, "decode_p95_s": summary.p95, "decode_worst_s": summary.worst},
    )


def speech_floor(text: str) -> Row:
    """How long espeak-ng takes for the first sound and for all of a text, in this process."""
    engine = espeak.factory({})
    voice = next(v.id for v in engine.describe().voices if v.language.startswith("en"))
    request = Speak(text, voice)
    whole = Summary.of(_timed(lambda: list(engine.speak(request)), 20))
    first = Summary.of(_timed(lambda: next(iter(engine.speak(request))), 20))
    engine.close()
    return Row(
        "floor: espeak-ng",
        1,
        {"first_p95_s": first.p95, "first_p50_s": first.p50, "whole_p95_s": whole.p95, "whole_p50_s": whole.p50},
    )


def detector_floor(pcm: bytes, streams: int, seconds: float) -> Row:
    """What the bare speech detector costs, of a core a stream.

    Called at the pace of the sound, as a server has to, with the windows that are there ten times a second; and called
    without a pause, its weights and code in the caches.
    """
    engine = silero.SileroVad(silero.find_model())
    sound = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    step = silero.CONTEXT + silero.WINDOW
    turns = _WINDOWS // _CALLS * np.arange(round(seconds * _CALLS))
    windows = np.lib.stride_tricks.sliding_window_view(sound, step)[:: silero.WINDOW]
    state = bytes(4 * 2 * streams * silero.STATE)
    costs = {}
    for name, pause in (("bare_pct", 1 / _CALLS), ("without_pause_pct", 0.0)):
        cpu, next_at, memory = time.process_time(), time.monotonic(), state
        for turn in turns:
            some = windows[turn % (len(windows) - _CALLS) :][: _WINDOWS // _CALLS]
            _, memory = engine.detect(np.repeat(some, streams, axis=0).tobytes(), memory)
            next_at += pause
            time.sleep(max(0.0, next_at - time.monotonic()))
        heard_s = len(turns) * (_WINDOWS // _CALLS) * silero.WINDOW / RATE
        costs[name] = (time.process_time() - cpu) / (streams * heard_s) * 100
    engine.close()
    return Row("floor: bare speech detector", streams, costs)


def crowd_floor(text: str, speakers: int, processes: int) -> Row:
    """When each of ``speakers`` first clauses is there that are asked for at one moment, of as many bare engines as a
    server has: nobody's sound can begin before those ahead of it were made."""
    chunker = Chunker()
    clause = next(iter([*chunker.push(text), *chunker.flush()])).text
    shares = [len(range(speakers)[one::processes]) for one in range(processes)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(_in_turn, [clause] * processes, [1] * processes, [0.0] * processes))  # they have started
        begin = time.monotonic() + 0.2
        ready = [at for times in pool.map(_in_turn, [clause] * processes, shares, [begin] * processes) for at in times]
    summary = Summary.of(ready)
    figures = {"first_p50_s": summary.p50, "first_p95_s": summary.p95, "first_worst_s": summary.worst}
    return Row(f"floor: first clauses of {processes} bare engines", speakers, figures)


def _in_turn(clause: str, count: int, begin: float) -> list[float]:
    """Seconds after ``begin`` (monotonic, the same in all processes) until each of ``count`` first sounds is there."""
    engine = espeak.factory({})
    voice = next(v.id for v in engine.describe().voices if v.language.startswith("en"))
    list(engine.speak(Speak(clause, voice)))
    while time.monotonic() < begin:  # to the moment: waking from a sleep takes longer than a first sound
        pass
    times = []
    for _ in range(count):
        sound = engine.speak(Speak(clause, voice))
        next(iter(sound))
        times.append(time.monotonic() - begin)
        list(sound)
    engine.close()
    return times
