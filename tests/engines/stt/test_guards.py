"""What is not to be believed."""

import random
from dataclasses import replace

import numpy as np
import pytest

from engines.stt.features import HOP, RATE, MelSpectrogram
from engines.stt.guards import (
    Attempt,
    Loop,
    better,
    compression_ratio,
    cut_loop,
    doubtful,
    find_loop,
    is_silent,
    is_steady,
    nobody_spoke,
)
from tests.checkpoints.nano_whisper.held_out import held_out_sentences, speak

GOOD = Attempt((5, 6, 7), "turn it on", -0.2, 0.01, True)


@pytest.mark.parametrize(
    ("tokens", "loop"),
    [
        ([], None),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], None),
        ([5, 5, 5, 5], None),  # "five five five five" is a number
        ([9, 5, 5, 5, 5, 5, 5, 5, 5], Loop(1, 1, 8)),
        ([1, 2, 1, 2, 1, 2], None),  # "bye bye, bye bye, bye bye"
        ([7, 1, 2, 1, 2, 1, 2, 1, 2], Loop(1, 2, 4)),
        ([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], None),
        ([1, 2, 3, 4, 5] * 3 + [9], Loop(0, 5, 3)),
        ([9, 8, 7, 1, 2, 3, 1, 2, 3, 1, 2, 3], Loop(3, 3, 3)),
        ([*range(50), *range(30), *range(30), *range(30)], Loop(50, 30, 3)),
    ],
)
def test_a_loop_is_what_people_do_not_say(tokens: list[int], loop: Loop | None) -> None:
    assert find_loop(tokens) == loop


def test_random_text_has_no_loops() -> None:
    rng = random.Random(0)
    assert not any(find_loop([rng.randrange(40) for _ in range(200)]) for _ in range(200))


def test_a_cut_keeps_the_first_turn() -> None:
    assert cut_loop([7, 1, 2, 1, 2, 1, 2, 1, 2, 1]) == (7, 1, 2)
    assert cut_loop([1, 2, 3]) == (1, 2, 3)


def test_compression_tells_repetition_in_any_script() -> None:
    assert compression_ratio("mở cửa " * 12) > 2.4
    assert compression_ratio("开门" * 20) > 2.4
    assert compression_ratio("please turn the light in the kitchen off tomorrow") < 1.5
    assert compression_ratio("") < 1


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, ended=False),
        replace(GOOD, average_log_probability=-1.2),
        replace(GOOD, text="no " * 30),
        replace(GOOD, tokens=(4,) * 9),
    ],
)
def test_what_is_doubtful_gives_way_to_what_is_not(bad: Attempt) -> None:
    assert not doubtful(GOOD)
    assert doubtful(bad)
    assert better(bad, GOOD) is GOOD


def test_of_two_doubtful_ones_the_ended_or_the_likelier_is_kept() -> None:
    endless = replace(GOOD, ended=False, average_log_probability=-0.1)
    unlikely = replace(GOOD, text="other", average_log_probability=-1.5)
    worse = replace(GOOD, text="another", average_log_probability=-2.0)
    assert better(endless, unlikely) is unlikely
    assert better(unlikely, worse) is unlikely


def test_two_decodings_that_agree_are_believed() -> None:
    looping = replace(GOOD, tokens=(4,) * 9, text="no no no no no no no no no")
    again = replace(looping, average_log_probability=-0.3)
    assert better(looping, again) is again


def test_nobody_spoke_when_the_decoder_says_so_or_wrote_no_letter() -> None:
    assert nobody_spoke(replace(GOOD, no_speech_probability=0.9, average_log_probability=-1.3))
    assert not nobody_spoke(replace(GOOD, no_speech_probability=0.9))
    assert nobody_spoke(replace(GOOD, text="..."))
    assert nobody_spoke(replace(GOOD, text=""))
    assert not nobody_spoke(replace(GOOD, text="开门"))


def steady(sound: np.ndarray) -> bool:
    return is_steady(MelSpectrogram()(sound.astype(np.float32), len(sound) // HOP))


def test_noise_hum_and_tones_are_steady_sounds() -> None:
    times = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(RATE)
    lead = np.zeros(RATE // 3)
    buzz = sum(np.sin(2 * np.pi * 50 * n * times) / n**0.5 for n in range(1, 10)) / 5
    for sound in (0.1 * noise, 0.01 * noise, np.sin(2 * np.pi * 50 * times), np.sin(2 * np.pi * 697 * times), buzz):
        assert steady(sound)
        assert steady(np.concatenate([lead, 0.3 * sound, lead]))


def test_speech_is_none_not_even_in_noise() -> None:
    rng = np.random.default_rng(0)
    for voice in ("en-us", "en-us+f3", "vi", "vi+f3"):
        for sentence in held_out_sentences(voice[:2], 8):
            speech = speak(sentence, voice)
            assert not steady(speech)
            for noise in (0.3, 1.0, 1.6):
                level = noise * np.sqrt((speech**2).mean())
                assert not steady(speech + level * rng.standard_normal(len(speech)))


def test_a_short_sound_is_not_judged() -> None:
    assert not steady(np.sin(np.arange(RATE // 4)))
    assert not is_steady(np.zeros((80, 0), np.float32))


def test_silence_is_what_peaks_below_66_dbfs() -> None:
    assert is_silent(np.zeros(0, np.float32))
    assert is_silent(np.full(100, 16 / 32768, np.float32))
    assert not is_silent(np.full(100, -17 / 32768, np.float32))
