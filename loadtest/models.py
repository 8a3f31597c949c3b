"""What decoding costs and what callers feel of it, on a Whisper of the published shape; yardsticks in the same run.

Engines are asked in this process, on one thread, in turns: faster-whisper's own ``transcribe()``, ours in windows of
30 s, ours in windows as short as the utterance, and that for eight utterances together. Callers talk to a server.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

import engines.stt.faster_whisper as whisper
from loadtest.conversations import call, conversation, felt, spread, with_model
from loadtest.recordings import CHECKPOINT, RATE, Recording, record
from loadtest.report import Report
from loadtest.shapes import SHAPES
from loadtest.shapes import whisper as whisper_of
from loadtest.stats import Row
from loadtest.subject import running
from loadtest.swarm import swarm
from protocol.requests import Decode
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.word_errors import word_error_rate

TOGETHER = 8
ROUNDS = 3
IN_TURN, CONTINUOUS = 24, 8
ENDPOINT_MS = 400


def models(report: Report, *, model: Path = CHECKPOINT) -> None:
    """Whisper decoded four ways (CPU an utterance), then callers: in turn, continuous with and without partials."""
    shape = whisper_of("tiny") if model == CHECKPOINT else model
    decoding(report, shape)
    agreement(report)
    callers(report, shape)
    company(report)


def sizes(report: Report) -> None:
    """What a final of 4 s costs with Whispers of the published sizes: times real time on one thread, and memory."""
    for name in SHAPES:
        spans = utterances(TOGETHER)
        before = psutil.Process().memory_info().rss
        with ways(whisper_of(name)) as found:
            seconds = sum(len(span) for span in spans) / (2 * RATE)
            costs = {way: median(_cost(found[way], spans) for _ in range(ROUNDS)) for way in ("trimmed", "batched")}
            costs["padded"] = _cost(found["padded"], spans[:2]) / 2 * len(spans)
            held = (psutil.Process().memory_info().rss - before) / 3  # three of them are loaded
        figures = {f"{way}_cpu_s": cost / len(spans) for way, cost in costs.items()}
        figures |= {f"{way}_real_time_x": seconds / cost for way, cost in costs.items()}
        report.add(Row(f"whisper-{name}, int8, one thread", 1, figures | {"memory_mib": held / 2**20}))


# -- decoding ------------------------------------------------------------------------------------------

Way = Callable[[list[bytes]], list[str]]


@contextmanager
def ways(directory: Path) -> Iterator[dict[str, Way]]:
    """The ways to decode some utterances with the model of a directory, by name."""
    from faster_whisper import WhisperModel

    packaged = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
    options: dict[str, object] = {"directory": str(directory), "threads": 1}
    trimmed, padded = whisper.factory(options), whisper.factory({**options, "trim": False})
    try:
        yield {
            "packaged": partial(_packaged, packaged),
            "padded": partial(_alone, padded),
            "trimmed": partial(_alone, trimmed),
            "batched": partial(_together, trimmed),
        }
    finally:
        trimmed.close()
        padded.close()


def _packaged(model: Any, spans: list[bytes]) -> list[str]:
    """As ours: greedy, one language, text without times, nothing tried again."""
    texts = []
    for span in spans:
        samples = np.frombuffer(span, "<i2").astype(np.float32) / 32768
        segments, _ = model.transcribe(
            samples, language="en", beam_size=1, best_of=1, temperature=0.0, without_timestamps=True,
            condition_on_previous_text=False,
        )  # fmt: skip
        texts.append(" ".join(segment.text.strip() for segment in segments))
    return texts


def _alone(engine: whisper.FasterWhisper, spans: list[bytes]) -> list[str]:
    return [engine.recognize([Decode(span, "en")])[0].text for span in spans]


def _together(engine: whisper.FasterWhisper, spans: list[bytes]) -> list[str]:
    decodes = [Decode(span, "en") for span in spans]
    batches = (decodes[at : at + TOGETHER] for at in range(0, len(decodes), TOGETHER))
    return [answer.text for batch in batches for answer in engine.recognize(batch)]


def utterances(count: int, sentences: int = 3) -> list[bytes]:
    """Held-out utterances of about four seconds."""
    return [
        recording.pcm[2 * int(at.start * RATE) : 2 * int(at.end * RATE)]
        for recording in talks(count, 1, sentences)
        for at in recording.utterances
    ]


def talks(count: int, turns: int, sentences: int = 3) -> list[Recording]:
    """What callers say: so many turns each, of ``sentences`` in one breath."""
    said = held_out_sentences("en", count * turns * sentences, seed=11)
    breaths = [" ".join(said[at : at + sentences]) for at in range(0, len(said), sentences)]
    voices = ("en-us", "en-us+f3", "en+m3", "en-us+m1")
    return [
        record(breaths[at * turns : (at + 1) * turns], voice=voices[at % len(voices)], pause=0.8) for at in range(count)
    ]


def _cost(way: Way, spans: list[bytes]) -> float:
    began = time.process_time()
    way(spans)
    return time.process_time() - began


def decoding(report: Report, directory: Path) -> None:
    """CPU an utterance, each way after the other in every round."""
    spans = utterances(TOGETHER)
    costs: dict[str, list[float]] = {}
    with ways(directory) as found:
        for way in found.values():
            way(spans[:1])  # warm
        for _ in range(ROUNDS):
            for name, way in found.items():
                costs.setdefault(name, []).append(_cost(way, spans) / len(spans))
    figures = {f"{name}_cpu_s": median(values) for name, values in costs.items()}
    for name in ("padded", "trimmed", "batched"):
        ratios = [one / other for one, other in zip(costs["packaged"], costs[name], strict=True)]
        figures[f"{name}_x"] = median(ratios)
    figures["audio_s"] = sum(map(len, spans)) / (2 * RATE * len(spans))
    what = f"transcribe() against ours, {directory.name}"
    met = figures["trimmed_x"] >= 6 and figures["batched_x"] >= 10
    report.add(Row(what, 1, figures, ">= 6 x trimmed, >= 10 x eight together", met))


def agreement(report: Report) -> None:
    """Whether the ways say the same with a model that was trained, and how much of it is right."""
    recordings = talks(24, 1, sentences=1)
    spans = [one.pcm[2 * int((u.start - 0.1) * RATE) : 2 * int((u.end + 0.1) * RATE)]
             for one in recordings for u in one.utterances]  # fmt: skip
    wanted = [u.text for one in recordings for u in one.utterances]
    with ways(CHECKPOINT) as found:
        texts = {name: way(spans) for name, way in found.items()}
    figures = {f"{name}_wer_pct": 100 * word_error_rate(wanted, said) for name, said in texts.items()}
    for name, said in texts.items():
        same = sum(one == other for one, other in zip(said, texts["trimmed"], strict=True))
        figures[f"{name}_same_pct"] = 100 * same / len(said)
    met = figures["batched_same_pct"] == 100 and figures["trimmed_wer_pct"] <= figures["packaged_wer_pct"] + 1e-9
    report.add(Row("texts, demonstration model", len(spans), figures, "eight together = alone; no more errors", met))


# -- callers -------------------------------------------------------------------------------------------


def callers(report: Report, directory: Path) -> None:
    """What callers wait for: one after the other, all the time, with partials and without."""
    listening: dict[str, object] = {"vad": {"min_silence_ms": ENDPOINT_MS}}
    without = {**listening, "interim_results": False}
    name = directory.name
    with running(environment=with_model(directory)) as subject:
        conversation(subject, 2, listening, stop=False, said=talks(2, 1))  # warm
        said = talks(IN_TURN, 1)
        heard = conversation(subject, IN_TURN, {"interim_results": False}, stop=True, within_s=12.0, said=said)
        figures = felt(heard, subject)
        report.add(Row(f"callers in turn, stop to final, {name}", IN_TURN, figures, "p95 <= 1 s", _within(figures, 1)))
        half = CONTINUOUS // 2
        figures = felt(conversation(subject, half, listening, stop=False, said=talks(half, 3)), subject)
        limit = ENDPOINT_MS / 1000 + 0.05
        what = f"p95 <= {limit * 1000:.0f} ms"
        report.add(Row(f"half load, speech to final, {name}", half, figures, what, _within(figures, limit)))
        said = talks(CONTINUOUS, 3)
        rounds: dict[str, list[Any]] = {"off": [], "on": []}
        for _ in range(2):
            for partials, config in (("off", without), ("on", listening)):
                rounds[partials] += conversation(subject, CONTINUOUS, config, stop=False, said=said)
        figures = felt(rounds["on"], subject)
        figures |= spread("final_off", [value for one in rounds["off"] for value in one.final])
        figures["final_p95_x"] = figures["final_p95_s"] / figures["final_off_p95_s"]
        figures["errors"] += sum(len(one.errors) for one in rounds["off"])
    ratio = figures.pop("final_p95_x")
    met = _within(figures, 1) and figures["partial_gap_p50_s"] <= 1.0
    what = f"continuous streams with partials, {name}"
    report.add(Row(what, CONTINUOUS, figures, "p95 <= 1 s, partials at 1 Hz", met))
    what = f"finals, partials on against off, {name}"
    report.add(Row(what, CONTINUOUS, {"final_p95_x": ratio}, "<= 1.2 x", ratio <= 1.2))


def _within(figures: dict[str, float], seconds: float) -> bool:
    return figures["final_p95_s"] <= seconds and not figures["errors"] and not figures["missing"]


def company(report: Report, others: int = IN_TURN) -> None:
    """Whether a caller is told the same alone and among others, by a model whose text depends on what is said.

    Without partials: what a partial showed as stable stays in the final, and how many there are depends on the load.
    """
    mine, *theirs = talks(others + 1, 2)
    config: dict[str, object] = {"vad": {"min_silence_ms": ENDPOINT_MS}, "word_timestamps": True}
    config["interim_results"] = False
    with running(environment=with_model(CHECKPOINT)) as subject:
        url = f"{subject.ws}/v1/stream"
        alone = swarm(call, [(url, subject.key, mine, config, 0.0, False)])[0]
        jobs = [(url, subject.key, one, config, 0.05 * index, False) for index, one in enumerate([mine, *theirs])]
        among, *_ = swarm(call, jobs, per_process=25)
    same = alone.texts == among.texts and len(alone.texts) == len(mine.utterances)
    figures = {"finals_alone": float(len(alone.texts)), "finals_among": float(len(among.texts)), "same": float(same)}
    figures["errors"] = float(len(alone.errors) + len(among.errors))
    report.add(Row("a transcript alone and among others", others + 1, figures, "the same", same))
