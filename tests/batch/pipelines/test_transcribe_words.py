"""Words of recordings, by both libraries that run Whisper: when they were said, and how sure the engine is of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest

from batch.pipelines import transcribe
from batch.pipelines.base import Produced
from engines import batch_lanes, registry
from engines.registry import EngineSpec
from loadtest.recordings import CHECKPOINT
from protocol.audio import AudioFormat, Encoding, wav_header
from protocol.work import SegmentWord, Transcribing
from tests.batch.pipelines.studio import Studio, opened
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.speech import Audio, Voice, speak_words

RATE = 16_000
TRANSFORMERS = CHECKPOINT.parent / "transformers"
BUILT_IN = {spec.name: spec for spec in registry.BUILT_IN}
SILERO = replace(BUILT_IN["silero-vad"], nice=1)
ENGINES = {
    "faster-whisper": replace(BUILT_IN["faster-whisper"], nice=1).with_options(
        directory=str(CHECKPOINT), languages=["en", "vi"], threads=1
    ),
    "transformers": replace(
        BUILT_IN["transformers"].with_options(directory=str(TRANSFORMERS), languages=["en", "vi"], threads=1),
        languages=("en", "vi"),
    ),
}


@pytest.fixture(autouse=True)
def _urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of low priority loads for a minute where other tests want the CPU."""
    monkeypatch.setattr(batch_lanes, "BATCH_NICE", 0)


@asynccontextmanager
async def studio(root: Path, spec: EngineSpec) -> AsyncIterator[Studio]:
    others = () if spec.name == "faster-whisper" else (ENGINES["faster-whisper"],)
    async with opened(root, (spec, *others, SILERO)) as it:
        yield it


async def heard(it: Studio, engine: str, sound: Audio) -> Produced:
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    (it.files.directory / "talk.wav").write_bytes(wav_header(AudioFormat(Encoding.WAV, RATE), len(pcm)) + pcm)
    work = Transcribing(upload="talk.wav", seconds=len(sound) / RATE, engine=engine, language="en", keep_words=True)
    return await transcribe.run(work, it.context(), it.tools)


def talk() -> tuple[Audio, dict[str, list[float]]]:
    """Some sentences, and when each of their words begins."""
    parts, at = [np.zeros(RATE // 2, np.float32)], 0.5
    begins: dict[str, list[float]] = {}
    for text in held_out_sentences("en", 3, seed=8):
        said = speak_words(text, Voice("en-us", rate=160))
        for word, (start, _) in zip(text.split(), said.spans, strict=True):
            begins.setdefault(word.strip(".,").lower(), []).append(at + start)
        parts += [said.audio * np.float32(0.5), np.zeros(round(1.4 * RATE), np.float32)]
        at += len(said.audio) / RATE + 1.4
    return np.concatenate(parts), begins


@pytest.mark.parametrize("engine", ENGINES)
async def test_words_have_their_times_and_the_engine_s_own_confidence(tmp_path: Path, engine: str) -> None:
    sound, begins = talk()
    noise = np.random.default_rng(3).normal(0, 0.03, len(sound)).astype(np.float32)
    async with studio(tmp_path, ENGINES[engine]) as it:
        clear, covered = await heard(it, engine, sound), await heard(it, engine, sound + noise)
    assert clear.engine == covered.engine == engine
    words: list[SegmentWord] = [word for one in clear.segments for word in one.words]
    assert " ".join(word.word for word in words) == clear.text
    starts = [word.start for word in words]
    assert starts == sorted(starts) and all(word.start <= word.end <= len(sound) / RATE for word in words)
    off = [
        min(abs(word.start - begin) for begin in begins[word.word.strip(".,").lower()])
        for word in words
        if word.word.strip(".,").lower() in begins
    ]
    assert len(off) > 0.8 * sum(map(len, begins.values())) and median(off) < 0.3
    for one in clear.segments:
        assert one.confidence == pytest.approx(fmean(word.confidence for word in one.words), abs=2e-3)
    surest = [word.confidence for one in covered.segments for word in one.words]
    assert fmean(word.confidence for word in words) > (fmean(surest) if surest else 0.0)
