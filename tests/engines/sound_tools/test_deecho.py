"""Echo and reverberation by what is left of those that were made."""

import numpy as np
import pytest

from engines.sound.deecho import decay_of, factory
from engines.sound.echo import Echo, cepstrum_of, find_echo, without_echo
from engines.sound.spectra import pcm_of, samples_of
from tests.engines.sound_tools.speech import RATE, Sound, filtered, levels, ratio_to, room, said

TOOL = factory({})


def echoing(sound: Sound, rate: int, delay_s: float, gain: float, *, again: bool = False) -> Sound:
    response = np.zeros(round(rate * delay_s) * (12 if again else 1) + 1, np.float32)
    step = round(rate * delay_s)
    response[::step] = gain ** np.arange(len(response[::step])) if again else (1.0, gain)
    return 0.7 * filtered(sound, response)


def found(sound: Sound, rate: int) -> Echo | None:
    cepstrum, its_rate, _ = cepstrum_of(sound, rate)
    return find_echo(cepstrum, its_rate)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize(
    ("delay_s", "gain", "again"), [(0.12, 0.5, False), (0.3, 0.3, False), (0.25, 0.6, False), (0.2, 0.5, True)]
)
def test_an_echo_is_found_and_undone(rate: int, delay_s: float, gain: float, again: bool) -> None:
    clean = np.tile(said(rate=rate), 2)
    heard = echoing(clean, rate, delay_s, gain, again=again)
    echo = found(heard, rate)
    assert echo is not None
    assert echo.delay_s == pytest.approx(delay_s, abs=2e-5)
    assert echo.gain == pytest.approx(gain, abs=0.1)
    assert echo.again == again
    assert ratio_to(clean, without_echo(heard, rate, echo)) - ratio_to(clean, heard) > 12


def test_speech_without_an_echo_has_none() -> None:
    assert found(np.tile(said(), 2), RATE) is None
    assert found(filtered(said(), room(0.5)), RATE) is None
    assert found(np.zeros(RATE, np.float32), RATE) is None


def test_a_rooms_decay_is_told() -> None:
    told = [decay_of(filtered(said(), room(decay))[None], RATE) for decay in (0.6, 1.0)]
    assert told == [pytest.approx(0.6, rel=0.25), pytest.approx(1.0, rel=0.25)]


def test_reverberation_falls_with_intensity_and_speech_does_not() -> None:
    clean = said()
    heard = 0.5 * filtered(clean, room(0.6))
    dry, wet = levels(clean), levels(heard)
    pauses, speech = (dry < dry.max() - 50) & (wet > dry.max() - 56), dry > dry.max() - 13
    fell = []
    for intensity in (1, 3, 5):
        order = {"intensity": intensity, "reverb_s": 0.6}
        treated = levels(samples_of(TOOL.treat(pcm_of(heard[None]), RATE, 1, order).pcm, 1)[0])
        assert (wet - treated)[speech].mean() < 4
        fell.append(float((wet - treated)[pauses].mean()))
    assert fell[0] > 1.5 and fell[1] > fell[0] + 3 and fell[2] > 12


def test_the_whole_tool_hears_first_and_then_takes_away() -> None:
    clean = np.tile(said(), 2)
    pcm = pcm_of(echoing(clean, RATE, 0.25, 0.4)[None])
    facts = TOOL.treat(pcm, RATE, 1, {"listen": True}).facts
    echo = find_echo(np.array(facts["cepstrum"]), int(str(facts["rate"])))
    assert echo is not None
    order = {"intensity": 3, "reverb_s": 0.0, "delay_s": echo.delay_s, "gain": echo.gain, "again": echo.again}
    treated = samples_of(TOOL.treat(pcm, RATE, 1, order).pcm, 1)[0]
    assert ratio_to(clean, treated) > 20


def test_silence_stays_silence() -> None:
    silence = bytes(2 * RATE)
    assert TOOL.treat(silence, RATE, 1, {"intensity": 5, "reverb_s": 0.5}).pcm == silence
