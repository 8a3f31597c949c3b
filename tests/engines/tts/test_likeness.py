"""Clones, measured: as high, as fast and of the same kind as the reference, in the language that is asked for."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engines.tts.espeak import Espeak, factory
from engines.tts.hearing import Heard, hear
from engines.tts.likeness import alike, heard_in, prompt_of
from protocol.errors import Code, VoiceError
from protocol.requests import Reference, Speak
from tests.engines.sound import tone

RATE = 22050
ENGLISH = "The quick brown fox jumps over the lazy dog near the river bank. What a wonderful day it is, my friends!"
VIETNAMESE = "Xin chào, hôm nay trời đẹp quá, chúng ta đi dạo nhé! Tôi rất vui được gặp các bạn ở đây."
TEXTS = {"en-us": ENGLISH, "vi": VIETNAMESE}


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    with closing(factory({})) as engine:
        yield engine


def reference(engine: Espeak, voice: str, speed: float = 1.0, pitch: float = 0.0) -> Reference:
    request = Speak(TEXTS[voice.partition("/")[0]], voice, speed, pitch)
    return Reference(b"".join(chunk.pcm for chunk in engine.speak(request)), RATE)


def cloned(engine: Espeak, like: Reference, language: str = "en-us", speed: float = 1.0) -> bytes:
    request = Speak(TEXTS[language], f"{language}/female-1", speed, prompt=engine.clone(like))
    return b"".join(chunk.pcm for chunk in engine.speak(request))


def heard(pcm: bytes) -> Heard:
    found = hear(pcm, RATE)
    assert found is not None
    return found


def test_it_says_that_it_clones_and_what_that_is_worth(engine: Espeak) -> None:
    said = engine.describe()
    assert said.cloning
    assert "does not sound like the person" in said.note


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(
    "voice", ["en-us/male-1", "en-us/male-3", "en-us/female-1", "en-us/female-2", "vi/male-1", "vi/boy"]
)
def test_a_clone_is_as_high_as_the_reference(engine: Espeak, voice: str, language: str) -> None:
    like = reference(engine, voice)
    assert heard(cloned(engine, like, language)).pitch == pytest.approx(heard(like.pcm).pitch, rel=0.06)


@pytest.mark.parametrize("semitones", [-4.0, 4.0])
def test_a_clone_follows_an_unusual_pitch(engine: Espeak, semitones: float) -> None:
    for voice in ("en-us/male-1", "en-us/female-1"):
        like = reference(engine, voice, pitch=semitones)
        assert heard(cloned(engine, like)).pitch == pytest.approx(heard(like.pcm).pitch, rel=0.06)


def test_a_clone_speaks_as_fast_as_the_reference(engine: Espeak) -> None:
    slow, fast = (cloned(engine, reference(engine, "en-us/female-2", speed)) for speed in (0.8, 1.25))
    assert len(slow) > 1.3 * len(fast)
    assert heard(fast).pace == pytest.approx(heard(reference(engine, "en-us/female-2", 1.25).pcm).pace, rel=0.15)


def test_a_lively_reference_makes_a_livelier_clone(engine: Espeak) -> None:
    request = Speak(ENGLISH, "en-us/female-1")
    lively, flat = Heard(200, 7.0, 5.0), Heard(200, 1.5, 5.0)
    spreads = []
    for manner in (lively, flat):
        prompt = json.dumps(
            {"engine": "espeak-ng", "version": 1, "pitch": manner.pitch, "spread": manner.spread, "pace": 5}
        ).encode()
        chunks = engine.speak(Speak(request.text, request.voice, prompt=prompt))
        spreads.append(heard(b"".join(chunk.pcm for chunk in chunks)).spread)
    assert spreads[0] > 1.5 * spreads[1]


def test_men_women_and_children_become_their_own_kind(engine: Espeak) -> None:
    kinds = {
        voice: alike(heard(reference(engine, voice).pcm), lambda _: None)
        for voice in ("en-us/male-1", "vi/male-1", "en-us/female-1", "vi/female-1", "en-us/girl")
    }
    assert [(one.gender, one.age) for one in kinds.values()] == [
        ("male", "adult"),
        ("male", "adult"),
        ("female", "adult"),
        ("female", "adult"),
        ("female", "child"),
    ]


def test_speed_goes_on_top(engine: Espeak) -> None:
    like = reference(engine, "en-us/male-1")
    assert len(cloned(engine, like)) / len(cloned(engine, like, speed=1.5)) == pytest.approx(1.5, rel=0.1)


def test_a_prompt_is_a_small_object_that_says_whose_it_is(engine: Espeak) -> None:
    prompt = json.loads(engine.clone(reference(engine, "en-us/male-1")))
    assert (prompt["engine"], prompt["version"]) == ("espeak-ng", 1)
    assert set(prompt) == {"engine", "version", "pitch", "spread", "pace"}


@pytest.mark.parametrize(
    ("pcm", "why"),
    [
        (b"", "at least 1 s"),
        (bytes(RATE), "at least 1 s"),
        (bytes(6 * RATE), "no speech"),
        (tone(300, 3.0, RATE), "no speech"),
    ],
)
def test_a_reference_without_speech_names_the_field(pcm: bytes, why: str) -> None:
    with pytest.raises(VoiceError, match=why) as caught:
        prompt_of(Reference(pcm, RATE))
    assert (caught.value.code, caught.value.facts) == (Code.BAD_REQUEST, {"field": "ref_audio"})


@pytest.mark.parametrize(
    "prompt",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"{}",
        b'{"engine": "omnivoice", "version": 1, "pitch": 100, "spread": 3, "pace": 4}',
        b'{"engine": "espeak-ng", "version": 0, "pitch": 100, "spread": 3, "pace": 4}',
        b'{"engine": "espeak-ng", "version": 1, "pitch": 100}',
        b'{"engine": "espeak-ng", "version": 1, "pitch": "x", "spread": 3, "pace": 4}',
        b'{"engine": "espeak-ng", "version": 1, "pitch": 0, "spread": 3, "pace": 4}',
        b'{"engine": "espeak-ng", "version": 1, "pitch": NaN, "spread": 3, "pace": 4}',
        b'{"engine": "espeak-ng", "version": 1, "pitch": 100, "spread": Infinity, "pace": 4}',
        b'{"engine": "espeak-ng", "version": 1, "pitch": 100, "spread": 3, "pace": 4, "more": 1}',
    ],
)
def test_a_prompt_of_another_making_is_refused(engine: Espeak, prompt: bytes) -> None:
    with pytest.raises(VoiceError) as caught:
        heard_in(prompt)
    assert caught.value.facts == {"field": "prompt"}
    with pytest.raises(VoiceError):
        list(engine.speak(Speak("hello", "en-us/female-1", prompt=prompt)))


def test_only_the_first_half_minute_of_a_reference_counts(engine: Espeak) -> None:
    once = reference(engine, "en-us/male-1").pcm
    long = once * (1 + 30 * 2 * RATE // len(once))
    assert prompt_of(Reference(long + tone(400, 60.0, RATE), RATE)) == prompt_of(Reference(long[: 60 * RATE], RATE))


def test_the_trial_is_made_once_for_a_voice(engine: Espeak) -> None:
    prompt = engine.clone(reference(engine, "en-us/male-2"))
    list(engine.speak(Speak("once", "en-us/female-1", prompt=prompt)))
    began = time.perf_counter()
    list(engine.speak(Speak("again", "en-us/female-1", prompt=prompt)))
    again = time.perf_counter() - began
    began = time.perf_counter()
    list(engine.speak(Speak("again", "en-gb/female-1", prompt=prompt)))
    assert time.perf_counter() - began > again


def test_a_voice_that_was_forgotten_is_found_again(engine: Espeak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.tts.espeak._LIKENESSES", 1)
    man, woman = (reference(engine, voice) for voice in ("en-us/male-1", "en-us/female-1"))
    pitches = [heard(cloned(engine, like)).pitch for like in (man, woman, man)]
    assert pitches[0] == pytest.approx(pitches[2], rel=0.03)
    assert pitches[1] > 1.5 * pitches[0]


def test_nothing_for_cloning_is_loaded_until_somebody_clones(repository: Path) -> None:
    """An engine's process starts in a tenth of a second; numpy alone would take as long again."""
    code = "import sys; from engines.tts.espeak import factory; factory({}); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0
