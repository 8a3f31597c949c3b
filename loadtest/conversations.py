"""Callers who talk to a server under test, many at once, and what they felt of it."""

import asyncio
from pathlib import Path

from loadtest.listeners import Heard, listen
from loadtest.recordings import Recording, recordings
from loadtest.stats import Summary
from loadtest.subject import Subject
from loadtest.swarm import swarm

Job = tuple[str, str, Recording, dict[str, object], float, bool]


def spread(stem: str, values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and worst of some seconds, named for a report."""
    summary = Summary.of(values)
    return {f"{stem}_p50_s": summary.p50, f"{stem}_p95_s": summary.p95, f"{stem}_worst_s": summary.worst}


async def call(job: Job) -> Heard:
    """One caller: where, with what key, what is said in which configuration, after how long, and whether ``stop``
    follows at the last word."""
    url, key, recording, config, delay, stop = job
    await asyncio.sleep(delay)
    return await listen(url, key, recording, config=config, stop_after_speech=stop)


def conversation(
    subject: Subject, count: int, config: dict[str, object], *, stop: bool, within_s: float = 3.0,
    said: list[Recording] | None = None,
) -> list[Heard]:  # fmt: skip
    """``count`` callers who begin within so many seconds of each other."""
    made = said or recordings(min(count, 8))
    jobs = [
        (f"{subject.ws}/v1/stream", subject.key, made[index % len(made)], config, within_s * index / count, stop)
        for index in range(count)
    ]
    return swarm(call, jobs, per_process=25)


def felt(heard: list[Heard], subject: Subject) -> dict[str, float]:
    """For a report."""
    figures: dict[str, float] = {}
    figures |= spread("final", [value for one in heard for value in one.final])
    figures |= spread("first_partial", [value for one in heard for value in one.first_partial])
    figures |= spread("partial_gap", [value for one in heard for value in one.partial_gap])
    wanted = [text for one in heard for text in one.wanted]
    got = [text for one in heard for text in one.texts]
    figures["utterances"] = float(len(got))
    figures["missing"] = float(len(wanted) - len(got))
    figures["server_mib"] = subject.rss() / 2**20
    figures["loop_lag_p99_s"] = subject.loop_lag()
    return figures | health(heard)


def health(heard: list[Heard]) -> dict[str, float]:
    """What went wrong, and how far the callers themselves fell behind."""
    return {
        "errors": float(sum(len(one.errors) for one in heard)),
        "caller_late_worst_s": max((one.late for one in heard), default=0.0),
    }


def with_model(model: Path) -> dict[str, str]:
    """The environment of a server that recognises with it."""
    return {"VOXLINE_WHISPER_MODEL": str(model)}
