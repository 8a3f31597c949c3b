"""An OpenAI-compatible server of one kind: real HTTP, answers as it is told, remembers what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]


def saying(text: str, model: str = "served-1") -> tuple[int, dict[str, str], bytes]:
    """A good answer."""
    body = {"model": model, "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return 200, {}, json.dumps(body).encode()


@dataclass(slots=True)
class LanguageServer:
    """Answers with the ``replies`` in turn, the last one for ever; None never answers."""

    replies: list[Reply | None]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client went away without its answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, any number of requests."""
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        self.asked.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        self.headers.append(headers)
        self.paths.append(lines[0].split(" ")[1])
        self.arrived.set()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply is None:
            await reader.readexactly(1)  # ends when the client goes
            return False
        status, more, body = reply(self.asked[-1])
        sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}
        writer.write(f"HTTP/1.1 {status} X\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in sent.items()).encode())
        writer.write(b"\r\n" + body)
        await writer.drain()
        return True


@asynccontextmanager
async def language_server(*replies: Reply | None) -> AsyncIterator[LanguageServer]:
    """Running for the length of the block."""
    server = LanguageServer(list(replies))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
