"""Subtitles spoken by a real engine: each at its time, whole, and all of them as long as the subtitles."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
import pytest_asyncio

from batch.pipelines.base import Produced
from batch.pipelines.dub import run
from batch.pipelines.tape import trimmed
from engines.tts.hearing import hear
from protocol.dubbing import EASY, NATURAL, TOLERANCE
from protocol.errors import Code, VoiceError
from protocol.requests import Speak
from protocol.work import AnyVoice, Cue, Delivery, Dubbing, Style, VoiceDesign, VoiceNamed, VoiceSaved
from tests.batch.pipelines.studio import Kept, Studio, heard, onsets, opened, s16
from tests.engines.sound import Samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAV = Delivery(format="wav")
MAN = VoiceNamed(code="en-us-male-1")
SHORT, LONG = "We go to town.", "We go to the town by the river, and then we walk back home again."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    async with opened(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


async def dubbed(
    studio: Studio,
    *cues: tuple[float, float, str],
    voice: AnyVoice = MAN,
    delivery: Delivery = WAV,
    style: Style | None = None,
) -> Produced:
    listed = tuple(Cue(start=start, end=end, text=text) for start, end, text in cues)
    work = Dubbing(cues=listed, voice=voice, delivery=delivery, style=style or Style())
    return await run(work, studio.context(), studio.tools)


async def own_length(studio: Studio, text: str, voice: str = "en-us/male-1") -> float:
    """How long a text takes in its own pace, seconds."""
    chunks = [chunk async for chunk in studio.tools.fleet.speak(Speak(text, voice))]
    return len(trimmed(b"".join(chunk.pcm for chunk in chunks), 22_050)) / 2 / 22_050


def stretches(sound: Samples, rate: int, starts: Sequence[float]) -> list[float]:
    """How long sound goes on after each of these times, to its last before the next."""
    lengths = []
    for start, end in zip(starts, [*starts[1:], len(sound) / rate], strict=True):
        loud = np.flatnonzero(np.abs(sound[round(start * rate) : round(end * rate)]) > 0.004)
        lengths.append(float(loud[-1]) / rate if len(loud) else 0.0)
    return lengths


async def test_cues_with_time_to_spare_begin_at_their_times(studio: Studio) -> None:
    times = [0.5, 3.0, 6.25, 20.0]
    produced = await dubbed(studio, *((at, at + 2.5, SHORT) for at in times))
    sound, rate = heard(produced)
    assert onsets(sound, rate, 0.5) == pytest.approx(times, abs=0.04)
    own = await own_length(studio, SHORT)
    assert stretches(sound, rate, times) == pytest.approx([own] * 4, abs=0.06), "at their own pace, whole"
    assert len(sound) / rate == produced.seconds == pytest.approx(22.5, rel=0.001)
    assert (produced.engine, produced.language) == ("espeak-ng", "en")
    assert studio.shares == sorted(studio.shares)
    assert studio.shares[-1] == pytest.approx(1.0)


async def test_it_is_an_mp3_unless_asked_otherwise(studio: Studio) -> None:
    work = Dubbing(cues=(Cue(start=0, end=3, text=SHORT),), voice=MAN)
    produced = await run(work, studio.context(), studio.tools)
    (file,) = produced.files
    assert (file.path.name, file.media_type) == ("audio.mp3", "audio/mpeg")
    assert [path.name for path in file.path.parent.iterdir()] == ["audio.mp3"]
    sound, rate = heard(produced)
    assert len(sound) / rate == pytest.approx(3.0, abs=0.1)


async def test_a_long_cue_takes_the_silence_that_follows(studio: Studio) -> None:
    own = await own_length(studio, LONG)
    slot = own / 1.4
    produced = await dubbed(studio, (1, 1 + slot, LONG), (8, 10, SHORT))
    sound, rate = heard(produced)
    assert onsets(sound, rate, 0.5) == pytest.approx([1, 8], abs=0.04)
    first, _ = stretches(sound, rate, [1, 8])
    assert first == pytest.approx(own / EASY, rel=0.04), "hurried a little, and past its own end"


async def test_a_long_cue_without_silence_is_hurried_and_not_cut(studio: Studio) -> None:
    own = await own_length(studio, LONG)
    slot = own / 1.3
    times = [0.0, slot, 2 * slot, 3 * slot]
    produced = await dubbed(studio, *((at, at + slot, LONG) for at in times))
    sound, rate = heard(produced)
    for at, begins in zip(times, _starts_near(sound, rate, times), strict=True):
        assert begins == pytest.approx(at, abs=0.06)
    assert len(sound) / rate == pytest.approx(4 * slot, rel=TOLERANCE)
    for length in stretches(sound, rate, times):
        assert own / NATURAL - 0.08 < length < slot


def _starts_near(sound: Samples, rate: int, times: Sequence[float]) -> list[float]:
    """The onsets after the little silences there are, those next to ``times``."""
    found = onsets(sound, rate, 0.03)
    return [min(found, key=lambda start: abs(start - time)) for time in times]


async def test_nothing_is_cut_where_there_is_far_too_much_to_say(studio: Studio) -> None:
    """Three times as much as fits: it takes longer than the subtitles, and every word of it is there."""
    own = await own_length(studio, LONG)
    slot = own / 3
    produced = await dubbed(studio, *((n * slot, (n + 1) * slot, LONG) for n in range(3)))
    assert produced.seconds == pytest.approx(3 * own / 2, rel=0.06)
    sound, rate = heard(produced)
    found = hear(s16(sound), rate)
    calm = hear(s16(heard(await dubbed(studio, (0, 30, LONG)))[0]), rate)
    assert found is not None
    assert calm is not None
    assert found.pace == pytest.approx(2 * calm.pace, rel=0.25), "as many syllables in half the time"
    assert found.pitch == pytest.approx(calm.pitch, rel=0.05), "hurried, not squeaking"


@pytest.mark.parametrize("dense", [1.0, 1.25, 1.45, 1.8])
async def test_the_whole_is_within_five_percent(studio: Studio, dense: float) -> None:
    own = await own_length(studio, LONG)
    slot = own / dense
    produced = await dubbed(studio, *((n * slot, (n + 1) * slot, LONG) for n in range(6)))
    assert produced.seconds == pytest.approx(6 * slot, rel=TOLERANCE)


async def test_cues_in_any_order_and_overlapping(studio: Studio) -> None:
    """Nobody speaks over himself: what overlaps follows, and all of it is there."""
    produced = await dubbed(studio, (8, 10, SHORT), (0, 3, LONG), (1, 4, SHORT), (8, 8, SHORT))
    sound, rate = heard(produced)
    starts = onsets(sound, rate, 0.5)
    assert starts == pytest.approx([0.0, 8.0], abs=0.06)
    long, short = await own_length(studio, LONG), await own_length(studio, SHORT)
    first, second = stretches(sound, rate, starts)
    assert first > (long + short) / NATURAL - 0.1
    assert second > 2 * short / NATURAL - 0.1


async def test_cues_without_words_are_silence_that_counts(studio: Studio) -> None:
    produced = await dubbed(studio, (0, 1, ""), (2, 4, SHORT), (5, 6, "..."), (9, 12, ""))
    sound, rate = heard(produced)
    assert onsets(sound, rate, 0.5) == pytest.approx([2], abs=0.04)
    assert produced.seconds == pytest.approx(12.0, rel=0.001)


async def test_nothing_but_silence(studio: Studio) -> None:
    produced = await dubbed(studio, (0, 3, "..."))
    sound, _ = heard(produced)
    assert not sound.any()
    assert produced.seconds == pytest.approx(3.0)


async def test_a_saved_voice_in_another_language(studio: Studio) -> None:
    """A53: the voice of GET /voices, the language of the form."""
    studio.voices.kept = {(1, 7): Kept("design", design=VoiceDesign(gender="male").model_dump_json())}
    cues = ((0.5, 4.0, "Xin chào các bạn."), (5.0, 9.0, "Hôm nay trời đẹp quá."))
    produced = await dubbed(studio, *cues, voice=VoiceSaved(voice_id=7))
    assert produced.language == "vi"
    assert onsets(*heard(produced), 0.5) == pytest.approx([0.5, 5.0], abs=0.05)
    english = await dubbed(studio, *cues, voice=VoiceSaved(voice_id=7), style=Style(language="en"))
    assert english.language == "en"


async def test_several_sentences_in_a_cue(studio: Studio) -> None:
    produced = await dubbed(studio, (1, 9, "Stop. Go on. Run away now."))
    sound, rate = heard(produced)
    starts = onsets(sound, rate, 0.12)
    assert len(starts) == 3
    assert starts[0] == pytest.approx(1.0, abs=0.04)


async def test_whom_nobody_can_speak_for(studio: Studio) -> None:
    with pytest.raises(VoiceError) as caught:
        await dubbed(studio, (0, 2, SHORT), voice=VoiceSaved(voice_id=99))
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.nightly)])
async def test_a_long_file(studio: Studio, count: int) -> None:
    """A55: 500 cues; each of them begins where it should."""
    times = [3.0 * n for n in range(count)]
    produced = await dubbed(studio, *((at, at + 2.8, SHORT) for at in times))
    sound, rate = heard(produced)
    found = onsets(sound, rate, 0.5)
    assert len(found) == count
    assert np.abs(np.array(found) - np.array(times)).max() < 0.05
    assert produced.seconds == pytest.approx(3.0 * count - 0.2, rel=0.001)
