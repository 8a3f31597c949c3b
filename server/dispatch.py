"""The door of the HTTP half: whose a request is (``protocol.route``), and the way to that dialect's routes.

A dialect's routes stand under its prefix. A request that is its own by other signs (the host's name, or what tells the
requests of a shared path apart) is moved there, without a redirect, before anybody looks at keys or bodies.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from starlette.responses import Response

from protocol.errors import Code, VoiceError
from protocol.route import PEEK_BYTES, SHARED, UNREAD, Asked, Claims, choose, hosted, place, prefixed, read_start
from stream.socket import Message, Receive, Scope, Send

Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

CALL_PATH = "/e/v1/tts"  # E1, where it is nobody else's
BODY_S = 30.0  # for the part of a body that tells whose it is
_UNMOVED = {"/v1/models": "c", "/v1/voices": "d"}  # one document for two APIs, at the path itself (X3, X4)

_log = logging.getLogger(__name__)


class ClientLeft(Exception):
    """In the middle of its body."""


class Dispatcher:
    """Hands every request to where it is answered: the synchronous call (E1), a hot path, or the routes.

    ``tell`` makes a failure's answer in the envelope of a path's dialect.
    """

    def __init__(
        self,
        realtime: Asgi,
        others: Asgi,
        claims: Claims,
        tell: Callable[[str, VoiceError], Response],
        *,
        body_s: float = BODY_S,
    ) -> None:
        self._realtime = realtime
        self._others = others
        self._claims = claims
        self._tell = tell
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = enter(scope, self._claims)
        if path in SHARED:
            asked = Asked(path, _headers(scope), UNREAD if scope["method"] == "POST" else None)
            owner = choose(asked, self._claims)
            if owner is None:
                await self._look(asked, scope, receive, send)
                return
            if _UNMOVED.get(path) != owner:
                path = _moved(scope, path, owner)
        await (self._realtime if path == CALL_PATH else self._others)(scope, receive, send)

    async def _look(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """The body tells: at most ``PEEK_BYTES`` of it are looked at, and it is read again by whose it is."""
        try:
            async with asyncio.timeout(self._body_s):
                messages = await _start(receive)
        except TimeoutError:
            late = VoiceError(Code.TIMEOUT, f"The request body must arrive within {self._body_s:g} seconds.")
            await self._tell(asked.path, late)(scope, receive, send)
            return
        except ClientLeft:
            _log.info("a client left in the middle of its request")
            return
        owner = choose(Asked(asked.path, asked.headers, _parsed(messages)), self._claims)
        path = _moved(scope, asked.path, str(owner))
        target = self._realtime if path == CALL_PATH else self._others
        await target(scope, partial(_again, iter(messages), receive), send)


def enter(scope: Scope, claims: Claims) -> str:
    """The path to go by: under its dialect's prefix where the host says so, or the path has the prefix already."""
    path: str = scope["path"]
    owner = prefixed(path, claims)
    if owner is None and claims.hosts:
        owner = hosted(path, _headers(scope).get("host", ""), claims)
    return path if owner is None else _moved(scope, path, owner)


def _moved(scope: Scope, path: str, owner: str) -> str:
    """Give the request its dialect's own path; the one that was asked for stays in the scope, for messages."""
    moved = place(path, owner)
    if moved != path:
        scope["asked_path"], scope["path"] = path, moved
    return moved


def asked_path(scope: Scope) -> str:
    """The path as the client wrote it."""
    return str(scope.get("asked_path", scope["path"]))


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _start(receive: Receive) -> list[Message]:
    """The messages that hold the start of a body, or all of it."""
    messages, size = list[Message](), 0
    while size < PEEK_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        messages.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return messages


def _parsed(messages: Iterable[Message]) -> object:
    last, body = False, b""
    for message in messages:
        body += message.get("body", b"")
        last = not message.get("more_body", False)
    return read_start(body[:PEEK_BYTES], whole=last and len(body) <= PEEK_BYTES)


async def _again(messages: Iterable[Message], receive: Receive) -> Message:
    """What was read, and then the rest."""
    for message in messages:
        return message
    return await receive()
