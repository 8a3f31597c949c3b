"""Text to one file, by real engines: who is heard, how fast, with which pauses, in which format."""

import asyncio
import resource
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import pytest_asyncio
import soundfile

from batch.pipelines.base import Produced
from batch.pipelines.speak import run
from engines.tts.hearing import Heard, hear
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak
from protocol.work import Delivery, Line, Speaking, Style, VoiceClone, VoiceDesign, VoiceNamed, VoiceSaved
from tests.batch.pipelines.studio import Kept, Studio, heard, onsets, opened, s16
from tests.engines.sound import Samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGLISH = "The quick brown fox jumps over the lazy dog near the river bank."
VIETNAMESE = "Xin chào các bạn, hôm nay chúng ta sẽ nói về trí tuệ nhân tạo."
AUTO = VoiceNamed()
MAN = VoiceNamed(code="en-us-male-1")
WOMAN = VoiceNamed(code="en-us-female-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    async with opened(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


async def said(studio: Studio, *lines: Line, style: Style | None = None, delivery: Delivery | None = None) -> Produced:
    work = Speaking(lines=lines, style=style or Style(), delivery=delivery or Delivery())
    return await run(work, studio.context(), studio.tools)


def voice_of(produced: Produced) -> Heard:
    sound, rate = heard(produced)
    found = hear(s16(sound), rate)
    assert found is not None
    return found


async def test_a_line_becomes_a_wav_of_known_length(studio: Studio) -> None:
    produced = await said(studio, Line(text=ENGLISH, voice=AUTO))
    (file,) = produced.files
    assert (file.role, file.media_type, file.path.name) == ("audio", "audio/wav", "audio.wav")
    sound, rate = heard(produced)
    assert rate == 22050
    assert produced.seconds == pytest.approx(len(sound) / rate)
    assert 3.0 < produced.seconds < 5.0
    assert (produced.engine, produced.language) == ("espeak-ng", "en")
    assert [path.name for path in file.path.parent.iterdir()] == ["audio.wav"], "nothing else is left"
    assert studio.shares == sorted(studio.shares)
    assert studio.shares[-1] == pytest.approx(1.0)


async def test_the_language_is_told_by_the_text(studio: Studio) -> None:
    produced = await said(studio, Line(text=VIETNAMESE, voice=AUTO))
    assert produced.language == "vi"
    chinese = await said(studio, Line(text="今天天气很好", voice=AUTO), style=Style(language="auto"))
    assert chinese.language == "zh"
    asked = await said(studio, Line(text="12345", voice=AUTO), style=Style(language="vi"))
    assert asked.language == "vi"


async def test_a_line_whose_letters_tell_nothing_is_in_the_language_of_the_others(studio: Studio) -> None:
    lines = [Line(text=VIETNAMESE, voice=AUTO), Line(text="Vâng. Hai ba.", voice=AUTO)]
    assert (await said(studio, *lines)).language == "vi"
    work = Speaking(lines=(Line(text="Hai ba", voice=AUTO), Line(text=VIETNAMESE, voice=AUTO)))
    assert (await run(work, studio.context(), studio.tools)).language == "vi"


@pytest.mark.parametrize("speed", [0.1, 0.5, 1.5, 1.9])
async def test_speed_is_of_words_and_pauses(studio: Studio, speed: float) -> None:
    """B8: 0.1 to 1.9."""
    text = ENGLISH + " And then it sleeps."
    plain = await said(studio, Line(text=text, voice=MAN))
    other = await said(studio, Line(text=text, voice=MAN, speed=speed))
    assert plain.seconds / other.seconds == pytest.approx(speed, rel=0.15)
    styled = await said(studio, Line(text=text, voice=MAN), style=Style(speed=speed))
    assert styled.seconds == pytest.approx(other.seconds, rel=0.03)


async def test_lines_have_their_own_voices_as_loud_as_each_other(studio: Studio) -> None:
    voices = [MAN, VoiceNamed(code="en-us-female-2"), VoiceNamed(code="en-us-whisper-female"), MAN]
    produced = await said(studio, *(Line(text="We go to town today.", voice=voice) for voice in voices))
    sound, rate = heard(produced)
    starts = onsets(sound, rate, 0.45)
    assert len(starts) == 4
    turns = [
        sound[round(a * rate) : round(b * rate)] for a, b in zip(starts, [*starts[1:], None], strict=True) if b
    ] + [sound[round(starts[-1] * rate) :]]
    pitches = [found.pitch for turn in (turns[0], turns[1], turns[3]) if (found := hear(s16(turn), rate))]
    assert pitches[1] > 1.5 * pitches[0] == pytest.approx(1.5 * pitches[2], rel=0.1)
    levels = [20 * np.log10(_speech_level(turn, rate)) for turn in turns]
    assert max(levels) - min(levels) < 2.5


def _speech_level(sound: Samples, rate: int) -> float:
    blocks = sound[: len(sound) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    means = (blocks**2).mean(axis=1)
    return float(np.sqrt(means[means > 1e-4].mean()))


async def test_sentences_are_joined_with_pauses_and_without_clicks(studio: Studio) -> None:
    produced = await said(studio, Line(text="Stop here. Go there.\n\nRun away.", voice=WOMAN))
    sound, rate = heard(produced)
    loud = np.flatnonzero(np.abs(sound) > 0.004)
    gaps = np.diff(loud)[np.diff(loud) > 0.2 * rate] / rate
    assert len(gaps) == 2
    assert 0.3 < gaps[0] < 0.55
    assert 0.6 < gaps[1] < 0.95
    quiet = np.abs(np.diff(sound, prepend=0.0, append=0.0))
    for edge in (0, -1):
        assert quiet[edge] < 0.005
    assert len(sound) / rate - loud[-1] / rate < 0.1, "no silence at the end"


@pytest.mark.parametrize(
    ("delivery", "rate", "kind"),
    [
        (Delivery(format="mp3"), 22050, "audio/mpeg"),
        (Delivery(format="mp3", bitrate=8), 22050, "audio/mpeg"),
        (Delivery(format="mp3", bitrate=160), 22050, "audio/mpeg"),
        (Delivery(format="mp3", bitrate=320), 32000, "audio/mpeg"),
        (Delivery(format="mp3", sample_rate=48000), 48000, "audio/mpeg"),
        (Delivery(format="flac"), 22050, "audio/flac"),
        (Delivery(format="ogg", sample_rate=44100), 44100, "audio/ogg"),
        (Delivery(format="wav", sample_rate=8000), 8000, "audio/wav"),
    ],
)
async def test_formats_rates_and_bitrates(studio: Studio, delivery: Delivery, rate: int, kind: str) -> None:
    produced = await said(studio, Line(text=ENGLISH, voice=MAN), delivery=delivery)
    (file,) = produced.files
    assert file.media_type == kind
    sound, found = heard(produced)
    assert found == rate
    assert len(sound) / rate == pytest.approx(produced.seconds, abs=0.1)
    if delivery.format == "mp3":
        kbps = delivery.bitrate or 128
        assert file.path.stat().st_size * 8 / produced.seconds == pytest.approx(1000 * kbps, rel=0.1)
    assert hear(s16(sound), rate) is not None


async def test_a_bitrate_the_rate_does_not_have_is_said(studio: Studio) -> None:
    with pytest.raises(VoiceError) as caught:
        await said(studio, Line(text="hi", voice=MAN), delivery=Delivery(format="mp3", sample_rate=8000, bitrate=320))
    assert caught.value.facts["field"] == "bitrate"


@pytest.mark.parametrize("text", ["", " ", "...!?"])
async def test_nothing_to_say_is_a_moment_of_silence(studio: Studio, text: str) -> None:
    produced = await said(studio, Line(text=text, voice=AUTO))
    sound, rate = heard(produced)
    assert len(sound) / rate == pytest.approx(0.2, abs=0.01)
    assert not sound.any()


async def test_a_designed_voice(studio: Studio) -> None:
    man = await said(studio, Line(text=ENGLISH, voice=VoiceDesign(gender="male", age="elderly", pitch="low pitch")))
    girl = await said(studio, Line(text=ENGLISH, voice=VoiceDesign(instruct="a cheerful little girl")))
    assert voice_of(girl).pitch > 2 * voice_of(man).pitch
    assert girl.engine == "espeak-ng"
    speaks = await said(studio, Line(text=VIETNAMESE, voice=VoiceDesign(gender="female")))
    assert speaks.language == "vi"


async def _recording(studio: Studio, voice: str, text: str = ENGLISH) -> Samples:
    chunks = [chunk.pcm async for chunk in studio.tools.fleet.speak(Speak(text, voice))]
    return np.frombuffer(b"".join(chunks), "<i2").astype(np.float64) / 32768


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
async def test_a_cloned_voice_from_an_upload(studio: Studio, kind: str) -> None:
    """A15: wav, mp3, flac ..."""
    sound = await _recording(studio, "en-us/male-3")
    soundfile.write(studio.files.directory / "ref", sound, 22050, format=kind)
    clone = await said(studio, Line(text=ENGLISH, voice=VoiceClone(upload="ref")))
    reference = hear(s16(sound), 22050)
    assert reference is not None
    assert voice_of(clone).pitch == pytest.approx(reference.pitch, rel=0.06)
    assert [path.name for path in clone.files[0].path.parent.iterdir()] == ["audio.wav"]


async def test_a_reference_without_speech(studio: Studio) -> None:
    soundfile.write(studio.files.directory / "still", np.zeros(60_000), 22050, format="wav")
    with pytest.raises(VoiceError) as caught:
        await said(studio, Line(text=ENGLISH, voice=VoiceClone(upload="still")))
    assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, "ref_audio")


async def test_an_upload_that_is_gone(studio: Studio) -> None:
    with pytest.raises(VoiceError) as caught:
        await said(studio, Line(text=ENGLISH, voice=VoiceClone(upload="nothing")))
    assert caught.value.code is Code.GONE


async def test_saved_voices_of_both_kinds_in_a_dialogue(studio: Studio) -> None:
    """A18, with a design and a clone; a voice that speaks twice is cloned once."""
    sound = await _recording(studio, "en-us/female-2")
    path = studio.files.directory / "kept.flac"
    soundfile.write(path, sound, 22050)
    studio.voices.kept = {
        (1, 1): Kept("design", design=VoiceDesign(gender="male", pitch="low pitch").model_dump_json()),
        (1, 2): Kept("clone", sound=path.read_bytes()),
    }
    before = studio.files.decoded
    produced = await said(
        studio,
        Line(text="Good evening to all of you.", voice=VoiceSaved(voice_id=1)),
        Line(text="Thank you, I am very glad to be here.", voice=VoiceSaved(voice_id=2)),
        Line(text="Where do you come from?", voice=VoiceSaved(voice_id=1)),
        Line(text="From a town by the sea.", voice=VoiceSaved(voice_id=2)),
    )
    sound, rate = heard(produced)
    starts = [*onsets(sound, rate, 0.5), len(sound) / rate]
    turns = [hear(s16(sound[round(a * rate) : round(b * rate)]), rate) for a, b in pairwise(starts)]
    pitches = [turn.pitch for turn in turns if turn is not None]
    assert len(pitches) == 4
    assert max(pitches[0::2]) * 1.5 < min(pitches[1::2])
    assert studio.files.decoded == before + 1


async def test_a_saved_voice_speaks_its_own_language_where_the_text_does_not_tell(studio: Studio) -> None:
    studio.voices.kept = {(1, 3): Kept("design", "vi", VoiceDesign(gender="female").model_dump_json())}
    assert (await said(studio, Line(text="Hai ba", voice=VoiceSaved(voice_id=3)))).language == "vi"
    english = Style(language="en")
    assert (await said(studio, Line(text="Hai ba", voice=VoiceSaved(voice_id=3)), style=english)).language == "en"


async def test_a_saved_voice_that_lost_its_recording(studio: Studio) -> None:
    studio.voices.kept = {(1, 4): Kept("clone")}
    with pytest.raises(VoiceError) as caught:
        await said(studio, Line(text="hello", voice=VoiceSaved(voice_id=4)))
    assert caught.value.code is Code.GONE


@pytest.mark.parametrize(
    ("voice", "language", "code", "field"),
    [
        (VoiceNamed(code="nobody"), "auto", Code.NOT_FOUND, "voice"),
        (VoiceNamed(), "tlh", Code.NOT_FOUND, "language"),
        (VoiceDesign(gender="male"), "tlh", Code.NOT_FOUND, "language"),
        (VoiceSaved(voice_id=99), "auto", Code.NOT_FOUND, "voice_id"),
    ],
)
async def test_who_cannot_speak_is_told_before_anything_is_spoken(
    studio: Studio, voice: VoiceNamed, language: str, code: Code, field: str
) -> None:
    lines = [Line(text=ENGLISH, voice=AUTO), Line(text=ENGLISH, voice=voice)]
    with pytest.raises(VoiceError) as caught:
        await said(studio, *lines, style=Style(language=language))
    assert (caught.value.code, caught.value.facts["field"]) == (code, field)
    assert not studio.shares


async def test_the_voices_of_the_documents(studio: Studio) -> None:
    """B4, B5: sentences with their own voices and speeds."""
    produced = await said(
        studio,
        Line(text="Xin chào.", voice=VoiceNamed(code="hn_female_ngochuyen_full_48k-fhg"), speed=0.9),
        Line(text="Rất vui được gặp bạn.", voice=VoiceNamed(code="hue_male_duyphuong_full_48k-fhg"), speed=1.9),
        delivery=Delivery(format="mp3", bitrate=128),
    )
    assert produced.language == "vi"
    assert len(onsets(*heard(produced), 0.4)) == 2


@pytest.mark.parametrize("characters", [4_000, pytest.param(50_000, marks=pytest.mark.nightly)])
async def test_a_long_text(studio: Studio, characters: int) -> None:
    """50,000 characters are an hour of speech: progress moves all the way, and memory does not grow with it."""
    text = "The quick brown fox jumps over the lazy dog, and after a while it sleeps again. " * 625
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = Line(text=text[:characters], voice=MAN)
    produced = await said(studio, line, delivery=Delivery(format="mp3", bitrate=32))
    assert produced.seconds == pytest.approx(characters / 16, rel=0.1)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60 * 1024, "KiB"
    assert len(set(studio.shares)) > characters / 90


async def test_a_job_that_is_called_off_leaves_nothing_running(studio: Studio) -> None:
    work = Speaking(lines=(Line(text=ENGLISH * 200, voice=MAN),))
    begun = asyncio.Event()
    context = replace(studio.context(), progress=lambda _: begun.set())
    task = asyncio.ensure_future(run(work, context, studio.tools))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(context.directory.glob("*.pcm"))
    chunks = [chunk async for chunk in studio.tools.fleet.speak(Speak("still there", "en-us/male-1"))]
    assert chunks, "the engine is free again"


async def test_a_job_of_low_priority_is_spoken_just_as_well(studio: Studio) -> None:
    work = Speaking(lines=(Line(text=ENGLISH, voice=MAN),))
    produced = await run(work, studio.context(Priority.BATCH), studio.tools)
    assert voice_of(produced).pitch == pytest.approx(101, rel=0.05)
