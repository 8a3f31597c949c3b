"""The engine on the project's own tiny checkpoint, as transformers keeps it."""

import json
import shutil
import socket
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from engines.base import Task
from engines.stt import guards
from engines.stt.utterances import Piece
from loadtest.recordings import CHECKPOINT
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis
from tests.checkpoints.nano_whisper.held_out import KNOWN_VOICES, held_out_sentences, speak
from tests.checkpoints.nano_whisper.speech import Voice, speak_words
from tests.checkpoints.nano_whisper.word_errors import word_error_rate

if TYPE_CHECKING:
    from engines.stt.transformers_whisper import TransformersWhisper

RATE = 16000
DIRECTORY = CHECKPOINT.parent / "transformers"
OPTIONS: dict[str, object] = {"directory": str(DIRECTORY), "languages": ["en", "vi"], "threads": 1}
LEAD_S = 0.3


def factory(options: dict[str, object]) -> "TransformersWhisper":
    """Seconds of libraries, for those who run these tests and not for all who collect them."""
    from engines.stt.transformers_whisper import factory as make

    return make(options)


@pytest.fixture(scope="module")
def engine() -> "TransformersWhisper":
    return factory(OPTIONS)


def pcm(sound: npt.NDArray[np.float32]) -> bytes:
    noise = np.random.default_rng(len(sound)).standard_normal(len(sound) + 8000) * 1e-4
    lead = int(LEAD_S * RATE)
    noise[lead : lead + len(sound)] += sound
    return (noise * 32767).astype("<i2").tobytes()


def one(engine: "TransformersWhisper", decode: Decode) -> Hypothesis:
    return engine.recognize([decode])[0]


@pytest.fixture(scope="module")
def spoken() -> list[tuple[str, str, bytes]]:
    """Held-out sentence, language and sound."""
    return [
        (text, language, pcm(speak(text, KNOWN_VOICES[language][index % 4])))
        for language, count in (("en", 12), ("vi", 6))
        for index, text in enumerate(held_out_sentences(language, count))
    ]


def test_it_says_what_it_can_do(engine: "TransformersWhisper") -> None:
    described = engine.describe()
    assert (described.engine, described.task, described.model) == ("transformers", Task.RECOGNIZE, "transformers")
    assert described.languages == ("en", "vi") and described.detects_language and described.word_timestamps


@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize("language", ["en", "vi"])
def test_sentences_it_was_never_trained_on_come_out_right(
    engine: "TransformersWhisper", spoken: list[tuple[str, str, bytes]], language: str, beam: int
) -> None:
    chosen = [(text, sound) for text, tongue, sound in spoken if tongue == language]
    heard = engine.recognize([Decode(sound, language, beam_size=beam) for _, sound in chosen])
    assert word_error_rate([text for text, _ in chosen], [answer.text for answer in heard]) <= 0.03


def test_a_window_of_thirty_seconds_gives_the_same(spoken: list[tuple[str, str, bytes]]) -> None:
    padded = factory({**OPTIONS, "trim": False})
    chosen = spoken[::6]
    heard = padded.recognize([Decode(sound, language) for _, language, sound in chosen])
    assert [answer.text for answer in heard] == [text for text, _, _ in chosen]


def test_the_language_is_found_out_among_those_allowed(
    engine: "TransformersWhisper", spoken: list[tuple[str, str, bytes]]
) -> None:
    found = engine.recognize([Decode(sound) for _, _, sound in spoken])
    right = [answer.language == language for answer, (_, language, _) in zip(found, spoken, strict=True)]
    assert sum(right) >= len(right) - 1
    assert all(0.5 <= answer.language_probability <= 1.0 for answer in found)
    assert one(engine, Decode(spoken[0][2], "xx")) == one(engine, Decode(spoken[0][2]))
    assert one(engine, Decode(spoken[0][2], "en-US")) == one(engine, Decode(spoken[0][2], "en"))


def test_a_hypothesis_is_the_same_alone_and_in_company(
    engine: "TransformersWhisper", spoken: list[tuple[str, str, bytes]]
) -> None:
    kinds: tuple[dict[str, Any], ...] = (
        {"beam_size": 5, "word_timestamps": True}, {"prompt": "turn on the light"}, {"keyterms": ("doctor",)},
        {"language": "auto"}, {"temperature": 0.5},
    )  # fmt: skip
    requests = [
        replace(Decode(sound, language), **kinds[index % len(kinds)])
        for index, (_, language, sound) in enumerate(spoken[:5] + spoken[-5:])
    ]
    together = engine.recognize(requests)
    for request, answer in zip(requests, together, strict=True):
        alone = one(engine, request)
        assert (alone.text, alone.language) == (answer.text, answer.language)
        assert alone.average_log_probability == pytest.approx(answer.average_log_probability, abs=1e-4)
        assert [word.text for word in alone.words] == [word.text for word in answer.words]
        assert [word.start for word in alone.words] == pytest.approx([word.start for word in answer.words], abs=0.05)


def test_words_have_the_times_at_which_they_were_said(engine: "TransformersWhisper") -> None:
    for text in held_out_sentences("en", 6, seed=3):
        said = speak_words(text, Voice("en-us", rate=165))
        sound = pcm(np.asarray(said.audio * 0.5, np.float32))
        heard = one(engine, Decode(sound, "en", word_timestamps=True))
        assert [word.text for word in heard.words] == text.split()
        assert [word.start for word in heard.words] == pytest.approx([s[0] + LEAD_S for s in said.spans], abs=0.4)
        assert all(before.end <= after.start for before, after in pairwise(heard.words))
        assert heard.words[-1].end <= len(sound) / 2 / RATE
        assert all(0.5 <= word.probability <= 1 for word in heard.words)


def test_no_text_for_no_speech(engine: "TransformersWhisper") -> None:
    times = np.arange(4 * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(len(times))
    sounds = (0 * noise, 0.01 * noise, 0.1 * noise, 0.1 * np.sin(2 * np.pi * 50 * times))
    heard = engine.recognize([Decode((sound * 32767).astype("<i2").tobytes()) for sound in sounds])
    assert [answer.text for answer in heard] == [""] * len(sounds)


@pytest.mark.parametrize("odd", [b"", b"\0", b"\1\2\3", b"\xff\x7f\x00\x80" * 300])
def test_scraps_of_audio_do_no_harm(engine: "TransformersWhisper", odd: bytes) -> None:
    assert isinstance(one(engine, Decode(odd, word_timestamps=True)).text, str)


def test_a_text_that_stays_doubtful_is_given_chances_and_the_likeliest_is_kept(
    engine: "TransformersWhisper", spoken: list[tuple[str, str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    generate = engine._generate

    def watched(pieces: list[Piece], careful: bool) -> None:
        generate(pieces, careful)
        looks.append(pieces[0].decode.temperature)
        for piece in pieces:
            if piece.attempt and len(looks) < 3:
                piece.attempt = guards.Attempt(piece.attempt.tokens[:1] * 40, "no " * len(looks) * 40, -2.0, 0.0, True)

    monkeypatch.setattr(engine, "_generate", watched)
    text, language, sound = spoken[0]
    assert one(engine, Decode(sound, language)).text == text
    assert looks == [0.0, 0.0, 0.4]  # the third was believed


def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch, spoken: list[tuple[str, str, bytes]]) -> None:
    def denied(*_: object) -> None:
        raise AssertionError("somebody wants to go out")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, denied)
    monkeypatch.setattr(socket, "getaddrinfo", denied)
    text, language, sound = spoken[0]
    assert one(factory(OPTIONS), Decode(sound, language)).text == text


@pytest.mark.parametrize(
    ("option", "value"), [("beam", "5"), ("threads", True), ("colour", "red"), ("languages", "en"), ("dtype", "int3")]
)
def test_wrong_options_are_named(option: str, value: object) -> None:
    with pytest.raises(VoiceError) as caught:
        factory({**OPTIONS, option: value})
    assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, option)


def test_what_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    with pytest.raises(VoiceError) as caught:
        factory({})
    assert caught.value.code is Code.NOT_INSTALLED
    copy = tmp_path / "model"
    shutil.copytree(DIRECTORY, copy)
    weights = (copy / "model.safetensors").read_bytes()
    for name, content in {
        "model.safetensors": weights[: len(weights) // 2],
        "config.json": json.dumps({"model_type": "bert"}).encode(),
        "tokenizer.json": b"",
    }.items():
        (copy / name).write_bytes(content)
        with pytest.raises(VoiceError) as caught:
            factory({"directory": str(copy)})
        code = Code.ENGINE_FAILED if content else Code.NOT_INSTALLED
        assert caught.value.code is code and str(copy) in caught.value.message


def test_a_gpu_that_is_not_there_is_said() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(VoiceError, match="no CUDA device"):
        factory({**OPTIONS, "device": "cuda"})
