"""``voxline listen``: a recording or the microphone, live, with its words as they are recognised."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from engines.decode import decode_file
from protocol.errors import VoiceError
from server import client
from server.client import Heard, Message, Server, ServerRefused
from server.commands.private_server import private_server
from server.commands.terminal import CommandError, check_readable, err, out, run
from server.engines import models_root
from server.microphone import NoAudio, audio_problem, microphone
from server.settings import engine_settings, given_key, load_settings

EXAMPLES = """
Examples:

- `voxline listen` hears the microphone, until Ctrl-C

- `voxline listen talk.wav` plays a recording to it, at the pace it was spoken

- `voxline listen --server http://box:8000 --key sk-ov-...` uses a running server
"""
_RATE = 16000


def listen(
    file: Annotated[Path | None, typer.Argument(help="A recording; without one, the microphone.")] = None,
    server: Annotated[str | None, typer.Option(help="A running server; without one, a server starts for this.")] = None,
    key: Annotated[str | None, typer.Option(help="API key for --server; or VOXLINE_KEY.")] = None,
    language: Annotated[str, typer.Option(help="ISO 639-1 code, or auto.")] = "auto",
    data: Annotated[Path | None, typer.Option(help="Data directory, when a server starts for this.")] = None,
) -> None:
    """Show what is being said while it is being said."""
    if file is None and (problem := audio_problem()):
        raise CommandError("there is no microphone to listen to", f"{problem}; or name a recording")
    recording = None if file is None else decoded(file)
    address = None if server is None else _address(server)
    run(_listen(recording, address, key or given_key(), language, data))


async def _listen(recording: bytes | None, base: str | None, key: str, language: str, data: Path | None) -> None:
    async with AsyncExitStack() as stack:
        if base is None:
            settings = load_settings(data=data)
            engines = private_server(models=models_root(settings).resolve(), **engine_settings(settings))
            with err().status("starting the engines ..."):
                there = await stack.enter_async_context(engines)
        else:
            there = Server(base, key)
        if recording is not None:
            sound = client.paced(recording)
        else:
            try:
                sound = await stack.enter_async_context(microphone(_RATE))
            except NoAudio as error:
                raise CommandError(str(error)) from None
            err().print("listening; Ctrl-C ends it")
        shown = Captions(out(), time.monotonic)
        with shown:
            try:
                async for heard in client.listen(there, {"language": language, "interim_results": True}, sound):
                    shown.show(heard)
            except ServerRefused as error:
                raise CommandError(str(error)) from None


def decoded(file: Path) -> bytes:
    """A recording as 16 kHz s16le. Raises CommandError for what is not one."""
    check_readable(file)
    try:
        return b"".join(decode_file(file))
    except VoiceError as error:
        raise CommandError(f"{file}: {error.message}") from None


def _address(server: str) -> str:
    """A server's base URL; a bare host and port will do."""
    base = (server if "://" in server else f"http://{server}").rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"{server} is not a server's address", "write it like http://127.0.0.1:8000")
    return base


class Captions:
    """Captions: on a terminal one line that is revised until it is final, elsewhere a line for each change."""

    def __init__(self, console: Console, now: Callable[[], float]) -> None:
        self.finals: list[Message] = []
        self.partials = 0
        self._console = console
        self._now = now
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._shown = ""

    def __enter__(self) -> "Captions":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, heard: Heard, note: str = "") -> None:
        """Show one message of the server; ``note`` stands beside a final."""
        message = heard.message
        if message.get("partial"):
            self.partials += 1
            self._revise(message)
        elif message.get("text"):
            self.finals.append(message)
            self._settle(message, note)

    def _revise(self, message: Message) -> None:
        partial, stable = str(message["partial"]), int(message.get("stable", 0))
        if self._live is not None:
            said = ((partial[:stable], "bold"), (partial[stable:], "dim italic"))
            line = Text.assemble((f"{_clock(message.get('end'))}  ", "dim"), *said)
            self._live.update(line, refresh=True)
        elif partial != self._shown:
            self._console.print(f"{_clock(message.get('end'))}  ... {partial}")
        self._shown = partial

    def _settle(self, message: Message, note: str) -> None:
        if self._live is not None:
            self._live.update(Text(""), refresh=True)
        self._console.print(f"{_clock(message.get('end'))}  {message['text']}{f'   {note}' if note else ''}")
        self._shown = ""


def _clock(seconds: float | None) -> str:
    """A place in the sound, as a column."""
    return " " * 9 if seconds is None else f"{seconds:7.2f} s"
