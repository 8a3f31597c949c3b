"""The 31 voices of B15 and B16, heard: each speaks its own language, as a man or a woman."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from engines.catalogue import Catalogue, VoiceEntry
from engines.tts.espeak import Espeak, factory
from engines.tts.hearing import hear
from protocol.requests import Speak
from tests.engines.sound import loudness

RATE = 22050
TEXTS = {
    "vi": "Xin chào, hôm nay trời đẹp quá, chúng ta đi dạo nhé! Tôi rất vui được gặp các bạn ở đây.",
    "af": "Goeiemôre, dit is vandag 'n baie mooi dag en ons gaan stap.",
    "ar": "مرحبا بكم، اليوم الجو جميل جدا وسنذهب إلى الحديقة.",
    "bg": "Добър ден, днес времето е много хубаво и отиваме на разходка.",
    "bn": "নমস্কার, আজ আবহাওয়া খুব সুন্দর, আমরা হাঁটতে যাব।",
    "ca": "Bon dia, avui fa molt bon temps i anem a passejar.",
    "zh": "你好世界,今天天气很好,我们去公园吧。",
    "cs": "Dobrý den, dnes je velmi hezké počasí a jdeme na procházku.",
    "da": "Goddag, i dag er vejret meget smukt, og vi går en tur.",
}
ENTRIES = [entry for entry in Catalogue.load().all() if entry.family in ("vbee", "standard")]


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    with closing(factory({})) as engine:
        yield engine


def spoken(engine: Espeak, text: str, voice: str) -> bytes:
    return b"".join(chunk.pcm for chunk in engine.speak(Speak(text, voice)))


def test_they_are_all_here() -> None:
    assert len(ENTRIES) == 31


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_a_voice_is_a_man_s_or_a_woman_s_at_a_common_loudness(engine: Espeak, entry: VoiceEntry) -> None:
    pcm = spoken(engine, TEXTS[entry.language], entry.engine_voice)
    found = hear(pcm, RATE)
    assert found is not None
    assert (found.pitch > 130) == (entry.gender == "female"), found
    assert 3.0 < found.pace < 6.5, "syllables a second"
    assert 0.05 < loudness(pcm) < 0.15


@pytest.mark.parametrize("language", ["ar", "bg", "zh"])
def test_a_text_is_read_and_not_spelled(engine: Espeak, language: str) -> None:
    """A voice of another language names the letters of a foreign script one by one, which takes far longer."""
    entry = next(entry for entry in ENTRIES if entry.language == language)
    own = spoken(engine, TEXTS[language], entry.engine_voice)
    foreign = spoken(engine, TEXTS[language], "en-us/female-1")
    assert len(foreign) > 1.5 * len(own)


def test_the_regions_of_vietnam_differ(engine: Espeak) -> None:
    """The same words in Hanoi, Saigon and Hue: other tones, so another course of the pitch."""
    heard = {
        region: hear(
            spoken(engine, TEXTS["vi"], next(one.engine_voice for one in ENTRIES if one.code.startswith(region))), RATE
        )
        for region in ("hn_male", "sg_male", "hue_male")
    }
    pitches = sorted(found.pitch for found in heard.values() if found is not None)
    assert len(pitches) == 3
    assert pitches[1] > 1.05 * pitches[0]
    assert pitches[2] > 1.05 * pitches[1]
