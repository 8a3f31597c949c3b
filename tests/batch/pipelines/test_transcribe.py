"""Recordings to text, by the demonstration recogniser and by scripted ones."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pysrt
import pytest

from batch.pipelines import transcribe
from batch.pipelines.base import Produced
from engines import registry
from engines.registry import EngineSpec
from loadtest.recordings import CHECKPOINT, Recording, record
from protocol.audio import AudioFormat, Encoding, wav_header
from protocol.errors import Code, VoiceError
from protocol.requests import Priority
from protocol.work import Transcribing
from tests import engines_scripted as scripted
from tests.batch.pipelines.studio import Studio, opened
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.word_errors import word_errors
from tests.engines.hosting import until

BUILT_IN = {spec.name: spec for spec in registry.BUILT_IN}
# Nice already, so that no second process is started; that there would be one is for test_batch_lanes.
WHISPER = replace(BUILT_IN["faster-whisper"], nice=1).with_options(
    directory=str(CHECKPOINT), languages=["en", "vi"], threads=1
)
SILERO = replace(BUILT_IN["silero-vad"], nice=1)
EARS = replace(scripted.recognizer(languages=("en",), batch=4, word_times=True), nice=1)
LOUDNESS = replace(scripted.detector(), nice=1)


@asynccontextmanager
async def studio(root: Path, *specs: EngineSpec) -> AsyncIterator[Studio]:
    async with opened(root, specs) as it:
        it.tools.fleet.lanes.idle_s = 0.0
        yield it


def upload(it: Studio, pcm: bytes) -> str:
    (it.files.directory / "talk.wav").write_bytes(wav_header(AudioFormat(Encoding.WAV, 16_000), len(pcm)) + pcm)
    return "talk.wav"


async def transcribed(it: Studio, pcm: bytes, **fields: object) -> Produced:
    work = Transcribing(upload=upload(it, pcm), seconds=len(pcm) / 32_000, **fields)  # type: ignore[arg-type]
    return await transcribe.run(work, it.context(), it.tools)


def words(text: str) -> list[str]:
    return re.sub(r"[^\w ]", "", text.lower()).split()


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(held_out_sentences("en", 14, seed=3), pause=1.4)


async def test_a_talk_is_written_down_with_its_times(tmp_path: Path, talk: Recording) -> None:
    async with studio(tmp_path, WHISPER, SILERO) as it:
        produced = await transcribed(it, talk.pcm, formats=("srt", "vtt", "txt", "json"), beam_size=5)
    said = " ".join(utterance.text for utterance in talk.utterances)
    assert word_errors(said, produced.text) <= 0.1 * len(said.split())
    assert (produced.engine, produced.language) == ("faster-whisper", "en")
    assert produced.seconds == pytest.approx(talk.seconds)
    files = {file.role: file.path for file in produced.files}
    assert set(files) == {"srt", "vtt", "txt", "json"}
    cues = pysrt.open(files["srt"])
    assert words(" ".join(cue.text for cue in cues)) == words(produced.text)
    starts = [segment.start for segment in produced.segments]
    assert starts == sorted(starts)
    for utterance in talk.utterances:
        assert min(abs(start - utterance.start) for start in starts) < 0.5
    assert json.loads(files["json"].read_text())["segments"][0]["words"]
    assert it.shares == sorted(it.shares) and it.shares[-1] == 1.0 and len(it.shares) > 10


async def test_the_language_is_found_out_once_for_all(tmp_path: Path) -> None:
    made = record(held_out_sentences("vi", 6, seed=2), voice="vi", pause=1.4)
    async with studio(tmp_path, WHISPER, SILERO) as it:
        produced = await transcribed(it, made.pcm)
        assert produced.language == "vi"
        english = await transcribed(it, made.pcm, language="en")
        assert english.language == "en"


async def test_silence_is_a_success_with_an_empty_text(tmp_path: Path) -> None:
    """A51: a recording without words has an SRT file all the same."""
    async with studio(tmp_path, WHISPER, SILERO) as it:
        for fields in ({}, {"vad_filter": False}, {"language": "vi"}):
            produced = await transcribed(it, bytes(32_000 * 3), **fields)
            assert (produced.text, produced.segments) == ("", ())
            (file,) = produced.files
            assert (file.role, file.path.read_text()) == ("srt", "")
            assert it.shares[-1] == 1.0


async def test_without_the_filter_all_is_heard(tmp_path: Path) -> None:
    """A tone is no speech to the detector, but this recogniser understands it."""
    async with studio(tmp_path, EARS, SILERO) as it:
        assert (await transcribed(it, scripted.tone(40.0))).text == ""
        produced = await transcribed(it, scripted.tone(40.0), vad_filter=False)
        assert len(produced.text.split()) == pytest.approx(40 / scripted.WORD_S, abs=2)


async def test_words_of_a_stretch_lie_where_they_were_said(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS) as it:
        produced = await transcribed(it, scripted.silence(30.0) + scripted.tone(3.0) + scripted.silence(2.0))
        assert produced.segments[0].start == pytest.approx(30.0, abs=0.05)
        assert produced.segments[-1].end == pytest.approx(33.0, abs=0.05)
        plain = await transcribed(it, scripted.silence(5.0) + scripted.tone(3.0), words=False)
        assert plain.segments[0].start == pytest.approx(4.7, abs=0.1)


async def test_an_engine_that_is_replaced_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    sound = (scripted.tone(3.0) + scripted.silence(2.0)) * 12
    async with studio(tmp_path, EARS.with_options(latency_s=0.15, batch=1), LOUDNESS) as it:
        whole = await transcribed(it, sound)
        working = asyncio.ensure_future(transcribed(it, sound))
        await until(lambda: 0.3 < max(it.shares, default=0.0) < 0.9)
        for pid in it.tools.fleet.pids():
            os.kill(pid, signal.SIGKILL)
        assert (await working).text == whole.text


async def test_cancelled_it_leaves_nothing_with_the_engines(tmp_path: Path) -> None:
    sound = (scripted.tone(3.0) + scripted.silence(2.0)) * 30
    async with studio(tmp_path, EARS.with_options(latency_s=0.2, batch=1), LOUDNESS) as it:
        working = asyncio.ensure_future(transcribed(it, sound))
        await until(lambda: max(it.shares, default=0.0) > 0.2)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        scheduler = it.tools.fleet.recognizer()
        assert len(scheduler._waiting) == 0
        assert not list((it.root / "job-1").glob("decoded*"))


async def test_what_nobody_here_understands_is_said_with_the_command_that_helps(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS) as it:
        with pytest.raises(VoiceError) as caught:
            await transcribed(it, scripted.tone(1.0), language="vi")
        assert (caught.value.code, caught.value.facts["install"]) == (Code.NOT_INSTALLED, "voxline models pull small")


async def test_an_error_of_the_engine_is_the_job_s(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS) as it:
        with pytest.raises(VoiceError) as caught:
            await transcribed(it, scripted.tone(1.0), prompt="[[typed]]")
        assert caught.value.code is Code.UNSUPPORTED_MEDIA


async def test_the_priority_is_that_of_who_waits(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS) as it:
        work = Transcribing(upload=upload(it, scripted.tone(1.0)), seconds=1.0)
        produced = await transcribe.run(work, it.context(Priority.BATCH), it.tools)
        assert produced.text


@pytest.mark.nightly
async def test_twenty_minutes_take_little_memory(tmp_path: Path) -> None:
    """X: bounded memory whatever the length; in this process, all but what is being heard stays on the disk."""
    import tracemalloc

    made = record(held_out_sentences("en", 60, seed=9), pause=1.0)
    pcm = (made.pcm * (2000 * 32_000 // len(made.pcm) + 1))[: 2000 * 32_000]
    async with studio(tmp_path, WHISPER, SILERO) as it:
        name = upload(it, pcm)
        del pcm
        (it.files.directory / "sound.pcm").write_bytes((it.files.directory / name).read_bytes()[44:])

        async def decode(path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
            target = (directory or it.root) / "decoded"
            os.link(it.files.directory / "sound.pcm", target)
            return target

        it.files.decode = decode  # type: ignore[method-assign]
        tracemalloc.start()
        await transcribe.run(Transcribing(upload=name, seconds=2000.0), it.context(), it.tools)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 64 << 20
