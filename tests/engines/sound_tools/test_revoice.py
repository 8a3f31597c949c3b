"""Speech given another voice: as high and as lively as that one's, with the words and the timing it had."""

from dataclasses import asdict
from statistics import fmean

import numpy as np
import pytest

from batch.pipelines.revoice import MOODS, Mood, voice_in
from engines.resample import resample_file
from engines.sound.revoice import factory
from engines.sound.spectra import pcm_of, samples_of
from engines.sound.timbre import Timbre
from engines.stt import faster_whisper
from engines.tts.hearing import Heard, hear
from loadtest.recordings import CHECKPOINT
from protocol.requests import Decode
from tests.engines.sound_tools.speech import Sound, levels, said

RATE = 22_050
MAN, WOMAN, GIRL = (f"en-us/{who}" for who in ("male-1", "female-1", "girl"))
TOOL = factory({})


def voice(sound: Sound) -> Timbre:
    found = voice_in([TOOL.treat(pcm_of(sound[None]), RATE, 1, {"listen": True}).facts])
    assert found is not None
    return found


def revoiced(sound: Sound, target: Timbre, semitones: float = 0.0, wider: float = 1.0) -> Sound:
    order = {"source": asdict(voice(sound)), "target": asdict(target), "semitones": semitones, "wider": wider}
    return np.ravel(samples_of(TOOL.treat(pcm_of(sound[None]), RATE, 1, order).pcm, 1))


def as_heard(sound: Sound) -> Heard:
    found = hear(pcm_of(sound[None]), RATE)
    assert found is not None
    return found


def tone_apart(one: Timbre, other: Timbre) -> float:
    """How far apart the tones of two voices are, dB."""
    difference = np.array(one.bands) - np.array(other.bands)
    return float(np.std(difference))


@pytest.mark.parametrize(("source", "target"), [(MAN, WOMAN), (WOMAN, MAN), (WOMAN, GIRL)])
def test_it_is_as_high_as_the_other_voice_and_keeps_its_time(source: str, target: str) -> None:
    speech, other = said(voice=source, rate=RATE), said("One two three four five six seven.", target, RATE)
    spoken = revoiced(speech, voice(other))
    assert as_heard(spoken).pitch == pytest.approx(as_heard(other).pitch, rel=0.05)
    assert len(spoken) == len(speech)
    assert np.corrcoef(np.maximum(levels(speech, RATE), -60), np.maximum(levels(spoken, RATE), -60))[0, 1] > 0.95
    assert tone_apart(voice(spoken), voice(other)) < tone_apart(voice(speech), voice(other)) - 1


def test_moods_are_higher_and_livelier_or_lower_and_flatter() -> None:
    """On average: espeak-ng says nothing twice in the same way, and one take may be livelier by a tenth."""
    target = voice(said(voice=WOMAN, rate=RATE))
    takes = [said(voice=f"{accent}/male-1", rate=RATE) for accent in ("en-us", "en-gb", "en-us-nyc")]

    def heard(mood: Mood) -> tuple[float, float]:
        """Pitch and spread, the means of the takes."""
        spoken = [revoiced(take, target, mood.semitones, mood.wider) for take in takes]
        pitches, spreads = zip(*((one.pitch, one.spread) for one in map(as_heard, spoken)), strict=True)
        return fmean(pitches), fmean(spreads)

    (pitch, spread), sad, excited = (heard(MOODS[name]) for name in ("neutral", "sad", "excited"))
    assert sad[0] < pitch < excited[0]
    assert sad[1] < 0.8 * spread and excited[1] > 1.3 * spread


def test_the_words_are_still_understood() -> None:
    ears = faster_whisper.factory({"directory": str(CHECKPOINT), "languages": ["en", "vi"], "threads": 1})
    sentences = ("turn the light off", "please open the window", "stop the music now", "close the door please")
    target = voice(said(voice=MAN, rate=RATE))
    for sentence in sentences:
        speech = said(sentence, WOMAN, RATE)
        pcm = resample_file(pcm_of(revoiced(speech, target)[None]), RATE, 16_000)
        (answer,) = ears.recognize([Decode(pcm, language="en", final=True)])
        assert sentence in answer.text.lower().replace(".", "").replace(",", "")


def test_what_nobody_says_stays_as_it_is() -> None:
    """Noise has no pitch to move, and silence nothing at all."""
    target = voice(said(voice=WOMAN, rate=RATE))
    order = {"source": asdict(target), "target": asdict(target), "semitones": 0.0, "wider": 1.0}
    silence = bytes(2 * RATE)
    assert TOOL.treat(silence, RATE, 1, order).pcm == silence
    assert TOOL.treat(b"", RATE, 1, order).pcm == b""
    assert voice_in([TOOL.treat(silence, RATE, 1, {"listen": True}).facts]) is None
