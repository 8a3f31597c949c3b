"""What engines made of saved voices, kept between jobs: cloning takes seconds, and a saved voice stays as it is.

Kept by the recording itself, so nobody gets what was made of another's, and by who there is to clone: a prompt means
something to the engine that made it only.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256

from protocol.requests import VoicePrompt

_KEPT = 256  # of some ten KiB each


class KeptPrompts:
    """The prompts used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], VoicePrompt] = OrderedDict()

    async def of(self, recording: bytes, engine: str, make: Callable[[], Awaitable[VoicePrompt]]) -> VoicePrompt:
        """The prompt of a recording by the engine that clones here; made if there is none yet."""
        key = (engine, sha256(recording).digest())
        prompt = self._kept.get(key)
        if prompt is None:
            prompt = await make()
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
        self._kept[key] = prompt
        self._kept.move_to_end(key)
        return prompt
