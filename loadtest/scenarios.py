"""What can be measured, one function a question; each adds its rows, with the target it is held against."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from loadtest import batch as long_jobs
from loadtest import floor
from loadtest.conversations import call as call_in
from loadtest.conversations import conversation, felt, health, spread, with_model
from loadtest.idle import idle
from loadtest.listeners import Heard, finalize_round_trips, listen_bytes
from loadtest.models import models, sizes
from loadtest.recordings import CHECKPOINT, RATE, Recording, record, recordings
from loadtest.report import Report
from loadtest.separation import separation
from loadtest.speakers import TEXT, Spoken, call, calls, merge, speak
from loadtest.stats import Row, Summary
from loadtest.subject import Subject, running
from loadtest.swarm import swarm


async def _round_trips(job: tuple[str, str, int, float]) -> Heard:
    url, key, rounds, delay = job
    return await finalize_round_trips(url, key, rounds=rounds, started=delay)


async def _speak(job: tuple[str, str, int]) -> Spoken:
    url, key, turns = job
    return await speak(url, key, turns=turns)


def overhead(report: Report, *, streams: tuple[int, ...] = (1, 100), rounds: int = 10) -> None:
    """Server over an engine that does nothing: from `finalize` to its final, minus nothing."""
    with running(null=True) as subject:
        for count in streams:
            jobs = [(f"{subject.ws}/v1/stream", subject.key, rounds, index / count) for index in range(count)]
            heard = swarm(_round_trips, jobs, per_process=50)
            times = [value for one in heard for value in one.final]
            limit = 0.005 if count == 1 else 0.025
            figures = spread("final", times) | health(heard)
            met = bool(times) and figures["final_p95_s"] <= limit and not figures["errors"]
            report.add(
                Row("overhead of the server (null engine)", count, figures, f"p95 <= {limit * 1000:.0f} ms", met)
            )


def frames(report: Report, *, streams: int = 100, seconds: float = 20.0) -> None:
    """Paced 20 ms frames through protocol, resampling and ring buffer, with nothing to detect: streams a core."""
    quiet = Recording(bytes(int(seconds * RATE) * 2), ())
    quiet_config: dict[str, object] = {"vad": False, "interim_results": False}
    for name, config in (
        ("16 kHz PCM", quiet_config),
        ("48 kHz PCM, resampled", quiet_config | {"sample_rate": 48000}),
    ):
        resampled = "sample_rate" in config
        recording = Recording(quiet.pcm * 3, ()) if resampled else quiet
        with running(null=True) as subject:
            cpu, began = subject.web_cpu(), time.monotonic()
            job = partial(_paced, bytes_a_frame=1920 if resampled else 640)
            heard = swarm(
                job,
                [(f"{subject.ws}/v1/stream", subject.key, recording, config) for _ in range(streams)],
                per_process=50,
            )
            used, lasted = subject.web_cpu() - cpu, time.monotonic() - began
        count = streams * seconds / 0.02
        figures = {
            "frame_us": used / count * 1e6,
            "streams_a_core": streams * seconds / used,
            "took_s": lasted,
        } | health(heard)
        met = figures["streams_a_core"] >= 250 and not figures["errors"]
        report.add(Row(f"20 ms frames, {name}, VAD off", streams, figures, ">= 250 streams a core", met))


async def _paced(job: tuple[str, str, Recording, dict[str, object]], *, bytes_a_frame: int) -> Heard:
    url, key, recording, config = job
    return await listen_bytes(url, key, recording.pcm, bytes_a_frame=bytes_a_frame, config=config)


def vad(report: Report, *, streams: tuple[int, ...] = (16, 32), seconds: float = 20.0) -> None:
    """CPU of speech detection: speech through the real detector against as many streams of digital silence."""
    speech = _speech_only(seconds)
    for count in streams:
        report.add(floor.detector_floor(speech.pcm, count, seconds))
        with running(null=True, environment={"LOADTEST_DETECTOR": "silero"}) as subject:
            costs = {}
            for name, recording in (("speech", speech), ("silence", Recording(bytes(int(seconds * RATE) * 2), ()))):
                cpu = subject.cpu()
                config: dict[str, object] = {"interim_results": False}
                jobs = [
                    (f"{subject.ws}/v1/stream", subject.key, recording, config, index * 0.011, False)
                    for index in range(count)
                ]
                swarm(call_in, jobs, per_process=32)
                costs[name] = (subject.cpu() - cpu) / (count * seconds) * 100
        figures = {
            "speech_pct": costs["speech"] - costs["silence"],
            "all_of_speech_pct": costs["speech"],
            "silence_pct": costs["silence"],
        }
        report.add(
            Row(
                "voice activity detection, of a core a stream", count, figures, "<= 0.3 %", figures["speech_pct"] <= 0.3
            )
        )


def _speech_only(seconds: float) -> Recording:
    recording = record([u.text for r in recordings(6) for u in r.utterances], pause=0.1, lead=0.1)
    pcm = recording.pcm
    while len(pcm) < int(seconds * RATE) * 2:
        pcm += recording.pcm
    return Recording(pcm[: int(seconds * RATE) * 2], ())


def connections(report: Report, *, count: int = 10_000, seconds: float = 12.0) -> None:
    """Idle connections: memory of each, CPU of all."""
    with running(null=True) as subject:
        figures = asyncio.run(idle(subject, count, seconds))
    met = figures["each_kib"] <= 30 and figures["cpu_pct"] < 1 and not figures["lost"]
    report.add(Row("idle connections", count, figures, "<= 30 KiB each, < 1 % CPU", met))


def endpoint(
    report: Report, *, model: Path = CHECKPOINT, streams: tuple[int, ...] = (1, 4), silence_ms: int = 500
) -> None:
    """End of speech to final by voice activity, with the real recogniser and partials on."""
    with running(environment=with_model(model)) as subject:
        for count in streams:
            heard = conversation(subject, count, {"vad": {"min_silence_ms": silence_ms}}, stop=False)
            figures = felt(heard, subject)
            limit = silence_ms / 1000 + 0.05
            met = figures["final_p95_s"] <= limit and not figures["errors"]
            report.add(Row("speech to final at the endpoint", count, figures, f"p95 <= {limit * 1000:.0f} ms", met))
    report.add(floor.decode_floor(model, recordings(2), 1))


def capacity(
    report: Report, *, model: Path = CHECKPOINT, objective_s: float = 1.0, most: int = 64, partials: bool = True
) -> None:
    """The most continuous streams whose finals stay within the objective; doubles the step, then halves it."""
    good, bad, step = 0, most + 1, 4
    with running(environment=with_model(model)) as subject:
        while bad - good > 1 and step:
            count = min(good + step, bad - 1)
            heard = conversation(
                subject, count, {"interim_results": partials, "vad": {"min_silence_ms": 400}}, stop=False
            )
            figures = felt(heard, subject)
            met = figures["final_p95_s"] <= objective_s and not figures["errors"]
            name = "capacity, with partials" if partials else "capacity, finals only"
            report.add(Row(name, count, figures, f"p95 <= {objective_s:.1f} s", met))
            good, bad = (count, bad) if met else (good, count)
            step = step * 2 if met and bad > most else max(1, (bad - good) // 2)
            if count == most and met:
                break


_READY_S = 5.0  # until callers in new processes are ready


def speech(report: Report) -> None:
    """Speech out with espeak-ng: first audio alone, then among 16 paced listeners and 8 synchronous callers."""
    report.add(floor.speech_floor(TEXT))
    report.add(floor.crowd_floor(TEXT, speakers=24, processes=2))
    with running() as subject:
        url = f"{subject.ws}/v1/stream/tts"
        alone = asyncio.run(_alone(url, subject.key))
        figures = spread("first_audio", alone.first_audio) | {"errors": float(len(alone.errors))}
        report.add(Row("speech out, unloaded", 1, figures, "p95 <= 5 ms", figures["first_audio_p95_s"] <= 0.005))
        for output, limit in (("wav", 0.030), ("mp3", 0.090)):
            done = asyncio.run(call(subject.port, subject.key, rounds=40, output=output))
            figures = (
                spread("whole", done.whole)
                | spread("first_audio", done.first_audio)
                | {"errors": float(len(done.errors))}
            )
            report.add(
                Row(
                    f"300 characters, {output}",
                    1,
                    figures,
                    f"p95 <= {limit * 1000:.0f} ms",
                    figures["whole_p95_s"] <= limit,
                )
            )
        _under_load(report, subject, url)


async def _alone(url: str, key: str) -> Spoken:
    return merge([await speak(url, key, text="Hello, this is one clause.", turns=20, pace=False) for _ in range(3)])


def _under_load(report: Report, subject: Subject, url: str) -> None:
    at = time.monotonic() + _READY_S
    jobs = [(at, url, subject.key, 2)] * 16 + [(at, "", subject.key, subject.port)]
    *listeners, callers = swarm(_listen_or_call, jobs, per_process=16)
    listening = merge(listeners)
    figures = spread("first_audio", listening.first_audio + callers.first_audio)
    figures |= spread("call_first_audio", callers.first_audio) | spread("underrun", listening.underrun)
    figures["errors"] = float(len(listening.errors) + len(callers.errors))
    figures["caller_late_worst_s"] = max(listening.late, callers.late)
    met = figures["first_audio_p95_s"] <= 0.050 and not figures["errors"]
    report.add(Row("speech out, 16 listeners and 8 callers", 24, figures, "p95 <= 50 ms", met))


async def _listen_or_call(job: tuple[float, str, str, int]) -> Spoken:
    """A paced listener, or (without an address) bursts of 8 synchronous calls while the listeners listen.

    All begin at one moment, once everybody has done it before: what a new process takes to load its own modules is
    many times what the server takes, on the same cores, and is not the server's.
    """
    at, url, key, number = job
    await (speak(url, key, text="Hello.", pace=False) if url else calls(number, key, callers=8, rounds=1))
    late = time.monotonic() - at
    await asyncio.sleep(max(0.0, -late))
    spoken = await (speak(url, key, turns=number) if url else calls(number, key, callers=8, rounds=25))
    spoken.late = max(0.0, late)
    return spoken


def fanout(report: Report, *, streams: int = 200) -> None:
    """CPU of the web process for each 20 ms of paced sound, many listeners at once."""
    with running() as subject:
        cpu = subject.web_cpu()
        spoken = merge(
            swarm(_speak, [(f"{subject.ws}/v1/stream/tts", subject.key, 1) for _ in range(streams)], per_process=50)
        )
        used = subject.web_cpu() - cpu
    figures = {"frame_us": used / max(spoken.audio_s / 0.02, 1) * 1e6} | spread("underrun", spoken.underrun)
    figures["errors"] = float(len(spoken.errors))
    report.add(Row("paced listeners, a 20 ms frame", streams, figures, "<= 25 us", figures["frame_us"] <= 25))


def churn(report: Report, *, sessions: int = 20_000, at_once: int = 40) -> None:
    """Sessions that come, send three seconds of sound and go: what is left in memory of each."""
    loud = Recording((bytes([0, 0x20, 0, 0xE0]) * (RATE // 2)) * 3, ())
    with running(null=True) as subject:
        asyncio.run(_come_and_go(subject, loud, min(2000, sessions // 4), at_once))
        before = subject.rss()
        began = time.monotonic()
        failed, refused = asyncio.run(_come_and_go(subject, loud, sessions, at_once))
        figures = {
            "left_each_kib": (subject.rss() - before) / 1024 / sessions,
            "sessions_a_second": sessions / (time.monotonic() - began),
            "errors": float(failed),
            "refused": float(refused),
            "open_files": float(subject.process.num_fds()),
            "threads": float(subject.process.num_threads()),
        }
    report.add(Row("sessions that come and go", sessions, figures, "< 1 KiB left each", figures["left_each_kib"] < 1))


async def _come_and_go(subject: Subject, recording: Recording, sessions: int, at_once: int) -> tuple[int, int]:
    """How many sessions failed, and how many were refused before they began (503: this is faster than real time)."""
    failed = refused = 0
    turn = iter(range(sessions))

    async def caller() -> None:
        nonlocal failed, refused
        for _ in turn:
            heard = await listen_bytes(
                f"{subject.ws}/v1/stream", subject.key, recording.pcm, bytes_a_frame=32_000, config={}, paced=False
            )
            busy = any("HTTP 503" in error for error in heard.errors)
            refused += busy
            failed += bool(heard.errors) and not busy

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return failed, refused


def batch(report: Report, *, model: Path = CHECKPOINT, streams: int = 4) -> None:
    """Finals and first sounds of live callers while a 20-minute file is written down or taken apart, or a book read."""
    jobs = {
        "a 20-minute file transcribed": long_jobs.transcribing(long_jobs.speech_file()),
        "a 20-minute song separated": long_jobs.separating(long_jobs.song_file()),
        "a text of 40,000 characters spoken": long_jobs.speaking(),
    }
    with running(environment=with_model(model)) as subject:
        _live(subject, streams)  # warm
        for name, submit in jobs.items():
            alone = [_live(subject, streams) for _ in range(3)]
            beside: list[_Live] = []
            with long_jobs.watched(subject, submit) as job:
                while job.running:
                    began_within = _live(subject, streams)
                    if job.running or not beside:
                        beside.append(began_within)
            alone += [_live(subject, streams) for _ in range(2)]
            report.add(_beside(name, streams, alone, beside, job))


@dataclass(slots=True)
class _Live:
    felt: dict[str, list[float]]  # seconds, by what callers wait for
    errors: int


def _live(subject: Subject, streams: int) -> _Live:
    """One round of callers who speak, then of one who listens."""
    heard = conversation(subject, streams, {"vad": {"min_silence_ms": 400}}, stop=False)
    spoken = asyncio.run(_alone(f"{subject.ws}/v1/stream/tts", subject.key))
    errors = len(spoken.errors) + sum(len(one.errors) for one in heard)
    finals = [value for one in heard for value in one.final]
    return _Live({"final": finals, "first_audio": spoken.first_audio}, errors)


def _beside(name: str, streams: int, alone: list[_Live], beside: list[_Live], job: long_jobs.Job) -> Row:
    figures: dict[str, float] = {}
    for stem in ("final", "first_audio"):
        quiet, busy = (Summary.of([value for live in lives for value in live.felt[stem]]) for lives in (alone, beside))
        figures |= {f"{stem}_alone_p95_s": quiet.p95, f"{stem}_beside_p95_s": busy.p95}
        figures |= {f"{stem}_p95_x": busy.p95 / quiet.p95, f"{stem}_p50_x": busy.p50 / quiet.p50}
    told = [share for share in job.progress if not math.isnan(share)]
    figures |= {
        "rounds_beside": float(len(beside)),
        "job_s": job.seconds,
        "completed": float(job.status == "completed"),
        "progress_steps": float(len(set(told))),
        "progress_backwards": float(sum(after < before for before, after in pairwise(told))),
        "server_mib": job.web_bytes / 2**20,
        "engines_mib": job.engine_bytes / 2**20,
        "errors": float(sum(live.errors for live in [*alone, *beside])),
    }
    met = figures["final_p95_x"] <= 1.3 and bool(figures["completed"]) and not figures["errors"]
    return Row(f"live sessions beside {name}", streams, figures, "p95 <= 1.3 x alone", met)


SCENARIOS: dict[str, Callable[..., None]] = {
    "overhead": overhead,
    "frames": frames,
    "vad": vad,
    "idle": connections,
    "endpoint": endpoint,
    "capacity": capacity,
    "speech": speech,
    "fanout": fanout,
    "churn": churn,
    "batch": batch,
    "separation": separation,
    "models": models,
    "sizes": sizes,
}
