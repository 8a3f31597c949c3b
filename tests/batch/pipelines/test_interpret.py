"""How interpreting and conversing go about it (D11, D18), with steps that are told what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from batch.pipelines import converse, interpret, speak, transcribe
from batch.pipelines.base import JobContext, Produced, Tools
from batch.texts import Texts
from engines.catalogue import Catalogue
from protocol.errors import Code, VoiceError
from protocol.texts import Translated, Turn, Written
from protocol.work import (
    Conversing,
    Interpreting,
    Said,
    Segment,
    Speaking,
    Transcribing,
    VoiceClone,
    VoiceNamed,
)
from tests.stream.speaking_server import Voice


@dataclass
class Steps:
    """What was asked of each step."""

    segments: Sequence[str] = ("one", "two")
    language: str = "en"
    translated: list[list[str]] = field(default_factory=list)
    spoken: list[Speaking] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    answer: str = "Hello there."

    async def hear(self, _work: Transcribing, context: JobContext, _tools: Tools) -> Produced:
        context.progress(1.0)
        said = tuple(Segment(start=n, end=n + 1, text=text) for n, text in enumerate(self.segments))
        return Produced((), "ear", 2.0, " ".join(self.segments), self.language, said)

    async def speak(self, work: Speaking, context: JobContext, _tools: Tools) -> Produced:
        self.spoken.append(work)
        context.progress(1.0)
        return Produced((), "mouth", 3.0)

    async def translate(self, texts: Sequence[str], source: str, target: str) -> Translated:
        self.translated.append(list(texts))
        return Translated(tuple(f"[{text}]" for text in texts), source, target, "dictionary")

    async def chat(self, _system_prompt: str, turns: Sequence[Turn]) -> Written:
        self.turns = list(turns)
        return Written(self.answer, "mind")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(transcribe, "run", steps.hear)
    monkeypatch.setattr(speak, "run", steps.speak)
    return steps


def hands(steps: Steps, directory: Path) -> tuple[JobContext, Tools, list[float]]:
    told: list[float] = []
    context = JobContext("job", 1, 1, directory, told.append)
    texts, fleet = cast(Texts, steps), cast(Any, Voice())
    return context, Tools(fleet, Catalogue.load(), cast(Any, None), cast(Any, None), cast(Any, None), texts), told


async def test_every_stretch_is_translated_in_order(steps: Steps, tmp_path: Path) -> None:
    steps.segments = [f"s{number}" for number in range(70)]
    context, tools, told = hands(steps, tmp_path)
    made = await interpret.run(Interpreting(upload="u", seconds=2.0, target="es"), context, tools)
    assert [len(texts) for texts in steps.translated] == [32, 32, 6]
    assert made.text == " ".join(f"[s{number}]" for number in range(70)) == steps.spoken[0].lines[0].text
    assert (made.source_text, made.source_language, made.language) == (" ".join(steps.segments), "en", "es")
    assert made.engine == "ear, dictionary, mouth" and made.seconds == 3.0
    assert told == sorted(told) and told[-1] == 1.0 and steps.spoken[0].style.language == "es"


async def test_what_is_in_the_language_already_is_left_as_it_is(steps: Steps, tmp_path: Path) -> None:
    context, tools, _ = hands(steps, tmp_path)
    made = await interpret.run(Interpreting(upload="u", seconds=2.0, target="en-GB"), context, tools)
    assert made.text == "one two" and not steps.translated and made.engine == "ear, mouth"


async def test_the_speakers_own_voice(steps: Steps, tmp_path: Path) -> None:
    context, tools, _ = hands(steps, tmp_path)
    kept = Interpreting(upload="u", seconds=2.0, target="es", keep_voice=True, voice=VoiceNamed(code="es-male-1"))
    await interpret.run(kept, context, tools)
    await interpret.run(kept.model_copy(update={"keep_voice": False}), context, tools)
    assert [work.lines[0].voice for work in steps.spoken] == [VoiceClone(upload="u"), VoiceNamed(code="es-male-1")]


async def test_silence(steps: Steps, tmp_path: Path) -> None:
    steps.segments = []
    context, tools, _ = hands(steps, tmp_path)
    with pytest.raises(VoiceError) as caught:
        await interpret.run(Interpreting(upload="u", seconds=2.0, target="es"), context, tools)
    assert caught.value.code is Code.BAD_REQUEST and caught.value.facts["field"] == "file" and not steps.spoken


async def test_a_turn_follows_those_before_it(steps: Steps, tmp_path: Path) -> None:
    context, tools, told = hands(steps, tmp_path)
    before = (Said(role="user", text="a"), Said(role="assistant", text="b"))
    made = await converse.run(Conversing(upload="u", before=before), context, tools)
    assert [(turn.role.value, turn.text) for turn in steps.turns] == [
        ("user", "a"), ("assistant", "b"), ("user", "one two"),
    ]  # fmt: skip
    assert (made.source_text, made.text, made.engine) == ("one two", "Hello there.", "ear, mind, mouth")
    assert told == sorted(told) and told[-1] == 1.0


async def test_an_answer_in_another_script_is_spoken_by_who_reads_it(steps: Steps, tmp_path: Path) -> None:
    context, tools, _ = hands(steps, tmp_path)
    bella = VoiceNamed(code="af_bella")
    for steps.answer in ("Hello.", "Xin chào các bạn, hôm nay trời đẹp."):
        await converse.run(Conversing(text="Hello", voice=bella), context, tools)
    assert [work.lines[0].voice for work in steps.spoken] == [bella, VoiceNamed(code="vi-north-female-1")]
