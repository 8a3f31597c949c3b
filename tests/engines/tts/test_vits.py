"""VITS on a checkpoint of random weights: what its sound is made of, not what it says."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.registry import find
from engines.supervisor import HostLimits
from engines.tts import vits
from engines.tts.loudness import LOUDNESS, loudness
from engines.tts.vits import Vits, factory
from protocol.errors import Code, VoiceError
from protocol.requests import Speak, SpeechChunk
from tests.engines.hosting import hosting
from tests.engines.sound import samples

RATE = 16_000
TEXT = "Hello there, my friends: it is 2024 and all is well. What a wonderful day it is near the old river! Good bye."
CLAUSES = ["Hello there, my friends:", " it is 2024 and all is well."]
CLAUSES += [" What a wonderful day it is near the old river!", " Good bye."]
ROMANIZER = vits._romanizer
PAUSES_S = 0.15 + 0.35 + 0.35


@pytest.fixture(scope="module")
def engine(voices: Path) -> Iterator[Vits]:
    """With a stand-in for uroman, which takes seconds to read its tables."""
    with pytest.MonkeyPatch.context() as patch, closing(factory({"directory": str(voices), "threads": 1})) as engine:
        patch.setattr(vits, "_has_uroman", lambda: True)
        patch.setattr(vits, "_romanizer", lambda language: {"привет": "privet", "мир": "mir"}.__getitem__)
        yield engine


def chunks(engine: Vits, text: str, voice: str = "en", speed: float = 1.0, words: bool = False) -> list[SpeechChunk]:
    return list(engine.speak(Speak(text, voice, speed, words=words)))


def spoken(engine: Vits, text: str, voice: str = "en", speed: float = 1.0) -> bytes:
    return b"".join(chunk.pcm for chunk in chunks(engine, text, voice, speed))


def test_it_says_what_it_can(engine: Vits) -> None:
    able = engine.describe()
    assert set(able.languages) == {"en", "vi", "ru"} and able.rate == RATE and able.word_timestamps
    assert {voice.id for voice in able.voices} == {"en", "vi", "ru/0", "ru/1"}
    assert not able.cloning and not able.designs and "pitch" in able.note


def test_windows_give_the_sound_transformers_gives_in_one_piece(engine: Vits, voices: Path) -> None:
    import torch
    from transformers import VitsModel

    loaded = engine._load("en")
    symbols = loaded.alphabet.read("what a wonderful day it is near the old river bank").ids
    whole = VitsModel.from_pretrained(str(voices / "mms-tts-eng")).eval()
    torch.manual_seed(7)
    with torch.inference_mode():
        expected = whole(torch.tensor([symbols])).waveform[0].numpy()
    said = loaded.model.say(symbols, 0, 1.0, 7)
    pieces = list(said.sound)
    assert len(pieces) > 3
    assert said.samples == len(expected)
    assert float(np.abs(np.concatenate(pieces) - expected).max()) < 1e-4


def test_no_word_is_lost_or_doubled_where_clauses_are_joined(engine: Vits) -> None:
    """A text is its clauses and the pauses between them, to the sample."""
    parts = [spoken(engine, clause) for clause in CLAUSES]
    assert len(spoken(engine, TEXT)) == sum(map(len, parts)) + 2 * round(PAUSES_S * RATE)


def test_joins_do_not_click(engine: Vits) -> None:
    """At a clause's ends there is silence; between windows no step is larger than those around it."""
    pieces = [samples(chunk.pcm) for chunk in chunks(engine, TEXT)]
    sound = np.concatenate(pieces)
    steps = np.abs(np.diff(sound))
    joins = np.cumsum([len(piece) for piece in pieces])[:-1]
    assert len(joins) > 8
    for join in joins:
        around = np.concatenate([steps[join - 320 : join - 2], steps[join + 1 : join + 320]])
        assert steps[join - 1] <= around.max(), join
    for clause in CLAUSES:
        said = samples(spoken(engine, clause))
        assert abs(said[0]) < 0.001 and abs(said[-1]) < 0.001


def test_the_first_piece_is_short_and_closing_stops(engine: Vits) -> None:
    pieces = engine.speak(Speak(TEXT, "en"))
    assert 0.1 < len(next(pieces).pcm) / 2 / RATE < 0.5
    closing = getattr(pieces, "close")  # noqa: B009
    closing()
    assert next(pieces, None) is None


def test_a_text_always_sounds_the_same(engine: Vits) -> None:
    first = spoken(engine, TEXT)
    spoken(engine, "Something else in between.")
    assert spoken(engine, TEXT) == first
    assert spoken(engine, TEXT, "ru/0") != first


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0])
def test_speed(engine: Vits, speed: float) -> None:
    """The durations are rounded up to whole frames, so short symbols lose a little of it."""
    ratio = len(spoken(engine, TEXT)) / len(spoken(engine, TEXT, speed=speed))
    assert 0.8 * speed < ratio < 1.1 * speed


def test_it_is_as_loud_as_the_other_engines(engine: Vits) -> None:
    for voice in ("en", "vi", "ru/0", "ru/1"):
        level = loudness(samples(spoken(engine, TEXT, voice)).astype(np.float32), RATE)
        assert abs(20 * np.log10(level / LOUDNESS)) < 2.0, voice


@pytest.mark.parametrize(("text", "voice"), [(TEXT, "en"), ("Xin chào 25 bạn, hẹn gặp lại nhé!", "vi"), (TEXT, "ru/1")])
def test_every_word_has_its_time(engine: Vits, text: str, voice: str) -> None:
    given = chunks(engine, text, voice, words=True)
    words = [word for chunk in given for word in chunk.words]
    written = text.replace(":", " ").replace(",", " ").replace(".", " ").replace("!", " ").split()
    assert [text[word.offset : word.offset + word.length] for word in words] == written
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    begin = 0.0
    for chunk in given:
        end = begin + len(chunk.pcm) / 2 / RATE
        assert all(begin - 0.001 <= word.start < end for word in chunk.words)
        begin = end


def test_word_times_are_those_of_the_sound(engine: Vits) -> None:
    """A longer beginning moves the later words by just what it lasts."""
    times = [word.start for chunk in chunks(engine, "one two. three", words=True) for word in chunk.words]
    assert abs(times[2] - (len(spoken(engine, "one two.")) / 2 / RATE + 0.35)) < 0.15


@pytest.mark.parametrize("text", ["", " \n ", "...", "?!", "你好", "🙂"])
def test_nothing_to_say_is_no_sound(engine: Vits, text: str) -> None:
    assert chunks(engine, text) == []


def test_what_cannot_be_said_is_typed(engine: Vits) -> None:
    for request, code in (
        (Speak("hello", "xx"), Code.NOT_FOUND),
        (Speak("hello", "en/1"), Code.NOT_FOUND),
        (Speak("hello", "../mms-tts-eng"), Code.NOT_FOUND),
        (Speak("a" * 5001, "en"), Code.TEXT_TOO_LONG),
    ):
        with pytest.raises(VoiceError) as raised:
            engine.speak(request)
        assert raised.value.code is code


def test_without_uroman_its_languages_are_not_offered(
    engine: Vits, voices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vits, "_romanizer", ROMANIZER)
    monkeypatch.setattr(vits, "_has_uroman", lambda: False)
    assert "ru" not in engine.describe().languages
    engine._loaded.pop("ru", None)
    with pytest.raises(VoiceError) as raised:
        engine.speak(Speak("привет", "ru/0"))
    assert raised.value.code is Code.NOT_INSTALLED and raised.value.facts["install"] == "pip install uroman"
    with pytest.raises(VoiceError) as raised:
        factory({"directory": str(voices / "mms-tts-rus")})
    assert raised.value.code is Code.NOT_INSTALLED


def test_other_scripts_are_read_by_way_of_latin_letters(engine: Vits) -> None:
    assert spoken(engine, "привет, мир", "ru/0") == spoken(engine, "Privet, mir", "ru/0") != b""


@pytest.mark.nightly
def test_the_romanizer_is_uroman() -> None:
    """Its tables take seconds to read."""
    pytest.importorskip("uroman", reason="uroman is an optional package")
    assert ROMANIZER("ru")("Привет") == "privet"


@pytest.mark.parametrize("harm", ["cut", "missing", "vocabulary", "phonemes", "config"])
def test_a_broken_checkpoint_is_an_error_and_no_noise(voices: Path, tmp_path: Path, harm: str) -> None:
    directory = tmp_path / "mms-tts-eng"
    shutil.copytree(voices / "mms-tts-eng", directory)
    weights = directory / "model.safetensors"
    if harm == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif harm == "missing":
        from safetensors.torch import load_file, save_file

        kept = {name: value for name, value in load_file(weights).items() if "conv_pre" not in name}
        save_file(kept, weights, metadata={"format": "pt"})
    elif harm == "vocabulary":
        (directory / "vocab.json").unlink()
    elif harm == "phonemes":
        (directory / "tokenizer_config.json").write_text('{"language": "eng", "phonemize": true}')
    else:
        (directory / "config.json").write_text('{"model_type": "vits", "sampling_rate": "fast"}')
    with pytest.raises(VoiceError) as raised:
        factory({"directory": str(directory)})
    assert raised.value.code is (Code.NOT_INSTALLED if harm == "phonemes" else Code.ENGINE_FAILED)


def test_one_broken_checkpoint_does_not_silence_the_others(voices: Path, tmp_path: Path) -> None:
    shutil.copytree(voices / "mms-tts-vie", tmp_path / "b")
    shutil.copytree(voices / "mms-tts-eng", tmp_path / "a")
    (tmp_path / "a" / "vocab.json").unlink()
    with closing(factory({"directory": str(tmp_path)})) as engine:
        assert engine.describe().languages == ("vi",)
        assert spoken(engine, "xin chào", "vi")


def test_an_empty_directory_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(VoiceError) as raised:
        factory({"directory": str(tmp_path)})
    assert raised.value.code is Code.NOT_INSTALLED


def test_the_least_used_checkpoint_gives_its_place_up(voices: Path) -> None:
    with closing(factory({"directory": str(voices), "keep": 1})) as engine:
        first = spoken(engine, "hello there")
        spoken(engine, "hello there", "vi")
        assert list(engine._loaded) == ["vi"]
        assert spoken(engine, "hello there") == first


async def test_in_a_process_of_its_own(voices: Path) -> None:
    """Through the pipe, as the server has it; half a sentence is stopped, and the next one comes."""
    spec = find("vits")
    assert spec is not None and spec.missing() == ("directory",)
    patient = HostLimits(start_s=300, grace_s=60, wait_s=60, stop_s=5, missed_beats=120)
    async with hosting(replace(spec.with_options(directory=str(voices)), optional=False), limits=patient) as host:
        assert host.capabilities.engine == "vits"
        stream = host.speak(Speak(TEXT, "en"))
        assert (await anext(stream)).rate == RATE
        await stream.aclose()
        whole = b"".join([chunk.pcm async for chunk in host.speak(Speak("Good bye.", "en", words=True))])
        assert len(whole) > RATE // 4
