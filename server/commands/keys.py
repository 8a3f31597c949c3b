"""``voxline keys``: make, list, disable, enable and delete API keys, beside a running server or without one."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from accounts.keys import Keys, State
from accounts.store import open_store
from server.commands.terminal import CommandError, err, out, program, run
from server.settings import load_settings

T = TypeVar("T")

Data = Annotated[Path | None, typer.Option(help="The server's data directory.")]
Id = Annotated[int, typer.Argument(help="The key's number in `voxline keys list`.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Make, list, disable and delete API keys.", rich_markup_mode="markdown")


@app.command(epilog="Example: `KEY=$(voxline keys create --name laptop)`")
def create(
    name: Annotated[str, typer.Option(help="What the key is for; shown in the list.")] = "",
    data: Data = None,
) -> None:
    """Make a key and print it, alone on its line. It is shown this once: only its hash is kept."""
    secret, _ = _with_keys(data, lambda keys: keys.create(name), new=True)
    out().print(secret)


@app.command("list", epilog="Example: `voxline keys list`")
def list_keys(data: Data = None) -> None:
    """List the keys: number, name, last letters, state and age."""
    rows = _with_keys(data, lambda keys: keys.all())
    if not rows:
        err().print("There is no key yet; make one with: voxline keys create")
        return
    table = Table("id", "name", "key", "state", "made", box=None, pad_edge=False)
    for key in rows:
        made = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(str(key.id), key.name, f"sk-ov-...{key.last4}", key.state, made)
    out().print(table)


@app.command(epilog="Example: `voxline keys disable 3`")
def disable(key_id: Id, data: Data = None) -> None:
    """Stop a key from opening anything, until it is enabled again; a running server follows within a second."""
    _with_keys(data, lambda keys: keys.set_state(key_id, State.DISABLED))
    err().print(f"Key {key_id} is disabled.")


@app.command(epilog="Example: `voxline keys enable 3`")
def enable(key_id: Id, data: Data = None) -> None:
    """Let a disabled key open things again."""
    _with_keys(data, lambda keys: keys.set_state(key_id, State.ACTIVE))
    err().print(f"Key {key_id} is active.")


@app.command(epilog="Example: `voxline keys delete 3`")
def delete(key_id: Id, data: Data = None) -> None:
    """Delete a key for good, and the tokens made with it."""
    _with_keys(data, lambda keys: keys.delete(key_id))
    err().print(f"Key {key_id} is deleted.")


def _with_keys(data: Path | None, work: Callable[[Keys], Awaitable[T]], *, new: bool = False) -> T:
    """Work on the keys of a data directory; only a new key may make one, so that a mistyped name shows."""
    settings = load_settings(data=data)
    if not new and not settings.store_exists:
        hint = f"name the server's data directory with --data, or make a first key: {program()} keys create"
        raise CommandError(f"there is no server's data in {settings.data}", hint)

    async def inside() -> T:
        store = await open_store(settings.database_url)
        try:
            return await work(Keys(store, now=time.time, tick=time.monotonic))
        finally:
            await store.aclose()

    return run(inside())
