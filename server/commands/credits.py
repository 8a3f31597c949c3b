"""``voxline credits``: what accounts have, and giving them more."""

from typing import Annotated

import typer
from rich.table import Table

from protocol.pricing import credits_text, to_units
from server.accounts import Accounts
from server.commands.terminal import CommandError, err, out
from server.commands.with_accounts import Data, Who, find_user, moment, with_accounts

app = typer.Typer(no_args_is_help=True, help="Show and grant credits.", rich_markup_mode="markdown")


@app.command(epilog="Example: `voxline credits show ann@example.com`")
def show(who: Who, data: Data = None) -> None:
    """Show what an account has: available, held for work under way, and spent."""

    async def work(accounts: Accounts) -> Table:
        user = await find_user(accounts, who)
        async with accounts.store.read() as connection:
            balance = await accounts.ledger.balance(connection, user.id)
        table = Table("account", "available", "held", "spent", box=None, pad_edge=False)
        table.add_row(user.email, *map(credits_text, (balance.available, balance.held, balance.spent)))
        return table

    out().print(with_accounts(data, work))


@app.command(epilog="Example: `voxline credits grant ann@example.com 50000 --note 'invoice 17'`")
def grant(
    who: Who,
    credits: Annotated[str, typer.Argument(help="How many, with 4 decimals at most.", show_default=False)],
    note: Annotated[str, typer.Option(help="Kept with the grant.")] = "granted by an admin",
    data: Data = None,
) -> None:
    """Give an account credits. Prints what is available then."""
    try:
        units = to_units(credits)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if not 0 < units < 10**17:
        raise CommandError("credits must be more than 0, and fewer than 10,000,000,000,000")

    async def work(accounts: Accounts) -> int:
        user = await find_user(accounts, who)
        async with accounts.store.write() as connection:
            await accounts.ledger.grant(connection, user.id, units, note)
            return (await accounts.ledger.balance(connection, user.id)).available

    out().print(credits_text(with_accounts(data, work)))


@app.command(epilog="Example: `voxline credits history ann@example.com --limit 20`")
def history(
    who: Who,
    limit: Annotated[int, typer.Option(help="How many transactions, the latest first.", min=1, max=10_000)] = 50,
    data: Data = None,
) -> None:
    """Show an account's transactions: what each did to what is available, held and spent."""

    async def work(accounts: Accounts) -> Table:
        user = await find_user(accounts, who)
        async with accounts.store.read() as connection:
            moved = await accounts.ledger.history(connection, user.id, limit=limit)
        table = Table("id", "at", "kind", "available", "held", "spent", "for", box=None, pad_edge=False)
        for one in moved:
            amounts = (_signed(one.available), _signed(one.held), _signed(one.spent))
            table.add_row(str(one.id), moment(one.at), one.kind, *amounts, one.subject or one.note)
        return table

    table = with_accounts(data, work)
    if table.row_count:
        out().print(table)
    else:
        err().print("There are no transactions yet.")


def _signed(units: int) -> str:
    return "" if not units else f"{'+' if units > 0 else ''}{credits_text(units)}"
