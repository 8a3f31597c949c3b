"""Who can write: a language model in a process of this machine, or behind an endpoint (``batch.text_endpoint``)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from engines import fields
from engines.frames import WireError
from engines.host import EngineHost
from engines.on_demand import Lender
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError
from protocol.text_prompts import Prompt
from protocol.texts import Written

_STEP = 24  # tokens a call: seconds on a CPU, after which others may have their turn or the caller have left
_STEP_S = 20.0  # what such a call may take before it is thought hung, three times over and more
_READS = 12_000  # characters: a minute or more of a CPU
_WAITING = 16  # callers for one model
_RETRY_AFTER_S = 15
_ANSWER = 400_000  # characters


class Writer(Protocol):
    """Writes what a prompt asks for; ``reads`` is how many characters of a text it is to be given at once."""

    model: str
    reads: int

    async def write(self, prompt: Prompt) -> Written: ...


class Turnstile:
    """Lets one caller in at a time, and turns away who would wait behind too many."""

    def __init__(self, most: int = _WAITING) -> None:
        self._most = most
        self._waiting = 0
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One's turn, for the length of the block. Raises BUSY."""
        if self._waiting >= self._most:
            raise VoiceError(Code.BUSY, "too much is waiting for the language model", retry_after=_RETRY_AFTER_S)
        self._waiting += 1
        try:
            async with self._lock:
                yield
        finally:
            self._waiting -= 1


class LocalWriter:
    """A model in a process of its own, asked for a few tokens at a time: whoever leaves is gone after those.

    Each call says all that was written so far, so that another process can go on where one fell.
    """

    def __init__(self, model: str, lender: Lender[EngineHost], turnstile: Turnstile | None = None) -> None:
        self.model = model
        self.reads = _READS
        self._lender = lender
        self._turnstile = turnstile or Turnstile()

    async def write(self, prompt: Prompt) -> Written:
        """Raises TEXT_TOO_LONG when the prompt does not fit the model, BUSY, and what engines raise."""
        messages = [{"role": one.role, "content": one.content} for one in prompt.messages]
        async with self._turnstile.turn(), self._lender.borrow() as host:
            tokens: list[int] = []
            while True:
                facts = {
                    "messages": messages,
                    "so_far": tokens,
                    "tokens": min(_STEP, prompt.tokens - len(tokens)),
                    "temperature": prompt.temperature,
                }
                text, new, over = await _once_more(host, Order("write", facts=facts))
                tokens = [*tokens, *new]
                if over or not new or len(tokens) >= prompt.tokens:
                    break
        text = text.rstrip("\ufffd").strip()  # half a character, where the answer was cut
        if not text:
            raise VoiceError(Code.ENGINE_FAILED, "the language model has nothing to say to this")
        return Written(text, self.model)


async def _once_more(host: EngineHost, order: Order) -> tuple[str, list[int], bool]:
    """A call, and another when the process fell in the middle of it."""
    try:
        return await host.work(order, _step, _STEP_S)
    except VoiceError as error:
        if error.code is not Code.ENGINE_RESTARTED:
            raise
    return await host.work(order, _step, _STEP_S)


def _step(outcome: Outcome) -> tuple[str, list[int], bool]:
    """All the text so far, the new tokens, and whether that is the end."""
    tokens = [fields.exactly(int, token) for token in fields.items(outcome.data, "tokens", _STEP)]
    if any(token < 0 for token in tokens):
        raise WireError("no token")
    return fields.text(outcome.data, "text", _ANSWER), tokens, fields.flag(outcome.data, "over")
