"""``voxline keys``: make, list, disable, enable and delete API keys, beside a running server or without one."""

from typing import Annotated

import typer
from rich.table import Table

from accounts.keys import State
from server.accounts import Accounts
from server.commands.terminal import err, out
from server.commands.with_accounts import Data, find_user, moment, with_accounts

Id = Annotated[int, typer.Argument(help="The key's number in `voxline keys list`.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Make, list, disable and delete API keys.", rich_markup_mode="markdown")


@app.command(epilog="Example: `KEY=$(voxline keys create --name laptop)`")
def create(
    name: Annotated[str, typer.Option(help="What the key is for; shown in the list.")] = "",
    user: Annotated[str, typer.Option(help="Address or number of the account it is for; none = the owner's.")] = "",
    data: Data = None,
) -> None:
    """Make a key and print it, alone on its line. It is shown this once: only its hash is kept."""

    async def work(accounts: Accounts) -> str:
        owner = await find_user(accounts, user)
        return (await accounts.keys.create(name, user_id=owner.id))[0]

    out().print(with_accounts(data, work, new=not user))


@app.command("list", epilog="Example: `voxline keys list`")
def list_keys(
    user: Annotated[str, typer.Option(help="Only the keys of this account (address or number).")] = "",
    data: Data = None,
) -> None:
    """List the keys: number, name, last letters, whose it is, state and age."""

    async def work(accounts: Accounts) -> Table:
        keys = await (accounts.keys.of((await find_user(accounts, user)).id) if user else accounts.keys.all())
        owners = {user_id: (await accounts.users.get(user_id)).email for user_id in {key.user_id for key in keys}}
        table = Table("id", "name", "key", "account", "state", "made", box=None, pad_edge=False)
        for key in keys:
            shown = (f"sk-ov-...{key.last4}", owners[key.user_id], key.state, moment(key.created_at))
            table.add_row(str(key.id), key.name, *shown)
        return table

    table = with_accounts(data, work)
    if table.row_count:
        out().print(table)
    else:
        err().print("There is no key yet; make one with: voxline keys create")


@app.command(epilog="Example: `voxline keys disable 3`")
def disable(key_id: Id, data: Data = None) -> None:
    """Stop a key from opening anything, until it is enabled again; a running server follows within a second."""
    with_accounts(data, lambda accounts: accounts.keys.set_state(key_id, State.DISABLED))
    err().print(f"Key {key_id} is disabled.")


@app.command(epilog="Example: `voxline keys enable 3`")
def enable(key_id: Id, data: Data = None) -> None:
    """Let a disabled key open things again."""
    with_accounts(data, lambda accounts: accounts.keys.set_state(key_id, State.ACTIVE))
    err().print(f"Key {key_id} is active.")


@app.command(epilog="Example: `voxline keys delete 3`")
def delete(key_id: Id, data: Data = None) -> None:
    """Delete a key for good, and the tokens made with it."""
    with_accounts(data, lambda accounts: accounts.keys.delete(key_id))
    err().print(f"Key {key_id} is deleted.")
