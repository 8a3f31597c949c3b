"""What live callers feel of a long job: their finals and first sounds with it and without it, in the same run."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

import httpx
import numpy as np
import psutil
import soundfile

from loadtest.recordings import RATE, recordings
from loadtest.speakers import TEXT
from loadtest.subject import Subject

MINUTES = 20
_LOOK_S = 1.0
_LIMIT_S = 1800.0
_DONE = frozenset({"completed", "failed", "cancelled"})


def speech_file(minutes: float = MINUTES) -> bytes:
    """A FLAC file of that many minutes of speech: what people upload, at the documented limit of its size."""
    pcm = b"".join(recording.pcm for recording in recordings(8))
    samples = np.frombuffer(pcm, "<i2")
    return _flac(np.tile(samples, math.ceil(minutes * 60 * RATE / len(samples)))[: round(minutes * 60 * RATE)], RATE)


def song_file(minutes: float = MINUTES) -> bytes:
    """A FLAC file of that many minutes of a voice over music, stereo, 44.1 kHz."""
    from tests.engines.separation.mixes import RATE as SONG_RATE
    from tests.engines.separation.mixes import song

    samples = np.frombuffer(song(60.0).pcm, "<i2").reshape(-1, 2)
    return _flac(np.tile(samples, (math.ceil(minutes), 1)), SONG_RATE)


def _flac(samples: np.ndarray, rate: int) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, format="FLAC")
    return file.getvalue()


@dataclass
class Job:
    """A job of the server under test, watched from its submission to its end."""

    status: str = ""
    seconds: float = 0.0  # from its submission to its end
    progress: list[float] = field(default_factory=list)
    web_bytes: int = 0  # most the web process held meanwhile
    engine_bytes: int = 0  # most all engine processes held together
    error: str = ""

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self.status not in _DONE


@contextmanager
def watched(subject: Subject, submit: Callable[[httpx.Client], httpx.Response]) -> Iterator[Job]:
    """A job that runs, at best, for as long as the block does; a thread looks after it."""
    job = Job()
    thread = threading.Thread(target=_watch, args=(subject, submit, job))
    thread.start()
    try:
        yield job
    finally:
        thread.join()


def _watch(subject: Subject, submit: Callable[[httpx.Client], httpx.Response], job: Job) -> None:
    headers = {"Authorization": f"Bearer {subject.key}"}
    began = time.monotonic()
    with httpx.Client(base_url=subject.http, headers=headers, timeout=120) as client:
        answer = submit(client)
        number = answer.json().get("job_id")
        if not number:
            job.status, job.error = "failed", answer.text[:300]
            return
        while job.running and time.monotonic() - began < _LIMIT_S:
            told = client.get(f"/api/v1/job/{number}").json()
            job.status, job.error = str(told.get("status", "failed")), str(told.get("error", ""))
            job.progress.append(float(told.get("progress_pct", math.nan)))
            job.web_bytes = max(job.web_bytes, subject.rss())
            job.engine_bytes = max(job.engine_bytes, _held(subject.engine_pids()))
            time.sleep(_LOOK_S)
    job.seconds = time.monotonic() - began


def _held(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def transcribing(file: bytes) -> Callable[[httpx.Client], httpx.Response]:
    """Submits a recording to be written down."""
    return lambda client: client.post(
        "/api/v2/stt", files={"audio_file": ("talk.flac", file)}, data={"language": "english"}
    )


def separating(file: bytes) -> Callable[[httpx.Client], httpx.Response]:
    """Submits a song to be taken apart."""
    return lambda client: client.post("/api/v1/audio-separate", files={"audio_file": ("song.flac", file)})


def speaking(characters: int = 40_000) -> Callable[[httpx.Client], httpx.Response]:
    """Submits a long text to be spoken."""
    text = (TEXT + " ") * (characters // (len(TEXT) + 1))
    return lambda client: client.post(
        "/api/v1/tts/auto", data={"text": text, "language": "english", "async_mode": "true"}
    )
