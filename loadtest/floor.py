"""The floor: the same engines in a bare loop, without a server, so that a server's figure becomes a ratio."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import engines.stt.faster_whisper as whisper
import engines.tts.espeak as espeak
from loadtest.recordings import RATE, Recording
from loadtest.stats import Row, Summary
from protocol.chunker import Chunker
from protocol.requests import Decode, Speak

ROUNDS = 5


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
