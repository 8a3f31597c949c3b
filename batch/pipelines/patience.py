"""Calls of engines for work that can wait: what passes (an engine being replaced, a full queue) is waited out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from protocol.errors import Code, VoiceError

P = ParamSpec("P")
T = TypeVar("T")

PASSING = frozenset({Code.ENGINE_RESTARTED, Code.ENGINE_FAILED, Code.BUSY, Code.MODEL_LOADING})
_BACK_OFF_S = (0.2, 1.0, 3.0, 9.0)  # after each failure; then it is one


async def patiently(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """The call's answer; the same call again when its engine failed for a reason that may pass."""
    for wait_s in _BACK_OFF_S:
        try:
            return await call(*args, **kwargs)
        except VoiceError as error:
            if error.code not in PASSING:
                raise
        await asyncio.sleep(wait_s)
    return await call(*args, **kwargs)
