"""Recordings of several people to text that says who speaks, by the demonstration recogniser and the real diarizer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch.pipelines import transcribe
from batch.pipelines.base import Produced
from engines import batch_lanes, registry
from engines.registry import EngineSpec
from loadtest.recordings import CHECKPOINT
from protocol.audio import AudioFormat, Encoding, wav_header
from protocol.errors import Code, VoiceError
from protocol.work import Transcribing
from tests import engines_scripted as scripted
from tests.batch.pipelines.studio import Studio, opened
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.speech import Voice, speak_words
from tests.diarization.conversations import RATE

BUILT_IN = {spec.name: spec for spec in registry.BUILT_IN}
WHISPER = replace(BUILT_IN["faster-whisper"], nice=1).with_options(
    directory=str(CHECKPOINT), languages=["en", "vi"], threads=1
)
SILERO = replace(BUILT_IN["silero-vad"], nice=1)
CAMPPLUS = BUILT_IN["campplus"]
EARS = replace(scripted.recognizer(languages=("en",), batch=4, word_times=True), nice=1)
LOUDNESS = replace(scripted.detector(), nice=1)
_PAUSE_S = 1.2  # so that the recogniser, which was trained on short utterances, gets each alone
COUPLE = (Voice("en-us", rate=150, pitch=35), Voice("en-us+f3", rate=150, pitch=60, tract=1.05))


@pytest.fixture(autouse=True)
def _urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of low priority loads for a minute where other tests want the CPU."""
    monkeypatch.setattr(batch_lanes, "BATCH_NICE", 0)


@asynccontextmanager
async def studio(root: Path, *specs: EngineSpec) -> AsyncIterator[Studio]:
    async with opened(root, specs) as it:
        it.tools.fleet.lanes.idle_s = 0.0
        yield it


async def transcribed(it: Studio, pcm: bytes, **fields: object) -> Produced:
    (it.files.directory / "talk.wav").write_bytes(wav_header(AudioFormat(Encoding.WAV, RATE), len(pcm)) + pcm)
    work = Transcribing(upload="talk.wav", seconds=len(pcm) / (2 * RATE), **fields)  # type: ignore[arg-type]
    return await transcribe.run(work, it.context(), it.tools)


def talk(turns: int) -> tuple[bytes, list[tuple[float, float, int]]]:
    """Two people who take turns of two sentences, and when they do."""
    sentences = held_out_sentences("en", 2 * turns, seed=5)
    parts, said, at = [np.zeros(RATE // 2, np.float32)], [], 0.5
    for turn in range(turns):
        begun = at
        for text in sentences[2 * turn : 2 * turn + 2]:
            sound = speak_words(text, COUPLE[turn % 2]).audio
            parts += [sound, np.zeros(round(_PAUSE_S * RATE), np.float32)]
            at += len(sound) / RATE + _PAUSE_S
        said.append((begun, at - _PAUSE_S, turn % 2))
    whole = np.concatenate(parts) + np.random.default_rng(7).normal(0, 0.0005, round(at * RATE)).astype(np.float32)
    return bytes((np.clip(whole, -1, 1) * 32767).astype("<i2").tobytes()), said


async def test_a_talk_says_who_speaks(tmp_path: Path) -> None:
    pcm, said = talk(4)
    async with studio(tmp_path, WHISPER, SILERO, CAMPPLUS) as it:
        produced = await transcribed(it, pcm, diarize=True, keep_words=True, formats=("srt", "vtt", "txt", "json"))
        assert it.shares == sorted(it.shares) and it.shares[-1] == 1.0
        assert any(0.1 < share <= 0.3 for share in it.shares)
    assert (produced.speakers, produced.note) == (2, "")
    right, words = 0, [(word, one.speaker) for one in produced.segments for word in one.words]
    for word, speaker in words:
        middle = (word.start + word.end) / 2
        right += any(begun - 0.3 <= middle <= ended + 0.3 and who == speaker for begun, ended, who in said)
        assert 0.0 <= word.confidence <= 1.0 and word.start <= word.end
    assert right >= 0.95 * len(words) and len(words) > 20
    assert all(one.confidence is not None and 0.3 < one.confidence <= 1.0 for one in produced.segments)
    assert produced.text == " ".join(one.text for one in produced.segments)
    files = {file.role: file.path.read_text() for file in produced.files}
    assert "\nSpeaker 1: " in files["srt"] and "<v Speaker 2>" in files["vtt"]
    assert files["txt"].startswith("Speaker 1: ")
    assert {row["speaker"] for row in json.loads(files["json"])["segments"]} == {"Speaker 1", "Speaker 2"}


async def test_where_nothing_tells_speakers_apart_it_is_said_with_the_command_that_helps(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS) as it:
        with pytest.raises(VoiceError) as caught:
            await transcribed(it, scripted.tone(3.0), diarize=True)
        assert (caught.value.code, caught.value.facts["install"]) == (Code.NOT_INSTALLED, CAMPPLUS.install)
        plain = await transcribed(it, scripted.tone(3.0), diarize=True, must_diarize=False)
        assert plain.text and plain.speakers == 0
        assert {one.speaker for one in plain.segments} == {None}
        assert CAMPPLUS.install in plain.note


async def test_a_diarizer_that_fails_costs_the_speakers_and_not_the_text(tmp_path: Path) -> None:
    broken = replace(CAMPPLUS, factory="tests.engines_scripted:no_such_engine")
    async with studio(tmp_path, EARS, LOUDNESS, broken) as it:
        with pytest.raises(VoiceError) as caught:
            await transcribed(it, scripted.tone(3.0), diarize=True)
        assert caught.value.code is Code.ENGINE_FAILED
        plain = await transcribed(it, scripted.tone(3.0), diarize=True, must_diarize=False)
        assert plain.text and plain.note.startswith("Speakers were not told apart: ")


async def test_silence_has_no_speakers(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS, CAMPPLUS) as it:
        produced = await transcribed(it, bytes(2 * RATE * 3), diarize=True, speakers=2)
        assert (produced.text, produced.segments, produced.speakers) == ("", (), 0)


async def test_words_and_confidence_without_speakers(tmp_path: Path) -> None:
    async with studio(tmp_path, EARS, LOUDNESS) as it:
        sound = scripted.silence(1.0) + scripted.tone(3.0)
        kept = await transcribed(it, sound, keep_words=True, words=False)
        assert all(one.words and one.speaker is None for one in kept.segments)
        plain = await transcribed(it, sound)
        assert not any(one.words for one in plain.segments)
        assert [one.text for one in plain.segments] == [one.text for one in kept.segments]
