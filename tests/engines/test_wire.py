"""Requests and answers cross the pipe unchanged; answers that cannot be right do not come through."""

import json
import math
import random
from dataclasses import replace

import pytest

from engines import wire
from engines.base import Capabilities, Task, Voice
from engines.frames import Head, WireError
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Diffusion, Hypothesis, Reference, Speak, SpeechChunk, SpokenWord
from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits

SECOND = bytes(32_000)
DECODES = [
    Decode(SECOND, "vi", "trước đó", ("từ", "khoá"), True, False, "s1/2"),
    Decode(b"", beam_size=10, temperature=0.4),
]
HYPOTHESES = [
    Hypothesis("xin chào", (Word("xin", 0.1, 0.4, 0.5), Word("chào", 0.4, 0.9)), "vi", 0.9, -0.3, 0.01),
    Hypothesis(""),
]


def over(head: Head) -> Head:
    """What is left after the pipe."""
    crossed: Head = json.loads(json.dumps(head))
    return crossed


def test_decodes_cross() -> None:
    head, buffers = wire.pack_decodes(DECODES)
    assert wire.read_decodes(over(head), buffers) == DECODES


def test_hypotheses_cross() -> None:
    assert wire.read_hypotheses(over(wire.pack_hypotheses(HYPOTHESES)), DECODES) == HYPOTHESES


def test_numbers_of_an_array_library_cross() -> None:
    numpy = pytest.importorskip("numpy")
    it = replace(
        HYPOTHESES[0], average_log_probability=numpy.float32(-0.5), words=(Word("a", numpy.float32(0.25), 1, 1),)
    )
    (answer,) = wire.read_hypotheses(over(wire.pack_hypotheses([it])), DECODES[:1])
    assert answer.average_log_probability == -0.5
    assert type(answer.words[0].start) is float


def test_a_word_a_little_past_its_audio_is_clipped() -> None:
    late = Hypothesis("a", (Word("a", 0.9, 1.5),))
    (answer,) = wire.read_hypotheses(over(wire.pack_hypotheses([late])), DECODES[:1])
    assert answer.words == (Word("a", 0.9, 1.0),)


@pytest.mark.parametrize(
    "answer",
    [
        Hypothesis("a", (Word("a", math.nan, 0.2),)),
        Hypothesis("a", (Word("a", 0.5, 0.2),)),
        Hypothesis("a b", (Word("a", 0.5, 0.6), Word("b", 0.4, 0.7))),
        Hypothesis("a", (Word("a", -0.1, 0.2),)),
        Hypothesis("a", (Word("a", 0.1, 30.0),)),
        Hypothesis("a", (Word("a", 0.1, math.inf),)),
        Hypothesis("a", (Word("a", 0.1, 0.2, 7.0),)),
        Hypothesis("a", language_probability=math.nan),
        Hypothesis("a", no_speech_probability=2.0),
        Hypothesis("a", average_log_probability=-math.inf),
        Hypothesis("\ud83d"),
        Hypothesis("a", language="x" * 17),
    ],
    ids=[
        "nan",
        "end first",
        "back",
        "negative",
        "far",
        "infinite",
        "sure",
        "p nan",
        "p 2",
        "-inf",
        "surrogate",
        "lang",
    ],
)
def test_hypotheses_that_cannot_be_right(answer: Hypothesis) -> None:
    with pytest.raises(WireError):
        wire.read_hypotheses(wire.pack_hypotheses([answer]), DECODES[:1])


def test_more_text_than_can_be_said_is_refused_on_both_sides() -> None:
    with pytest.raises(WireError):
        wire.pack_hypotheses([Hypothesis("x" * 10_000_000)])
    head = wire.pack_hypotheses([Hypothesis("x")])
    head["batch"][0]["text"] = "x" * 10_000_000  # type: ignore[index]
    with pytest.raises(WireError):
        wire.read_hypotheses(head, DECODES[:1])


@pytest.mark.parametrize("head", [{}, {"batch": None}, {"batch": []}, {"batch": [1]}, {"batch": [{}]}])
def test_answers_that_are_none(head: Head) -> None:
    with pytest.raises(WireError):
        wire.read_hypotheses(head, DECODES[:1])


def test_mutated_answers_give_hypotheses_or_a_wire_error() -> None:
    chance = random.Random(5)
    sound = json.dumps(wire.pack_hypotheses(HYPOTHESES)).encode()
    others: list[object] = [None, True, -1, 1e300, math.nan, "x", [], {}, [[]], "\ud800"]

    def mutate(value: object) -> object:
        if chance.random() < 0.15:
            return chance.choice(others)
        if isinstance(value, dict):
            return {key: mutate(item) for key, item in value.items() if chance.random() > 0.05}
        return [mutate(item) for item in value] if isinstance(value, list) else value

    for _ in range(3000):
        head = mutate(json.loads(sound))
        if isinstance(head, dict):
            try:
                wire.read_hypotheses(head, DECODES)
            except WireError:
                continue


def test_speech_crosses() -> None:
    request = Speak("hello world", "en/male", 1.5, -2.0, True)
    head, buffers = wire.pack_speak(request)
    assert wire.read_speak(over(head), buffers) == request
    check = wire.SpeechCheck(request)
    for chunk in (
        SpeechChunk(b"abcd", 22050, (SpokenWord(0, 5, 0.0),)),
        SpeechChunk(b"", 22050),
        SpeechChunk(b"ef", 22050),
    ):
        assert check.read(over(wire.pack_chunk(chunk)), (chunk.pcm,)) == chunk


def test_who_is_to_speak_crosses() -> None:
    traits = Traits(Gender.FEMALE, Age.ELDERLY, Pitch.LOW, Manner.SAD, Pace.SLOW, "en-gb")
    for request in (
        Speak("a", "en/male", design=traits),
        Speak("a", "en", design=Traits()),
        Speak("a", "en", prompt=b"p"),
        Speak("a", "en", diffusion=Diffusion(16, 3.5, denoise=False)),
    ):
        head, buffers = wire.pack_speak(request)
        assert wire.read_speak(over(head), buffers) == request


def test_a_design_nobody_can_have_asked_for() -> None:
    head, buffers = wire.pack_speak(Speak("a", "en", design=Traits(Gender.MALE)))
    head["design"] = {**over(head)["design"], "gender": "robot"}  # type: ignore[dict-item]
    with pytest.raises(WireError):
        wire.read_speak(head, buffers)


def test_references_and_prompts_cross() -> None:
    for reference in (Reference(SECOND, 24_000), Reference(SECOND, 24_000, "Xin chào.")):
        head, buffers = wire.pack_reference(reference)
        assert wire.read_reference(over(head), buffers) == reference
    assert wire.read_prompt((b"prompt",)) == b"prompt"


@pytest.mark.parametrize("buffers", [(), (b"",), (b"a", b"b"), (bytes(wire.PROMPT_BYTES + 1),)])
def test_prompts_that_cannot_be_right(buffers: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError):
        wire.read_prompt(buffers)


@pytest.mark.parametrize(
    "chunks",
    [
        [SpeechChunk(b"abc", 22050)],
        [SpeechChunk(b"ab", 22050), SpeechChunk(b"ab", 24000)],
        [SpeechChunk(b"ab", 100)],
        [SpeechChunk(b"ab", 22050, (SpokenWord(0, 1, math.nan),))],
        [SpeechChunk(b"ab", 22050, (SpokenWord(0, 1, 0.5),)), SpeechChunk(b"ab", 22050, (SpokenWord(1, 1, 0.4),))],
        [SpeechChunk(b"ab", 22050, (SpokenWord(9, 9, 0.0),))],
        [SpeechChunk(bytes(16_000_000), 8000)],
    ],
    ids=["odd", "rate changes", "rate", "nan", "back", "outside", "endless"],
)
def test_speech_that_cannot_be_right(chunks: list[SpeechChunk]) -> None:
    check = wire.SpeechCheck(Speak("hello", "v"))
    with pytest.raises(WireError):
        for chunk in chunks:
            check.read(wire.pack_chunk(chunk), (chunk.pcm,))


STEMS = {"vocals": b"abcd", "instrumental": b"efgh"}


def test_stems_cross() -> None:
    head, buffers = wire.pack_stems(STEMS)
    assert wire.read_stems(over(head), buffers, 4) == STEMS


@pytest.mark.parametrize(
    ("head", "buffers"),
    [
        ({}, (b"abcd",)),
        ({"stems": []}, ()),
        ({"stems": ["a"]}, (b"abcd", b"efgh")),
        ({"stems": ["a", "a"]}, (b"abcd", b"efgh")),
        ({"stems": ["a"]}, (b"abcde",)),
        ({"stems": [7]}, (b"abcd",)),
        ({"stems": ["\ud800"]}, (b"abcd",)),
    ],
)
def test_stems_that_cannot_be_right(head: Head, buffers: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError):
        wire.read_stems(head, buffers, 4)


def test_capabilities_cross() -> None:
    it = Capabilities(
        "e",
        Task.SYNTHESIZE,
        "m",
        ("en", "vi"),
        True,
        True,
        True,
        8,
        22050,
        (Voice("v", "V", "en", "male", "child"),),
        True,
        True,
        "n",
        ("vocals", "drums"),
        7.8,
        True,
        False,
    )
    assert wire.read_capabilities(over(wire.pack_capabilities(it))) == it
    with pytest.raises(WireError):
        wire.read_capabilities({**wire.pack_capabilities(it), "task": "dance"})
    with pytest.raises(WireError):
        wire.read_capabilities({**wire.pack_capabilities(it), "batch": True})


def test_errors_cross_without_what_is_not_plain() -> None:
    error = VoiceError(Code.NOT_FOUND, "no such voice", field="voice", allowed=["a"], install="x")
    crossed = wire.read_error(over(wire.pack_error(error)))
    assert (crossed.code, crossed.message) == (error.code, error.message)
    assert crossed.facts == {"field": "voice", "install": "x"}


@pytest.mark.parametrize("head", [{}, {"code": "made_up", "message": "x"}, {"code": "busy", "message": 7}])
def test_an_error_that_is_none_is_the_engine_s(head: Head) -> None:
    assert wire.read_error(head).code is Code.ENGINE_FAILED
