"""What commands share at the terminal: where they write, how they fail, and how they run what is asynchronous."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

T = TypeVar("T")

_PLAIN_WIDTH = 120
_COMMANDS = re.compile(r"\bvoxline ((?:models pull [\w.-]+)|keys create|users list)")
INTERRUPTED = 130  # what a shell expects of a command ended by Ctrl-C


class CommandError(Exception):
    """A failure a person can act on; ``hint`` is what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def out() -> Console:
    """Standard output, as it is: nothing wrapped, nothing marked up; tables have room where no terminal limits them."""
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return Console(soft_wrap=True, highlight=False, markup=False, emoji=False, width=width)


def err() -> Console:
    """Standard error, for progress and complaints."""
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def progress() -> Progress:
    """A bar on standard error, gone when it is done; nothing where no terminal reads."""
    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C and SIGTERM end it in order, without a traceback. Of several failures the first speaks."""
    try:
        return asyncio.run(_ended_by_sigterm(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        err().print("stopped")
        raise typer.Exit(INTERRUPTED) from None
    except BaseExceptionGroup as group:
        raise _first(group) from None


async def _ended_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM would leave our own server and engines behind: it cancels the work, which then cleans up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def check_readable(file: Path) -> None:
    """Complain about what is no file."""
    if file.is_dir():
        raise CommandError(f"{file} is a directory", "name the recordings in it")
    if not file.exists():
        raise CommandError(f"there is no file {file}")


def check_writable(file: Path) -> None:
    """Complain before the work, not after it, about a place that a file cannot be written to."""
    if file.is_dir():
        raise CommandError(f"{file} is a directory")
    if not file.parent.is_dir():
        raise CommandError(f"there is no directory {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise CommandError(f"cannot write {file}: permission denied")


def program() -> str:
    """How this program is called from here: ``voxline`` when it is on the path, else by its place."""
    called = Path(sys.argv[0])
    if called.name != "voxline":
        return f"{sys.executable} -m server.cli"
    found = shutil.which("voxline")
    if found is not None and Path(found).resolve() == called.resolve():
        return "voxline"
    try:
        return str(called.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(called.resolve())


def as_typed(hint: str) -> str:
    """A hint whose commands can be pasted: this program as it is called here, on the data directory it was given."""
    data = _data_given()
    where = f" --data {shlex.quote(data)}" if data else ""
    return _COMMANDS.sub(lambda found: f"{program()} {found[1]}{where}", hint)


def _data_given() -> str:
    """What --data was on this command line; settings from elsewhere hold for the next command, too."""
    for place, word in enumerate(sys.argv):
        if word == "--data":
            return "".join(sys.argv[place + 1 : place + 2])
        if word.startswith("--data="):
            return word.removeprefix("--data=")
    return ""


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
