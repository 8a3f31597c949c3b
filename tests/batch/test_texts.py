"""Work on texts: with the default engine alone, with a language model, with one behind an endpoint, with nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from batch.text_basics import Basics
from batch.text_endpoint import Address, Endpoint
from batch.text_translators import WritingTranslator
from batch.text_writers import Turnstile
from batch.texts import Texts
from engines import registry
from engines.base import Task
from engines.fleet import Fleet
from engines.host import EngineHost
from engines.on_demand import Lender
from protocol.errors import Code, VoiceError
from protocol.text_prompts import Prompt
from protocol.texts import (
    PROMPT_CHARACTERS,
    TEXT_CHARACTERS,
    AnalysisType,
    Role,
    SummaryStyle,
    Turn,
    WritingType,
    Written,
)
from tests.batch.language_server import language_server, saying
from tests.engines.text.meetings import ENGLISH, GERMAN

PLAIN = next(spec for spec in registry.BUILT_IN if spec.name == "plain-texts")
SEGMENTS = [
    "Good morning everyone, let us begin.", "The new mobile app is launched on the fifteenth of March.",
    "Sales grew by fifteen percent.", "Tom repairs the payment screen by Friday.", "The cat of our neighbour is ill.",
    "Lunch is at noon in the canteen.",
]  # fmt: skip

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Scripted:
    """A writer that says what it is told to, and remembers what it was asked."""

    say: Callable[[Prompt], str]
    model: str = "scripted-1"
    reads: int = 24_000
    asked: list[Prompt] = field(default_factory=list)

    async def write(self, prompt: Prompt) -> Written:
        self.asked.append(prompt)
        return Written(self.say(prompt), self.model)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lender() -> AsyncIterator[Lender[EngineHost]]:
    fleet = Fleet([PLAIN])
    await fleet.start()
    try:
        yield fleet.of_texts[Task.TEXT][1]
    finally:
        await fleet.aclose()


@pytest.fixture(scope="module")
def basics(lender: Lender[EngineHost]) -> Basics:
    return Basics("all-MiniLM-L6-v2-int8", 384, lender)


async def refused(work: Awaitable[object]) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await work
    return caught.value


# -- without a language model ------------------------------------------------------------------------


async def test_vectors_are_in_the_order_of_the_texts(basics: Basics) -> None:
    """C18: 384 numbers each, of unit length, however many texts there are."""
    embedded = await Texts(basics).embed([f"number {at}" for at in range(100)] + ["number 7"])
    assert embedded.dimensions == 384 and len(embedded.vectors) == 101
    assert embedded.vectors[7] == embedded.vectors[100] != embedded.vectors[8]
    assert sum(value * value for value in embedded.vectors[0]) == pytest.approx(1.0, abs=1e-4)


async def test_a_question_is_answered_with_what_was_said(basics: Basics) -> None:
    """C22 chat: without a language model in the transcript's own words."""
    answered = await Texts(basics).answer("When is the app launched?", SEGMENTS)
    assert answered.text == SEGMENTS[1] and answered.model == "extractive (all-MiniLM-L6-v2-int8)"
    assert answered.sources[0].index == 1 and 0.4 < answered.sources[0].score <= 1
    scores = [source.score for source in answered.sources]
    assert scores == sorted(scores, reverse=True)
    nothing = await Texts(basics).answer("Quantum chromodynamics lattice gauge?", SEGMENTS[4:])
    assert nothing.sources == () and nothing.text == "The transcript does not say."
    assert (await Texts(basics).answer("Việc gì?", [])).text == "Bản ghi không nói về điều này."


async def test_a_short_question_is_understood_with_the_one_before(basics: Basics) -> None:
    before = [Turn(Role.USER, "Who repairs the payment screen?"), Turn(Role.ASSISTANT, "Tom.")]
    assert (await Texts(basics).answer("And when?", SEGMENTS, before)).sources[0].index == 3


async def test_what_needs_a_language_model_names_the_command(basics: Basics) -> None:
    """C23."""
    texts = Texts(basics)
    for kind in (WritingType.BLOG_POST, WritingType.QUIZ):
        error = await refused(texts.generate(ENGLISH, kind))
        assert error.code is Code.NOT_INSTALLED
        assert error.facts["install"] == "voxline models pull qwen2.5-1.5b-instruct" and "text_url" in error.message
    assert (await refused(texts.chat("", [Turn(Role.USER, "Hi")]))).code is Code.NOT_INSTALLED
    error = await refused(texts.translate(["Hi"], "en", "es"))
    assert error.facts["install"] == "voxline models pull madlad400-3b-mt"
    error = await refused(texts.analyze(GERMAN, AnalysisType.TOPICS))
    assert error.code is Code.NOT_INSTALLED and error.facts["install"] == "voxline models pull qwen2.5-1.5b-instruct"
    assert "## Summary" in (await texts.generate(ENGLISH, WritingType.MEETING_NOTES)).text


async def test_with_nothing_installed_every_call_says_what_to_install() -> None:
    """C23."""
    texts = Texts()
    for work in (
        texts.summarize("a"), texts.analyze("a", AnalysisType.QUESTIONS), texts.embed(["a"]), texts.answer("a", ["b"]),
        texts.generate("a", WritingType.SHOW_NOTES),
    ):  # fmt: skip
        error = await refused(work)
        assert error.code is Code.NOT_INSTALLED and error.facts["install"]
    assert all(ability.install and not ability.model for ability in texts.abilities())


async def test_what_is_asked_is_bounded(basics: Basics) -> None:
    texts, user = Texts(basics), [Turn(Role.USER, "Hi")]
    long = "x" * (TEXT_CHARACTERS + 1)
    for work, name in (
        (texts.summarize(long), "text"), (texts.summarize(" "), "text"), (texts.embed([]), "texts"),
        (texts.translate(["a"], "en", "not a language"), "target"), (texts.translate(["a"], "!", "es"), "source"),
        (texts.answer("", SEGMENTS), "question"), (texts.chat("x" * (PROMPT_CHARACTERS + 1), user), "system_prompt"),
        (texts.chat("", []), "text"),
    ):  # fmt: skip
        assert (await refused(work)).facts["field"] == name


# -- with one ----------------------------------------------------------------------------------------


async def test_a_language_model_writes_where_there_is_one(basics: Basics) -> None:
    writer = Scripted(lambda _prompt: "They met.")
    texts = Texts(basics, writer, WritingTranslator(writer))
    assert await texts.summarize(ENGLISH, SummaryStyle.DETAILED) == Written("They met.", "scripted-1")
    assert (await texts.generate(ENGLISH, WritingType.QUIZ)).text == "They met."
    assert (await texts.chat("Be kind.", [Turn(Role.USER, "Hi")])).text == "They met."
    answered = await texts.answer("When is the app launched?", SEGMENTS)
    assert answered.text == "They met." and answered.sources[0].index == 1
    assert SEGMENTS[1] in writer.asked[-1].messages[-1].content
    assert {ability.model for ability in texts.abilities()} == {"scripted-1", "all-MiniLM-L6-v2-int8"}


async def test_a_long_text_is_read_in_parts(basics: Basics) -> None:
    """Each part once, none of them longer than a model is given, and the whole from the notes."""
    text = " ".join(f"Sentence number {at} is about nothing much." for at in range(3_000))
    writer = Scripted(lambda prompt: "a note" if "longer text" in prompt.messages[0].content else "the whole")
    assert (await Texts(basics, writer).summarize(text)).text == "the whole"
    read = [prompt.messages[1].content for prompt in writer.asked[:-1]]
    assert max(map(len, read)) < 13_000 and all(f"number {at} is" in " ".join(read) for at in range(0, 3_000, 7))
    assert "a note\n\na note" in writer.asked[-1].messages[1].content


async def test_a_model_of_small_context_is_given_less() -> None:
    def say(prompt: Prompt) -> str:
        if len(prompt.messages[1].content) > 5_000:
            raise VoiceError(Code.TEXT_TOO_LONG, "too many tokens")
        return "short"

    assert (await Texts(None, Scripted(say)).summarize("A sentence of some words. " * 700)).text == "short"

    def never(_prompt: Prompt) -> str:
        raise VoiceError(Code.TEXT_TOO_LONG, "too many tokens")

    assert (await refused(Texts(None, Scripted(never)).summarize("word " * 9_000))).code is Code.TEXT_TOO_LONG


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ('Sure! {"topics": [{"topic": "mobile app", "score": 0.9, "x": 1}]} Anything else?',
         {"topics": [{"topic": "mobile app", "score": 0.9, "mentions": 2}]}),
        ('{"topics": [{"topic": "a", "score": 7}]}', None),
        ("I cannot do that.", None),
        ("{" * 5_000, None),
    ],
)  # fmt: skip
async def test_findings_of_a_model_are_checked(basics: Basics, said: str, data: dict[str, object] | None) -> None:
    """C14: what is no answer is not passed on; the default engine answers then, and is named."""
    found = await Texts(basics, Scripted(lambda _prompt: said)).analyze(ENGLISH, AnalysisType.TOPICS)
    if data is None:
        assert found.model == "keywords (all-MiniLM-L6-v2-int8)" and found.data["topics"]
        error = await refused(Texts(None, Scripted(lambda _prompt: said)).analyze(ENGLISH, AnalysisType.TOPICS))
        assert error.code is Code.ENGINE_FAILED
    else:
        assert (found.data, found.model) == (data, "scripted-1")


async def test_private_things_are_never_shown_to_a_language_model(basics: Basics) -> None:
    """C14."""
    writer = Scripted(lambda _prompt: "no")
    found = await Texts(basics, writer).analyze("Mail ann@example.com", AnalysisType.PII_REDACT)
    assert found.data["redacted_text"] == "Mail [EMAIL]" and found.model == "patterns" and not writer.asked


async def test_a_language_model_translates_piece_by_piece() -> None:
    """C13: line breaks stay, any code is taken."""
    writer = Scripted(lambda prompt: prompt.messages[1].content.split("\n")[1].upper())
    done = await Texts(None, writer, WritingTranslator(writer)).translate(["one\n\ntwo", "three"], "auto", "mni_Mtei")
    assert done.texts == ("ONE\n\nTWO", "THREE") and done.target == "mni_Mtei" and done.model == "scripted-1"


async def test_a_conversation_that_grows_too_long_loses_its_beginning() -> None:
    writer = Scripted(lambda _prompt: "ok")
    turns = [Turn(Role.USER, f"{at} " + "x" * 5_000) for at in range(20)]
    await Texts(None, writer).chat("", turns)
    said = [message.content.split(" ")[0] for message in writer.asked[0].messages[1:]]
    assert said == ["16", "17", "18", "19"]


async def test_an_endpoint_does_all_of_it(basics: Basics) -> None:
    async with language_server(lambda _asked: saying("Hola.")) as server:
        writer = Endpoint(Address(server.url, "", "m"), timeout_s=20.0)
        texts = Texts(basics, writer, WritingTranslator(writer))
        assert (await texts.translate(["Hello."], "en", "es")).texts == ("Hola.",)
        assert (await texts.summarize(ENGLISH)).model == "served-1"


async def test_what_takes_too_long_is_ended(basics: Basics) -> None:
    async with language_server(None) as server:
        texts = Texts(basics, Endpoint(Address(server.url, "", "m"), timeout_s=60.0), timeout_s=0.2)
        assert (await refused(texts.summarize(ENGLISH))).code is Code.TIMEOUT
        async with asyncio.timeout(10):
            await server.left.wait()


async def test_only_so_many_wait_for_a_model() -> None:
    turnstile, free = Turnstile(2), asyncio.Event()

    async def stay() -> None:
        async with turnstile.turn():
            await free.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(stay())
        await asyncio.sleep(0)
        error = await refused(stay())
        free.set()
    assert error.code is Code.BUSY and error.facts["retry_after"] == 15
    await stay()
