"""``voxline users``: make, list and change accounts, beside a running server or without one."""

from typing import Annotated

import typer
from rich.table import Table

from accounts.policy import Overrides
from accounts.users import Role, State
from protocol.pricing import credits_text
from server.accounts import Accounts
from server.commands.terminal import CommandError, err, out
from server.commands.with_accounts import Data, Who, find_user, moment, new_password, with_accounts

_PAGE = 500

app = typer.Typer(no_args_is_help=True, help="Make, list and change accounts.", rich_markup_mode="markdown")


@app.command(epilog="Example: `echo $PASSWORD | voxline users create ann@example.com --name Ann`")
def create(
    email: Annotated[str, typer.Argument(help="The address to log in with.", show_default=False)],
    name: Annotated[str, typer.Option(help="Shown on the pages.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="May change everything and everybody.")] = False,
    plan: Annotated[str, typer.Option(help="The plan; none = the default one of new accounts.")] = "",
    data: Data = None,
) -> None:
    """Make an account. The password is asked for, or read from standard input. Prints the account's number."""
    password = new_password()

    async def work(accounts: Accounts) -> int:
        await accounts.users.owner()  # whoever comes first, the server keeps an owner
        role = Role.ADMIN if admin else Role.USER
        made = await accounts.users.register(email, password, name, role=role)
        if plan:
            await accounts.users.set_plan(made.id, plan)
        return made.id

    out().print(with_accounts(data, work, new=True))


@app.command("list", epilog="Example: `voxline users list --search example.com`")
def list_users(
    search: Annotated[str, typer.Option(help="Only accounts with this in their address or name.")] = "",
    data: Data = None,
) -> None:
    """List the accounts: number, address, role, state, plan, credits and age."""

    async def work(accounts: Accounts) -> Table:
        table = Table("id", "e-mail", "name", "role", "state", "plan", "credits", "made", box=None, pad_edge=False)
        offset = 0
        while users := await accounts.users.page(limit=_PAGE, offset=offset, search=search):
            offset += len(users)
            async with accounts.store.read() as connection:
                for user in users:
                    credits = credits_text((await accounts.ledger.balance(connection, user.id)).available)
                    row = (str(user.id), user.email, user.name, user.role, user.state, user.plan, credits)
                    table.add_row(*row, moment(user.created_at))
        return table

    table = with_accounts(data, work)
    if table.row_count:
        out().print(table)
    else:
        err().print("There is no such account." if search else "There is no account yet.")


@app.command(epilog="Example: `voxline users passwd owner@localhost`")
def passwd(who: Who, data: Data = None) -> None:
    """Set an account's password, asked for or read from standard input; it is logged out everywhere."""
    password = new_password()

    async def work(accounts: Accounts) -> str:
        user = await find_user(accounts, who)
        await accounts.users.set_password(user.id, password)
        return user.email

    err().print(f"The password of {with_accounts(data, work)} is set.")


@app.command(epilog="Example: `voxline users disable ann@example.com`")
def disable(who: Who, data: Data = None) -> None:
    """Stop an account: its keys, apps and log-ins open nothing, within a second."""
    err().print(f"{_set_state(data, who, State.DISABLED)} is disabled.")


@app.command(epilog="Example: `voxline users enable ann@example.com`")
def enable(who: Who, data: Data = None) -> None:
    """Let a disabled account go on."""
    err().print(f"{_set_state(data, who, State.ACTIVE)} is active.")


@app.command(epilog="Example: `voxline users plan ann@example.com pro`")
def plan(
    who: Who,
    name: Annotated[str, typer.Argument(help="free, pro, enterprise, owner, or one an admin made.")],
    data: Data = None,
) -> None:
    """Put an account on a plan."""

    async def work(accounts: Accounts) -> str:
        user = await find_user(accounts, who)
        await accounts.users.set_plan(user.id, name)
        return user.email

    err().print(f"{with_accounts(data, work)} is on the plan {name}.")


@app.command(epilog="Example: `voxline users limits ann@example.com jobs=4 requests_per_minute=plan`")
def limits(
    who: Who,
    changes: Annotated[
        list[str] | None,
        typer.Argument(help="limit=number; 0 = no limit, `plan` = as the plan says.", metavar="CHANGES"),
    ] = None,
    data: Data = None,
) -> None:
    """Show an account's limits, after changing those that are named."""
    wanted = _parsed(changes or [])

    async def work(accounts: Accounts) -> Table:
        user = await find_user(accounts, who)
        overrides = user.overrides.model_copy(update=wanted)
        if wanted:
            await accounts.users.set_limits(user.id, overrides)
        table = Table("limit", "value", "set by", box=None, pad_edge=False)
        in_force = overrides.over((await accounts.policies.current()).plan(user.plan))
        for name in Overrides.model_fields:
            value = getattr(in_force, name)
            by = f"plan {user.plan}" if getattr(overrides, name) is None else "admin"
            table.add_row(name, str(value) if value else "none", by)
        return table

    out().print(with_accounts(data, work))


@app.command(epilog="Example: `voxline users admin ann@example.com` or `voxline users admin --off ann@example.com`")
def admin(
    who: Who,
    off: Annotated[bool, typer.Option("--off", help="No longer an admin.")] = False,
    data: Data = None,
) -> None:
    """Make an account an admin, or no longer one."""

    async def work(accounts: Accounts) -> str:
        user = await find_user(accounts, who)
        await accounts.users.set_role(user.id, Role.USER if off else Role.ADMIN)
        return user.email

    err().print(f"{with_accounts(data, work)} is {'an ordinary account' if off else 'an admin'} now.")


def _set_state(data: Data, who: str, state: State) -> str:
    async def work(accounts: Accounts) -> str:
        user = await find_user(accounts, who)
        await accounts.users.set_state(user.id, state)
        return user.email

    return with_accounts(data, work)


def _parsed(changes: list[str]) -> dict[str, int | None]:
    wanted: dict[str, int | None] = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in Overrides.model_fields:
            raise CommandError(f"there is no limit {name}", f"the limits are {', '.join(Overrides.model_fields)}")
        if value != "plan" and not (value.isascii() and value.isdecimal() and len(value) < 10):
            raise CommandError(f"{change}: the value must be a whole number, or plan", "0 means no limit")
        wanted[name] = None if value == "plan" else int(value)
    return wanted
