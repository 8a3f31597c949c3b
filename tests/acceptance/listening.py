"""A plain `websockets` client of `/v1/stream` that keeps all it was told, and the promises every session must keep."""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.admission import admitted

DEADLINE_S = 60.0
RATE = 16000
BROWSER_FRAME = 8192  # bytes; what the document's example sends at a time (C10)
FRAME_20_MS = 640

Message = dict[str, Any]
STOP: Message = {"action": "stop"}


@dataclass(slots=True)
class Heard:
    """What one session said."""

    messages: list[Message] = field(default_factory=list)  # ``ready`` first
    arrived: list[float] = field(default_factory=list)  # when, seconds since the first audio was sent
    code: int | None = None  # of the close frame

    @property
    def finals(self) -> list[Message]:
        """Finished utterances that have words."""
        return [message for message in self.messages if message.get("text")]

    @property
    def partials(self) -> list[Message]:
        """Interim results, in order."""
        return [message for message in self.messages if message.get("partial")]

    @property
    def errors(self) -> list[Message]:
        """What went wrong."""
        return [message for message in self.messages if "error" in message]

    @property
    def text(self) -> str:
        """All finals in one, in lower case."""
        return " ".join(message["text"].lower().strip(" .") for message in self.finals)

    def check(self) -> "Heard":
        """The promises of the wire that hold for every session that ends in order."""
        assert not self.errors, self.errors
        assert self.messages[0]["status"] == "ready"
        *others, last = (bool(message.get("is_final")) for message in self.messages)
        assert last and not any(others)
        assert self.code == 1000
        numbers = [message["utterance"] for message in self.finals]
        assert numbers == sorted(set(numbers)), "finals come once each, and in order"
        self._check_stable()
        return self

    def _check_stable(self) -> None:
        """What was called stable is never revised, neither by a later partial nor by the final."""
        stable: dict[int, str] = {}
        ended: set[int] = set()
        for message in self.messages:
            number, said = message.get("utterance"), message.get("partial") or message.get("text")
            if number is None or said is None:
                continue
            assert said.startswith(stable.get(number, "")), f"{stable[number]!r} was revised to {said!r}"
            assert number not in ended, f"utterance {number} goes on after its final: {message}"
            if message.get("partial"):
                assert 0 <= message["stable"] <= len(said)
                stable[number] = said[: message["stable"]]
                assert message["text"] == ""
            else:
                ended.add(number)


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


async def hear(
    address: str, key: str, script: Sequence[bytes | Message], *, config: Mapping[str, object] | None = None,
    frames: Iterable[int] | None = None, pace: float = 0.0, deadline: float = DEADLINE_S,
) -> Heard:  # fmt: skip
    """Send audio and actions in their order, then stop, and return all that was said until the server closed.

    ``pace`` is in bytes a second, 0 for as fast as they are taken; ``frames`` are the sizes of the messages in bytes.
    """
    heard = Heard()
    async with asyncio.timeout(deadline):
        async with await admitted(
            f"{address}/v1/stream", additional_headers=bearer(key), compression=None
        ) as socket:
            await socket.send(json.dumps(dict(config or {})))
            heard.messages.append(json.loads(await socket.recv()))
            heard.arrived.append(0.0)
            began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_listen(socket, heard, began))
                tasks.create_task(_play(socket, [*script, STOP], _sizes(frames), pace, began))
    return heard


def _sizes(frames: Iterable[int] | None) -> Iterator[int]:
    return repeat(BROWSER_FRAME) if frames is None else iter(frames)


async def _play(
    socket: ClientConnection, script: Iterable[bytes | Message], sizes: Iterator[int], pace: float, began: float
) -> None:
    sent = 0
    try:
        for part in script:
            if isinstance(part, dict):
                await socket.send(json.dumps(part))
                continue
            at = 0
            while at < len(part):
                piece = part[at : at + next(sizes)]
                at += len(piece)
                sent += len(piece)
                if pace and (wait := began + sent / pace - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                await socket.send(piece)
    except ConnectionClosed:
        return  # what the server said before is in ``Heard``


async def _listen(socket: ClientConnection, heard: Heard, began: float) -> None:
    try:
        while True:
            message = await socket.recv()
            heard.messages.append(json.loads(message))
            heard.arrived.append(time.monotonic() - began)
    except ConnectionClosed as closed:
        heard.code = closed.rcvd.code if closed.rcvd is not None else None
