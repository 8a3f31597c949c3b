"""Sound on its way from a synthesiser to whoever asked for it."""

import asyncio
from collections import deque
from collections.abc import Callable

from protocol.errors import Code, VoiceError
from protocol.requests import Speak, SpeechChunk

CHUNKS = 65_536  # waiting chunks of one clause; its seconds are bounded by the pipe


class SpeechStream:
    """An async iterator over the chunks that answer one ``Speak``; ``aclose()`` silences it at once.

    The engine runs ahead of the reader by up to the whole clause, so that a listener served at the pace of speech
    never keeps the engine from the others. Errors: VoiceError from the iteration.
    """

    def __init__(self, request: Speak) -> None:
        self.request = request
        self.emitted = False  # something of it was made, so it cannot be begun again
        self.cancel: Callable[[], object] | None = None  # set by who works on it: stop
        self._chunks: deque[SpeechChunk] = deque(maxlen=CHUNKS)
        self._error: VoiceError | None = None
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """No more will be added: done, failed or closed."""
        return self._ended

    def add(self, chunk: SpeechChunk) -> None:
        """The engine made a chunk."""
        if self._ended:
            return
        if len(self._chunks) == CHUNKS:
            self.fail(VoiceError(Code.ENGINE_FAILED, "the engine makes too many pieces"))
            return
        self.emitted = True
        self._chunks.append(chunk)
        self._wake()

    def end(self) -> None:
        """The engine has finished."""
        self._ended = True
        self.cancel = None
        self._wake()

    def fail(self, error: VoiceError) -> None:
        """The engine cannot go on; what it made before is still read first."""
        if not self._ended:
            self._error = error
            self.end()

    def __aiter__(self) -> "SpeechStream":
        return self

    async def __anext__(self) -> SpeechChunk:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._chunks.popleft()

    async def aclose(self) -> None:
        """Stop the work and drop what was not read; harmless when it is over."""
        cancel, self.cancel = self.cancel, None
        if not self._ended:
            self._ended = True
            if cancel is not None:
                cancel()
        self._chunks.clear()
        self._error = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
