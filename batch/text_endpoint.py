"""A language model behind an OpenAI-compatible address that the operator has set (``text_url``).

No user chooses the address, so it may be private; it is called as it is written, and a redirect to elsewhere is an
error. One that is busy (429, 503) is asked once more. A caller who leaves takes the request with him: the connection is
closed. Neither what is asked nor what is answered is logged.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from protocol.errors import Code, VoiceError
from protocol.text_prompts import Prompt
from protocol.texts import Written

log = logging.getLogger("voxline.batch.texts")

_MOST_BYTES = 4 << 20
_READS = 24_000  # characters of a text at once: 8,000 tokens, which every such model takes
_CONNECT_S = 10.0
_PATIENCE_S = 5.0  # the longest wait before the second try
_BUSY = (429, 503)
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL)  # what models that reason say to themselves first


@dataclass(frozen=True, slots=True)
class Address:
    """Where the model is, and which one is meant; ``key`` may be empty."""

    url: str  # up to and without /chat/completions
    key: str
    model: str


class Endpoint:
    """Writes what a prompt asks for (``batch.text_writers.Writer``)."""

    def __init__(self, address: Address, *, timeout_s: float, back_off_s: float = 1.0) -> None:
        self.model = address.model or "the endpoint's"
        self.reads = _READS
        self._address = address
        self._timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        self._tls = httpx.create_ssl_context(trust_env=False)  # to read them each time would hold up the loop
        self._back_off_s = back_off_s

    async def write(self, prompt: Prompt) -> Written:
        """Raises BUSY, TIMEOUT, and ENGINE_FAILED with what is wrong with the endpoint."""
        async with httpx.AsyncClient(verify=self._tls, timeout=self._timeout, trust_env=False) as client:
            status, headers, body = await self._post(client, prompt)
            if status in _BUSY:
                await asyncio.sleep(min(_retry_after(headers, self._back_off_s), _PATIENCE_S))
                status, headers, body = await self._post(client, prompt)
        if status != 200:
            raise self._refused(status, headers)
        return self._read(body)

    async def _post(self, client: httpx.AsyncClient, prompt: Prompt) -> tuple[int, httpx.Headers, bytes]:
        asked = {
            "model": self._address.model,
            "messages": [{"role": one.role, "content": one.content} for one in prompt.messages],
            "max_tokens": prompt.tokens,
            "temperature": prompt.temperature,
            "stream": False,
        }
        url = f"{self._address.url}/chat/completions"
        key = {"Authorization": f"Bearer {self._address.key}"} if self._address.key else {}
        try:
            async with client.stream("POST", url, json=asked, headers=key) as answer:
                return answer.status_code, answer.headers, await _bounded(answer)
        except httpx.TimeoutException:
            raise VoiceError(Code.TIMEOUT, "the language model's endpoint takes too long") from None
        except httpx.HTTPError as error:
            log.warning("the endpoint for texts cannot be reached", extra={"cause": type(error).__name__})
            raise VoiceError(Code.ENGINE_FAILED, "the language model's endpoint cannot be reached") from None

    def _refused(self, status: int, headers: httpx.Headers) -> VoiceError:
        if status in _BUSY:
            wait = max(1, round(_retry_after(headers, _PATIENCE_S)))
            return VoiceError(Code.BUSY, "the language model's endpoint is busy", retry_after=wait)
        log.warning("the endpoint for texts refuses", extra={"status": status})
        why = {401: "refuses its key", 403: "refuses its key", 404: "has no such model or path"}.get(status)
        if why is None:
            why = "sends elsewhere" if 300 <= status < 400 else f"answers with status {status}"
        return VoiceError(Code.ENGINE_FAILED, f"the language model's endpoint {why}; see the setting text_url")

    def _read(self, body: bytes) -> Written:
        try:
            said: Any = httpx.Response(200, content=body).json()
            text = said["choices"][0]["message"]["content"]
            model = said.get("model") or self._address.model
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            text = model = None
        if not isinstance(text, str) or not isinstance(model, str):
            raise VoiceError(Code.ENGINE_FAILED, "the language model's endpoint gives no answer that can be read")
        text = _THOUGHTS.sub("", text).encode("utf-8", "replace").decode().strip()
        if not text:
            raise VoiceError(Code.ENGINE_FAILED, "the language model has nothing to say to this")
        return Written(text, model[:200] or self.model)


async def _bounded(answer: httpx.Response) -> bytes:
    """The body, unless it is larger than any answer."""
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > _MOST_BYTES:
            raise VoiceError(Code.ENGINE_FAILED, "the language model's endpoint answers without end")
    return bytes(body)


def _retry_after(headers: Mapping[str, str], otherwise: float) -> float:
    """Seconds of ``Retry-After``; ``otherwise`` without it, or when it is a date."""
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 7 else otherwise
