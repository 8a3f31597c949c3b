"""A language model in its own process: it says what it has learnt, in steps, and refuses what does not fit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from batch.text_writers import LocalWriter
from engines import registry
from engines.host import EngineHost
from engines.on_demand import Standing
from engines.supervisor import HostLimits
from engines.text_calls import Order
from protocol.errors import Code, VoiceError
from protocol.text_prompts import Message, Prompt
from tests.engines.hosting import hosting

SPEC = next(spec for spec in registry.BUILT_IN if spec.name == "language-model")
PATIENT = HostLimits(start_s=120.0, grace_s=60.0, wait_s=60.0, check_s=0.05)
PARIS = ("What is the capital of France?", "The capital of France is Paris.")
HELLO = ("Xin chào", "Chào bạn, tôi có thể giúp gì?")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EngineHost]:
    from tests.engines.text.checkpoints import language_model

    directory = language_model(tmp_path_factory.mktemp("lm") / "nano-chat", [PARIS, HELLO])
    async with hosting(SPEC.with_options(directory=str(directory), threads=1), limits=PATIENT) as it:
        yield it


def asking(text: str, tokens: int = 100) -> Prompt:
    return Prompt((Message("user", text),), tokens)


async def test_it_says_what_it_is(host: EngineHost) -> None:
    able = host.capabilities
    assert (able.engine, able.model) == ("language-model", "nano-chat")
    assert "0.1 million parameters on cpu, reads 512 tokens" in able.note


@pytest.mark.parametrize(("asked", "said"), [PARIS, HELLO])
async def test_it_answers_in_steps(host: EngineHost, asked: str, said: str) -> None:
    """The form of its conversations, its cache from step to step, characters of several bytes, its own end."""
    written = await LocalWriter("nano-chat", Standing(host)).write(asking(asked))
    assert (written.text, written.model) == (said, "nano-chat")


async def test_an_answer_is_no_longer_than_asked_for(host: EngineHost) -> None:
    written = await LocalWriter("nano-chat", Standing(host)).write(asking(PARIS[0], tokens=11))
    assert written.text == PARIS[1][:11]
    cut_in_a_character = await LocalWriter("nano-chat", Standing(host)).write(asking(HELLO[0], tokens=3))
    assert cut_in_a_character.text == "Ch"


async def test_another_conversation_in_between_changes_nothing(host: EngineHost) -> None:
    """What a process remembers of one call is of no use to another's, and does no harm."""
    facts = {"messages": [{"role": "user", "content": PARIS[0]}], "so_far": [], "tokens": 5, "temperature": 0.0}
    first = (await host.work(Order("write", facts=facts), lambda outcome: outcome)).data
    await LocalWriter("nano-chat", Standing(host)).write(asking(HELLO[0]))
    facts = {**facts, "so_far": first["tokens"], "tokens": 90}
    assert (await host.work(Order("write", facts=facts), lambda outcome: outcome)).data["text"] == PARIS[1]


async def test_words_by_chance_are_the_same_for_the_same_request(host: EngineHost) -> None:
    lively = Prompt((Message("user", "Tell me"),), 30, 0.9)
    writer = LocalWriter("nano-chat", Standing(host))
    assert await writer.write(lively) == await writer.write(lively)


async def test_a_text_that_does_not_fit_is_refused(host: EngineHost) -> None:
    with pytest.raises(VoiceError) as refused:
        await LocalWriter("nano-chat", Standing(host)).write(asking("long " * 200))
    assert refused.value.code is Code.TEXT_TOO_LONG and "512 tokens" in refused.value.message


async def test_a_directory_without_a_model_says_so(tmp_path: Path) -> None:
    """C23."""
    from engines.text.language_model import factory

    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(VoiceError) as refused:
        factory({"directory": str(tmp_path)})
    assert refused.value.code is Code.NOT_INSTALLED
    assert refused.value.facts["install"] == "voxline models pull qwen2.5-1.5b-instruct"
