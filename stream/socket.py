"""A WebSocket on plain ASGI, and the bounded box its outgoing messages wait in.

``Socket`` has no task, no queue and, while the transport takes what it is given, no timer: sending steps the server's
``send`` once and is done, and only a transport whose buffer is full costs a deadline. That is what lets one loop carry
thousands of idle connections and hundreds of talking ones.

    socket = Socket(scope, receive, send, send_deadline_s=10.0)
    await socket.accept()
    message = await socket.receive()           # str or bytes; Disconnected when the client has gone
    await socket.send("text")                  # SendTimeout when it takes nothing for the whole deadline
    await socket.close(1000, "done")

``Outbox`` is for what is produced in callbacks: ``put`` never waits, sends at once when nothing is before it, and
otherwise keeps at most ``events`` messages or ``size`` bytes. An ASGI ``send`` that is given to a ``Socket`` must be
the server's own, or a plain wrapper of it: its first step may run outside any task.
"""

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
Data = str | bytes
Steps = Generator[Any, None, None]
Spawn = Callable[[Coroutine[Any, Any, None]], object]

MAX_REASON = 123  # bytes a close frame has for its reason (RFC 6455, 5.5)


class Disconnected(Exception):
    """The client has gone; ``code`` is its close code, 1006 when it just vanished."""

    def __init__(self, code: int = 1006) -> None:
        super().__init__(f"disconnected ({code})")
        self.code = code


class SendTimeout(Exception):
    """The client took nothing for the whole send deadline, or let too much pile up."""


@types.coroutine
def _resume(waiter: object, steps: Steps) -> Generator[object, None, None]:
    """Go on with a coroutine that was stepped once by hand and gave ``waiter`` to wait for."""
    while True:
        thrown: BaseException | None = None
        try:
            yield waiter
        except BaseException as error:  # noqa: BLE001  (a cancellation: it belongs to the coroutine)
            thrown = error
        try:
            waiter = next(steps) if thrown is None else steps.throw(thrown)
        except StopIteration:
            return


class Socket:
    """One WebSocket connection, before and after its handshake."""

    __slots__ = ("_connected", "_receive", "_send", "closed", "scope", "send_deadline_s")

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, send_deadline_s: float = 10.0) -> None:
        self.scope = scope
        self.send_deadline_s = send_deadline_s
        self.closed = False  # by either side: no more can be sent
        self._receive = receive
        self._send = send
        self._connected = False

    # -- the request -----------------------------------------------------------------------------

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def address(self) -> str:
        """The client's address as the server sees it; "" when it has none (a Unix socket)."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers in Sec-WebSocket-Protocol, in its order."""
        return list(self.scope.get("subprotocols") or ())

    def header(self, name: str) -> str | None:
        """The first header of that name, any case, or None."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.scope["headers"]:
            if key.lower() == wanted:
                return bytes(value).decode("latin-1")
        return None

    def query(self, name: str) -> str | None:
        """The first value of a query parameter, or None."""
        text = bytes(self.scope.get("query_string", b"")).decode("latin-1")
        try:
            values = parse_qs(text, max_num_fields=100).get(name)
        except ValueError:  # more fields than anybody needs
            return None
        return values[0] if values else None

    # -- the handshake ---------------------------------------------------------------------------

    async def accept(self, subprotocol: str | None = None, headers: Headers = ()) -> None:
        """Finish the handshake; raises Disconnected when the client did not wait for it."""
        await self._await_connect()
        await self._deliver({"type": "websocket.accept", "subprotocol": subprotocol, "headers": list(headers)})

    async def deny(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        """Answer the handshake with an HTTP response instead (or a bare 403 where the server can do no more)."""
        await self._await_connect()
        self.closed = True
        if "websocket.http.response" not in (self.scope.get("extensions") or {}):
            await self._deliver({"type": "websocket.close"})
            return
        fields = [(b"content-type", content_type.encode("latin-1")), *headers]
        await self._deliver({"type": "websocket.http.response.start", "status": status, "headers": fields})
        await self._deliver({"type": "websocket.http.response.body", "body": body})

    async def _await_connect(self) -> None:
        if not self._connected:
            self._connected = True
            message = await self._receive()
            if message["type"] != "websocket.connect":
                self.closed = True
                raise Disconnected(1006)

    # -- messages --------------------------------------------------------------------------------

    async def receive(self) -> Data:
        """The next message, text as str and binary as bytes."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            data = message.get("bytes")
            return data if data is not None else message["text"]  # type: ignore[no-any-return]
        self.closed = True
        raise Disconnected(message.get("code") or 1006)

    async def send(self, data: Data) -> None:
        """Send one message; raises SendTimeout, or Disconnected when there is nobody to send to."""
        pending = self.begin(data)
        if pending is not None:
            await self.finish(pending)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, once; a client that has gone already is no error."""
        if self.closed:
            return
        text = reason.encode()[:MAX_REASON].decode(errors="ignore")
        try:
            await self._deliver({"type": "websocket.close", "code": code, "reason": text})
        except (Disconnected, SendTimeout):
            return  # it is closed all the same, and the transport's own time-out takes the rest
        finally:
            self.closed = True

    # -- sending in two halves, for Outbox -------------------------------------------------------

    def begin(self, data: Data) -> "Pending | None":
        """Start to send and return None, or, where the transport is full, what ``finish`` has to wait for."""
        kind = "text" if isinstance(data, str) else "bytes"
        return self._step({"type": "websocket.send", kind: data})

    async def finish(self, pending: "Pending") -> None:
        """Wait for a send that could not be done at once, up to the deadline."""
        try:
            async with asyncio.timeout(self.send_deadline_s):
                await _resume(pending.waiter, pending.steps)
        except TimeoutError:
            self.closed = True
            raise SendTimeout(f"the client took nothing for {self.send_deadline_s:g} s") from None
        except (OSError, RuntimeError) as error:
            self.closed = True
            raise Disconnected(1006) from error

    async def _deliver(self, message: Message) -> None:
        pending = self._step(message)
        if pending is not None:
            await self.finish(pending)

    def _step(self, message: Message) -> "Pending | None":
        steps = self._send(message).__await__()
        try:
            waiter = next(steps)
        except StopIteration:
            return None
        except (OSError, RuntimeError) as error:
            # Servers raise OSError for a client that has gone, and uvicorn a RuntimeError once a close frame is out.
            self.closed = True
            raise Disconnected(1006) from error
        return Pending(waiter, steps)


@dataclass(frozen=True, slots=True)
class Pending:
    """The rest of a send: what it waits for, and how it goes on."""

    waiter: object
    steps: Any


@dataclass(frozen=True, slots=True)
class Letter:
    """One message in an Outbox; ``data`` may be a function that makes it when its turn has come."""

    data: Data | Callable[[], Data]
    key: Hashable = None
    on_sent: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        return 0 if callable(self.data) else len(self.data)


class Outbox:
    """Outgoing messages in order, bounded, written at once where the transport takes them.

    ``put`` never waits. A letter with a ``key`` takes the place of an unsent one of the same key (a newer partial), and
    is dropped when the box is full; one without is never dropped. Who produces much awaits ``room`` first. A client
    that lets twice the limit pile up, or takes nothing for the socket's deadline, ends it: ``on_broken`` is called once
    with Disconnected or SendTimeout, and everything put from then on vanishes.
    """

    __slots__ = ("_bytes", "_changed", "_events", "_letters", "_on_broken", "_size", "_socket", "_spawn", "_writing",
                 "broken")  # fmt: skip

    def __init__(
        self,
        socket: Socket,
        spawn: Spawn,
        on_broken: Callable[[Exception], None],
        *,
        events: int = 64,
        size: int = 1 << 20,
    ) -> None:
        self.broken: Exception | None = None
        self._socket = socket
        self._spawn = spawn
        self._on_broken = on_broken
        self._events = events
        self._size = size
        self._letters: deque[Letter] | None = None  # made when first needed: most boxes never hold anything
        self._bytes = 0
        self._writing = False  # a task is at it, because the transport was full
        self._changed: asyncio.Event | None = None

    @property
    def full(self) -> bool:
        return self._letters is not None and (len(self._letters) >= self._events or self._bytes >= self._size)

    @property
    def empty(self) -> bool:
        """Everything put so far has been handed to the transport."""
        return not self._letters and not self._writing

    def put(
        self,
        data: Data | Callable[[], Data],
        *,
        key: Hashable = None,
        on_sent: Callable[[], None] | None = None,
    ) -> None:
        """Send ``data`` now or as soon as the transport takes it; ``on_sent`` is called when it was handed over."""
        if self.broken is not None:
            return
        letter = Letter(data, key, on_sent)
        if not self._writing:
            self._write(letter)
        elif key is None or not self._replace(letter):
            self._keep(letter)

    def clear(self) -> list[Letter]:
        """Take back all that was not yet begun, in order."""
        letters = list(self._letters or ())
        self._letters = None
        self._bytes = 0
        self._notify()
        return letters

    async def room(self) -> None:
        """Wait until the box is not full (or broken)."""
        while self.full and self.broken is None:
            await self._change()

    async def flush(self) -> None:
        """Wait until all was handed to the transport (or the box is broken)."""
        while not self.empty and self.broken is None:
            await self._change()

    # -- inside ----------------------------------------------------------------------------------

    def _write(self, letter: Letter) -> None:
        try:
            pending = self._socket.begin(letter.data() if callable(letter.data) else letter.data)
        except Disconnected as error:
            self._break(error)
            return
        if pending is not None:
            self._writing = True
            self._spawn(self._drain(letter, pending))
        elif letter.on_sent is not None:
            letter.on_sent()

    async def _drain(self, letter: Letter, pending: Pending | None) -> None:
        """Write what piled up while the transport was full; ends when there is nothing left."""
        try:
            while True:
                if pending is not None:
                    await self._socket.finish(pending)
                if letter.on_sent is not None:
                    letter.on_sent()
                if not self._letters:
                    return
                letter = self._letters.popleft()
                self._bytes -= letter.size
                self._notify()
                pending = self._socket.begin(letter.data() if callable(letter.data) else letter.data)
        except (Disconnected, SendTimeout) as error:
            self._break(error)
        finally:
            self._writing = False
            self._notify()

    def _keep(self, letter: Letter) -> None:
        if self.full and letter.key is not None:
            return
        if self._letters is None:
            self._letters = deque(maxlen=2 * self._events)  # the bound is checked below, before it would bite
        elif len(self._letters) >= 2 * self._events or self._bytes >= 2 * self._size:
            self._break(SendTimeout("the client lets its messages pile up"))
            return
        self._letters.append(letter)
        self._bytes += letter.size

    def _replace(self, letter: Letter) -> bool:
        """Put ``letter`` where an unsent one of its key stands; False when there is none."""
        for index, other in enumerate(self._letters or ()):
            if other.key == letter.key:
                assert self._letters is not None
                self._letters[index] = letter
                self._bytes += letter.size - other.size
                return True
        return False

    def _break(self, error: Exception) -> None:
        if self.broken is None:
            self.broken = error
            self.clear()
            self._on_broken(error)

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
