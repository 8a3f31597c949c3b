"""``voxline apps``: make, list and withdraw apps, whose tokens are JSON Web Tokens that expire."""

from typing import Annotated

import typer
from rich.table import Table

from server.accounts import Accounts
from server.commands.terminal import err, out
from server.commands.with_accounts import Data, find_user, moment, with_accounts

_DAY_S = 86_400

Whose = Annotated[str, typer.Option("--user", help="Address or number of the account; none = the owner's.")]
Id = Annotated[str, typer.Argument(help="The app's id in `voxline apps list`.", show_default=False)]
Days = Annotated[int, typer.Option(help="How long the token opens anything.", min=1, max=3650)]

app = typer.Typer(no_args_is_help=True, help="Make, list and withdraw apps.", rich_markup_mode="markdown")


@app.command(epilog="Example: `voxline apps create --name call-centre --days 90`")
def create(
    name: Annotated[str, typer.Option(help="What the app is; shown in the list.")] = "",
    days: Days = 365,
    user: Whose = "",
    data: Data = None,
) -> None:
    """Make an app: prints its id (`app_id`, `App-Id`) and its token, a line each. The token is shown this once."""

    async def work(accounts: Accounts) -> tuple[str, str]:
        made, token = await accounts.apps.create((await find_user(accounts, user)).id, name, days * _DAY_S)
        return made.id, token

    for line in with_accounts(data, work, new=not user):
        out().print(line)


@app.command(epilog="Example: `TOKEN=$(voxline apps renew 2f6c... --days 90)`")
def renew(app_id: Id, days: Days = 365, user: Whose = "", data: Data = None) -> None:
    """Make another token of an app and print it; those it has go on until they end or are withdrawn."""

    async def work(accounts: Accounts) -> str:
        return await accounts.apps.renew((await find_user(accounts, user)).id, app_id, days * _DAY_S)

    out().print(with_accounts(data, work))


@app.command("list", epilog="Example: `voxline apps list --user ann@example.com`")
def list_apps(user: Whose = "", data: Data = None) -> None:
    """List an account's apps and the tokens they have: the token's `kid`, and when it ends."""

    async def work(accounts: Accounts) -> Table:
        owner = await find_user(accounts, user)
        table = Table("app", "name", "state", "token (kid)", "ends", box=None, pad_edge=False)
        for made in await accounts.apps.of(owner.id):
            tokens = await accounts.apps.tokens(owner.id, made.id)
            for token in tokens:
                table.add_row(made.id, made.name, made.state, token.kid, moment(token.expires_at))
            if not tokens:
                table.add_row(made.id, made.name, made.state, "none", "")
        return table

    table = with_accounts(data, work)
    if table.row_count:
        out().print(table)
    else:
        err().print("There is no app yet; make one with: voxline apps create")


@app.command(
    epilog="Example: `voxline apps withdraw 2f6c...` or, one token alone: `voxline apps withdraw 2f6c... --kid x7Yb...`"
)
def withdraw(
    app_id: Id,
    kid: Annotated[str, typer.Option(help="Only the token with this kid; none = all tokens of the app.")] = "",
    user: Whose = "",
    data: Data = None,
) -> None:
    """End an app's tokens at once."""

    async def work(accounts: Accounts) -> int:
        return await accounts.apps.withdraw((await find_user(accounts, user)).id, app_id, kid or None)

    count = with_accounts(data, work)
    err().print(f"{count} {'token is' if count == 1 else 'tokens are'} withdrawn.")
