"""How commands get at a server's accounts: by its data directory or database URL, beside it while it runs."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from accounts.users import User
from protocol.errors import Code, VoiceError
from server.accounts import Accounts, opened
from server.commands.terminal import CommandError, run
from server.settings import load_settings

T = TypeVar("T")

Data = Annotated[Path | None, typer.Option(help="The server's data directory.")]
Who = Annotated[str, typer.Argument(help="E-mail address or number of the account.", show_default=False)]


def with_accounts(data: Path | None, work: Callable[[Accounts], Awaitable[T]], *, new: bool = False) -> T:
    """Work on the accounts of a server; only ``new`` may make a store, so that a mistyped name shows."""
    settings = load_settings(data=data)
    if not new and not settings.store_exists:
        hint = "name the server's data directory with --data, or make a first key: voxline keys create"
        raise CommandError(f"there is no server's data in {settings.data}", hint)

    async def inside() -> T:
        async with opened(settings.database_url) as accounts:
            return await work(accounts)

    return run(inside())


async def find_user(accounts: Accounts, who: str) -> User:
    """The account of an address or a number; "" is the owner's."""
    if not who:
        return await accounts.users.owner()
    try:
        return await (accounts.users.get(int(who)) if who.isdecimal() else accounts.users.by_email(who))
    except VoiceError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        raise CommandError(f"there is no account {who}", "voxline users list shows all of them") from None


def new_password() -> str:
    """A password typed twice, or the first line of standard input where no terminal is there to type at."""
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("no password was given", "type it at the prompt, or give it on standard input")
    return password


def moment(at: float) -> str:
    """A time as tables show it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
