"""``voxline audit``: whether the books are right."""

import sys

import typer

from accounts.audit import AuditReport
from server.accounts import Accounts
from server.commands.terminal import err, out
from server.commands.with_accounts import Data, with_accounts

EXAMPLES = "Example: `voxline audit` in a nightly job; its exit status is 1 when something is wrong"


def audit(data: Data = None) -> None:
    """Check the ledger against itself, the jobs and the live sessions; says what is wrong, and nothing otherwise."""

    async def work(accounts: Accounts) -> AuditReport:
        async with accounts.store.read() as connection:
            return await accounts.ledger.audit(connection)

    report = with_accounts(data, work)
    for finding in report.findings:
        out().print(finding)
    if not report.clean:
        raise typer.Exit(1)
    if sys.stderr.isatty():  # a nightly job mails whatever is said
        err().print("The books are right.")
