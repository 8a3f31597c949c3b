"""The steps from the tables of an earlier version to those of this one (Alembic; one file in ``versions`` for each).

A database that is up to date is known by its revision alone, and a new one is made from ``accounts.schema`` as it
stands; Alembic is needed, and imported, only where there is something to change. A step never imports the schema: it
says what the tables were like at its time.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, func, inspect, select

from accounts.schema import metadata

HEAD = "0003"
_LOCK = 0x766F786C  # any number: processes that start together change the tables one after the other
_UNVERSIONED = "0001"  # databases from before revisions were written down have the tables of this one

_version = Table(  # as Alembic itself makes it
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class UnknownRevisionError(Exception):
    """The database was made by a later version."""


def bring_up_to_date(connection: Connection) -> None:
    """Make or change the tables as this version needs them, in the transaction that ``connection`` is in."""
    if connection.dialect.name == "postgresql":  # SQLite's write transactions wait for each other anyway
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    revision = _revision(connection)
    if revision == HEAD:
        return
    if revision is None and not inspect(connection).has_table("api_key"):
        metadata.create_all(connection)
        _stamp(connection, HEAD)
        return
    if revision is None:
        _stamp(connection, _UNVERSIONED)
    upgrade(connection, HEAD)


def upgrade(connection: Connection, revision: str) -> None:
    """Go through the steps up to ``revision``. Raises UnknownRevisionError."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    script = ScriptDirectory(str(Path(__file__).parent))
    steps = MigrationContext.configure(connection, opts={"fn": lambda at, _: script._upgrade_revs(revision, at)})
    try:
        with Operations.context(steps):
            steps.run_migrations()
    except CommandError as error:
        raise UnknownRevisionError(f"it was made by a later version of Voxline ({error})") from None


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def _stamp(connection: Connection, revision: str) -> None:
    _version.create(connection, checkfirst=True)
    connection.execute(_version.insert().values(version_num=revision))
