"""A language model behind an endpoint: a real server, with all its moods."""

import asyncio
import logging
from typing import Any

import pytest

from batch.text_endpoint import Address, Endpoint
from protocol.errors import Code, VoiceError
from protocol.text_prompts import Message, Prompt
from protocol.texts import Written
from tests.batch.language_server import Reply, language_server, saying

PROMPT = Prompt((Message("system", "Be brief."), Message("user", "Hello?")), 77, 0.5)


def status(code: int, **headers: str) -> Reply:
    return lambda _asked: (code, {name.replace("_", "-"): value for name, value in headers.items()}, b"{}")


def body(text: bytes) -> Reply:
    return lambda _asked: (200, {}, text)


def answering(text: str) -> Reply:
    return lambda _asked: saying(text)


def endpoint(url: str, timeout_s: float = 20.0) -> Endpoint:
    return Endpoint(Address(url, "secret-key", "wanted-1"), timeout_s=timeout_s, back_off_s=0.01)


async def test_it_is_asked_in_openais_form_and_its_answer_taken() -> None:
    async with language_server(answering("<think>hm, hm</think>\n\nGood day. ")) as server:
        assert await endpoint(server.url).write(PROMPT) == Written("Good day.", "served-1")
    asked: dict[str, Any] = server.asked[0]
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == "Bearer secret-key"
    assert asked == {
        "model": "wanted-1", "max_tokens": 77, "temperature": 0.5, "stream": False,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
    }  # fmt: skip


async def test_without_a_key_none_is_sent() -> None:
    async with language_server(answering("Yes.")) as server:
        written = await Endpoint(Address(server.url, "", ""), timeout_s=20.0).write(PROMPT)
    assert "authorization" not in server.headers[0] and written.model == "served-1"


@pytest.mark.parametrize("code", [429, 503])
async def test_one_that_is_busy_is_asked_once_more(code: int) -> None:
    async with language_server(status(code, Retry_After="0"), answering("Now.")) as server:
        assert (await endpoint(server.url).write(PROMPT)).text == "Now."
    async with language_server(status(code, Retry_After="0"), status(code, Retry_After="9")) as server:
        with pytest.raises(VoiceError) as refused:
            await endpoint(server.url).write(PROMPT)
    assert refused.value.code is Code.BUSY and refused.value.facts["retry_after"] == 9 and len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (status(401), "refuses its key"),
        (status(404), "no such model"),
        (status(500), "status 500"),
        (body(b"not json"), "no answer that can be read"),
        (body(b'{"choices": []}'), "no answer that can be read"),
        (body(b'{"choices": [{"message": {"content": null}}]}'), "no answer that can be read"),
        (body(b"[" * 100_000), "no answer that can be read"),
        (answering("<think>for ever and ever"), "nothing to say"),
        (body(b" " * (5 << 20)), "without end"),
    ],
)
async def test_what_is_wrong_with_it_is_said(reply: Reply, says: str) -> None:
    async with language_server(reply) as server:
        with pytest.raises(VoiceError) as refused:
            await endpoint(server.url).write(PROMPT)
    assert refused.value.code is Code.ENGINE_FAILED and says in refused.value.message
    assert "secret-key" not in repr(refused.value) and len(server.asked) == 1


async def test_it_is_not_followed_to_elsewhere() -> None:
    """The key goes to the address the operator has set, and to no other."""
    async with (
        language_server(answering("Caught.")) as elsewhere,
        language_server(status(302, Location=f"{elsewhere.url}/chat/completions")) as server,
    ):
        with pytest.raises(VoiceError) as refused:
            await endpoint(server.url).write(PROMPT)
    assert "sends elsewhere" in refused.value.message and not elsewhere.asked


async def test_nobody_there_and_nobody_answering_are_told_apart() -> None:
    with pytest.raises(VoiceError) as refused:
        await endpoint("http://127.0.0.1:9").write(PROMPT)
    assert refused.value.code is Code.ENGINE_FAILED and "cannot be reached" in refused.value.message
    async with language_server(None) as server:
        with pytest.raises(VoiceError) as refused:
            await endpoint(server.url, timeout_s=0.2).write(PROMPT)
    assert refused.value.code is Code.TIMEOUT


async def test_who_leaves_takes_the_request_along() -> None:
    async with language_server(None) as server:
        asking = asyncio.ensure_future(endpoint(server.url).write(PROMPT))
        await server.arrived.wait()
        asking.cancel()
        async with asyncio.timeout(10):
            await server.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_nothing_of_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with language_server(status(500)) as server:
        with pytest.raises(VoiceError):
            await endpoint(server.url).write(PROMPT)
    told = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("voxline"))
    assert "status" in told and "Hello?" not in told and "secret-key" not in told
