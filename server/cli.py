"""``voxline``: the server and its tools on the command line."""

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from protocol.errors import VoiceError
from server.commands.terminal import INTERRUPTED, CommandError, as_typed, err
from server.settings import SettingsError

COMMANDS = (
    "serve", "worker", "demo", "say", "transcribe", "listen",
    "users", "keys", "apps", "credits", "audit", "models", "doctor",
)  # fmt: skip


def main() -> None:
    """Run a command; what goes wrong is one line a person can act on, and exit status 1 (2 for wrong usage)."""
    named = sys.argv[1:2]
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nobody here multiplies matrices: no thread for every core
    try:
        command_line(named if set(named) & set(COMMANDS) else COMMANDS)()
    except CommandError as error:
        _complain(str(error), error.hint)
    except SettingsError as error:
        _complain(str(error), "see the table of settings in README.md")
    except VoiceError as error:
        _complain(error.message, str(error.facts.get("install", "")))
    except KeyboardInterrupt:
        err().print("stopped")  # before the command itself was at work, which ends in its own order
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(1)  # the reader of our output has had enough
    except OSError as error:
        _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def command_line(names: Iterable[str]) -> typer.Typer:
    """The program with these of its commands; each is imported only when it is among them, since some are heavy."""
    app = typer.Typer(
        name="voxline",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_voxline)
    gc.disable()  # a thousand modules leave much behind and no garbage: looking for it takes a tenth of the time
    modules = [(name, import_module(f"server.commands.{name}")) for name in names]
    gc.enable()
    for name, module in modules:
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name, epilog=module.EXAMPLES)(getattr(module, name))
    return app


def _voxline() -> None:
    """A self-hosted, real-time streaming voice server, and its tools."""


def _complain(message: str, hint: str = "") -> None:
    console = err()
    console.print(f"voxline: {message}")
    if hint:
        console.print(f"  to do: {as_typed(hint)}")
    sys.exit(1)


if __name__ == "__main__":
    main()
