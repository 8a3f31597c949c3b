"""The pipelines over the tools for sound: real engines in processes of their own, real files."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from batch.pipelines import analyze, deecho, enhance, revoice
from batch.pipelines.base import Produced
from engines.sound.levels import TARGET_LUFS, Loudness
from engines.sound.spectra import Sound, pcm_of
from engines.tts.hearing import hear
from protocol.errors import Code, VoiceError
from protocol.music import camelot
from protocol.work import (
    Analyzing,
    Deechoing,
    Delivery,
    Enhancing,
    Music,
    Revoicing,
    VoiceClone,
    VoiceNamed,
    VoiceSaved,
)
from tests.batch.pipelines.raw import probed, studio, tool, upload
from tests.batch.pipelines.studio import ESPEAK, Kept
from tests.engines.sound_tools.music import RATE as MUSIC_RATE
from tests.engines.sound_tools.music import song
from tests.engines.sound_tools.speech import RATE, filtered, noisy, ratio_to, said


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine should not make these tests wait, and half a minute is enough for joints."""
    monkeypatch.setattr("batch.pipelines.passes.STRETCH_S", 12.0)
    monkeypatch.setattr("engines.batch_lanes.BATCH_NICE", 1)
    monkeypatch.setattr("batch.pipelines.passes.BATCH_NICE", 1)


def read(produced: Produced) -> tuple[Sound, int]:
    (file,) = produced.files
    sound, rate = soundfile.read(file.path, dtype="float32", always_2d=True)
    return sound.T, rate


def lufs(sound: Sound, rate: int) -> float:
    measured = Loudness(rate, len(sound))
    measured.add(pcm_of(sound))
    return measured.lufs


async def test_a_noisy_recording_becomes_clean_and_as_loud_as_it_should_be(tmp_path: Path) -> None:
    """C16: noise removed, normalised, a WAV file. Long enough for a joint."""
    clean = np.tile(said(), 3)
    heard = 0.3 * noisy(clean, 10.0)
    async with studio(tmp_path, [tool("enhance")]) as it:
        work = Enhancing(upload=upload(it, heard, RATE), seconds=1.0)
        produced = await enhance.run(work, it.context(), it.tools)
        assert it.shares == sorted(it.shares) and it.shares[-1] == 1.0 and len(it.shares) > 3
        assert [path.name for path in (it.root / "job-1").iterdir()] == ["audio.wav"]
    assert produced.engine == "enhance"
    assert "noise" in produced.note and "LUFS" in produced.note
    (sound,), rate = read(produced)
    assert (rate, len(sound)) == (RATE, len(clean))
    assert ratio_to(clean, sound) - ratio_to(clean, heard) > 3
    assert lufs(sound[None], rate) == pytest.approx(TARGET_LUFS, abs=1.0)


async def test_a_telephones_recording_is_widened_and_it_is_said(tmp_path: Path) -> None:
    """D13, as MP3 in stereo; one that is wide enough is left alone, and that is said too."""
    async with studio(tmp_path, [tool("enhance")]) as it:
        narrow = np.stack([said(rate=8000)] * 2)
        delivery = Delivery(format="mp3", bitrate=128)
        work = Enhancing(
            upload=upload(it, narrow, 8000), seconds=1.0, clarity=True, super_resolution=True, delivery=delivery
        )
        produced = await enhance.run(work, it.context(), it.tools)
        codec, rate, channels, seconds, bitrate = probed(produced.files[0].path)
        assert (codec, rate, channels) == ("mp3float", 48_000, 2)
        assert seconds == pytest.approx(narrow.shape[1] / 8000, abs=0.1)
        assert bitrate == pytest.approx(128_000, rel=0.02)
        assert "made up" in produced.note and "48 kHz" in produced.note
        wide = 0.1 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
        work = Enhancing(
            upload=upload(it, wide, 48_000), seconds=1.0, denoise=False, super_resolution=True, normalize=False
        )
        produced = await enhance.run(work, it.context(), it.tools)
        assert "left alone" in produced.note
        assert np.abs(read(produced)[0] - wide).max() < 2 / 32768


async def test_an_echo_of_a_whole_recording_is_undone_or_said_not_to_be_there(tmp_path: Path) -> None:
    """D15."""
    clean = np.tile(said(), 3)
    response = np.zeros(4001, np.float32)
    response[[0, 4000]] = 1.0, 0.5
    heard = 0.6 * filtered(clean, response)
    async with studio(tmp_path, [tool("deecho")]) as it:
        work = Deechoing(upload=upload(it, heard, RATE), seconds=1.0, reverb=False)
        produced = await deecho.run(work, it.context(), it.tools)
        assert it.shares == sorted(it.shares) and it.shares[-1] == 1.0
        (sound,), _ = read(produced)
        assert len(sound) == len(clean)
        assert ratio_to(clean, sound) - ratio_to(clean, heard) > 12
        assert "250 ms" in produced.note
        produced = await deecho.run(
            Deechoing(upload=upload(it, clean, RATE), seconds=1.0, intensity=1), it.context(), it.tools
        )
        assert "no distinct echo" in produced.note and "reverberation" in produced.note


async def test_music_is_told_from_all_of_it(tmp_path: Path) -> None:
    """D16: no file is made."""
    async with studio(tmp_path, [tool("analyze")]) as it:
        work = Analyzing(upload=upload(it, song(7, "Major", 104, 14), MUSIC_RATE), seconds=1.0)
        produced = await analyze.run(work, it.context(), it.tools)
        assert produced.files == () and it.shares[-1] == 1.0
        music = produced.music
        assert music is not None
        assert music == Music(key="G", scale="Major", bpm=music.bpm, time_signature="4/4")
        assert music.bpm == pytest.approx(104.0, abs=0.2)
        assert camelot(music.key, music.scale) == "9B"
        with pytest.raises(VoiceError) as caught:
            silence = upload(it, np.zeros(MUSIC_RATE, np.float32), MUSIC_RATE)
            await analyze.run(Analyzing(upload=silence, seconds=1.0), it.context(), it.tools)
        assert caught.value.code is Code.BAD_REQUEST


async def test_a_recording_gets_a_voice_of_the_catalogue_a_mood_and_a_speed(tmp_path: Path) -> None:
    """D10, D12. Long enough for a joint."""
    man = np.tile(said(voice="en-us/male-1"), 3)
    async with studio(tmp_path, [tool("revoice"), ESPEAK]) as it:
        name = upload(it, man, RATE)
        work = Revoicing(upload=name, seconds=1.0, voice=VoiceNamed(code="af_bella"), speed=1.25)
        produced = await revoice.run(work, it.context(), it.tools)
        assert it.shares == sorted(it.shares) and it.shares[-1] == 1.0
        assert produced.engine == "revoice, espeak-ng"
        assert "no neural conversion" in produced.note
        (sound,), rate = read(produced)
        assert len(sound) / rate == pytest.approx(len(man) / RATE / 1.25, rel=0.01)
        assert produced.seconds == pytest.approx(len(sound) / rate, rel=0.01)
        neutral = hear(pcm_of(sound[None]), rate)
        assert neutral is not None and 170 < neutral.pitch < 260  # a woman's
        work = work.model_copy(update={"emotion": "excited", "speed": 1.0})
        (sound,), rate = read(await revoice.run(work, it.context(), it.tools))
        excited = hear(pcm_of(sound[None]), rate)
        assert excited is not None and excited.pitch > 1.1 * neutral.pitch and excited.spread > 1.2 * neutral.spread
        assert len(sound) / rate < 0.9 * len(man) / RATE


async def test_a_cloned_voice_is_measured_in_its_own_recording(tmp_path: Path) -> None:
    girl = said(voice="en-us/girl")
    async with studio(tmp_path, [tool("revoice"), ESPEAK]) as it:
        reference = upload(it, girl, RATE)
        (it.files.directory / reference).rename(it.files.directory / f"{'y' * 22}.{RATE}.1")
        name = upload(it, said(voice="en-us/male-1"), RATE)
        work = Revoicing(upload=name, seconds=1.0, voice=VoiceClone(upload=f"{'y' * 22}.{RATE}.1"))
        produced = await revoice.run(work, it.context(), it.tools)
        (sound,), rate = read(produced)
        heard, wanted = hear(pcm_of(sound[None]), rate), hear(pcm_of(girl[None]), RATE)
        assert heard is not None and wanted is not None
        assert heard.pitch == pytest.approx(wanted.pitch, rel=0.06)
        assert produced.engine == "revoice"
        wav = io.BytesIO()
        soundfile.write(wav, girl, RATE, format="WAV")
        it.voices.kept[1, 5] = Kept("clone", sound=wav.getvalue())
        saved = await revoice.run(work.model_copy(update={"voice": VoiceSaved(voice_id=5)}), it.context(), it.tools)
        again = hear(pcm_of(read(saved)[0]), rate)
        assert again is not None and again.pitch == pytest.approx(heard.pitch, rel=0.02)
        with pytest.raises(VoiceError) as caught:
            silent = upload(it, np.zeros(RATE, np.float32), RATE)
            await revoice.run(Revoicing(upload=silent, seconds=1.0, voice=VoiceNamed()), it.context(), it.tools)
        assert caught.value.code is Code.BAD_REQUEST


async def test_a_tool_that_is_not_there_is_named_with_its_command(tmp_path: Path) -> None:
    async with studio(tmp_path, [tool("enhance")]) as it:
        name = upload(it, said(), RATE)
        with pytest.raises(VoiceError) as caught:
            await deecho.run(Deechoing(upload=name, seconds=1.0), it.context(), it.tools)
        assert caught.value.code is Code.NOT_INSTALLED
        assert caught.value.facts["install"] == "pip install nara-wpe"
