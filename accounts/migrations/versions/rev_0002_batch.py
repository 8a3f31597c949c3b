"""Accounts, the ledger, jobs and what belongs to them: the tables as they were when the batch half came.

Keys that were there already go to the account of the person who runs the server, which this makes.
"""

import time

from alembic import op
from sqlalchemy import (
    DDL,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"

_SECONDS: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
_UNITS: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

_tables = MetaData()


def _table(name: str, *parts: SchemaItem, counted: bool = False) -> Table:
    return Table(name, _tables, *parts, sqlite_strict=True, sqlite_autoincrement=counted)


def _number() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


user = _table(
    "user_account",
    _number(),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password", Text),
    Column("role", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    counted=True,
)

web_session = _table(
    "web_session",
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("confirmed_at", _SECONDS, nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
)
Index("web_session_user", web_session.c.user_id)
Index("web_session_expires_at", web_session.c.expires_at)

api_key = _table(
    "api_key",
    _number(),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("last4", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    counted=True,
)
Index("api_key_user", api_key.c.user_id)

token = _table(
    "token",
    Column("hash", LargeBinary, primary_key=True),
    Column("key_id", ForeignKey("api_key.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
)
Index("token_expires_at", token.c.expires_at)
Index("token_key_id", token.c.key_id)

app = _table(
    "app",
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
)
Index("app_user", app.c.user_id)

app_token = _table(
    "app_token",
    Column("kid", Text, primary_key=True),
    Column("app_id", ForeignKey("app.id", ondelete="CASCADE"), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
)
Index("app_token_app", app_token.c.app_id)

policy = _table(
    "policy",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("changed_at", _SECONDS, nullable=False),
)

voice = _table(
    "voice",
    _number(),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("instruct", Text, nullable=False),
    Column("design", Text, nullable=False),
    Column("reference", LargeBinary),
    Column("created_at", _SECONDS, nullable=False),
    counted=True,
)
Index("voice_user", voice.c.user_id)


ledger_account = _table(
    "ledger_account",
    _number(),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("balance", _UNITS, nullable=False),
    CheckConstraint("balance >= 0 OR kind = 'issued'", name="ledger_account_not_negative"),
    UniqueConstraint("user_id", "kind", name="ledger_account_of"),
    counted=True,
)

hold = _table(
    "hold",
    _number(),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("subject", Text, nullable=False, unique=True),
    Column("amount", _UNITS, nullable=False),
    Column("captured", _UNITS, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("resolved_at", _SECONDS),
    CheckConstraint("amount >= 0 AND captured >= 0 AND captured <= amount", name="hold_amounts"),
    counted=True,
)
Index("hold_user_state", hold.c.user_id, hold.c.state)

ledger_txn = _table(
    "ledger_txn",
    _number(),
    Column("kind", Text, nullable=False),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("hold_id", ForeignKey("hold.id")),
    Column("note", Text, nullable=False),
    Column("at", _SECONDS, nullable=False),
    UniqueConstraint("hold_id", "kind", name="ledger_txn_once"),
    counted=True,
)
Index("ledger_txn_user_at", ledger_txn.c.user_id, ledger_txn.c.at)
_RESOLVES = ledger_txn.c.kind != "hold"
Index("ledger_txn_resolved", ledger_txn.c.hold_id, unique=True, sqlite_where=_RESOLVES, postgresql_where=_RESOLVES)

ledger_entry = _table(
    "ledger_entry",
    _number(),
    Column("txn_id", ForeignKey("ledger_txn.id"), nullable=False),
    Column("account_id", ForeignKey("ledger_account.id"), nullable=False),
    Column("amount", _UNITS, nullable=False),
    UniqueConstraint("txn_id", "account_id", name="ledger_entry_once"),
    counted=True,
)
Index("ledger_entry_account", ledger_entry.c.account_id)

live_session = _table(
    "live_session",
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("route", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("hold_id", ForeignKey("hold.id"), nullable=False),
    Column("booked", _UNITS, nullable=False),
    Column("charged", _UNITS, nullable=False),
    Column("captured", _UNITS, nullable=False),
    Column("opened_at", _SECONDS, nullable=False),
    Column("closed_at", _SECONDS),
)
Index("live_session_open", live_session.c.closed_at)


job = _table(
    "job",
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("dialect", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("work", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("hold_id", ForeignKey("hold.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("callback", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("started_at", _SECONDS),
    Column("finished_at", _SECONDS),
)
Index("job_waiting", job.c.status, job.c.priority, job.c.created_at)
Index("job_user_created", job.c.user_id, job.c.created_at)

idempotency = _table(
    "idempotency",
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", _SECONDS, nullable=False),
)
Index("idempotency_created_at", idempotency.c.created_at)

artifact = _table(
    "artifact",
    Column("name", Text, primary_key=True),
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", _UNITS, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
    Column("removed_at", _SECONDS),
)
Index("artifact_job", artifact.c.job_id)
Index("artifact_expires_at", artifact.c.expires_at)
Index("artifact_user", artifact.c.user_id)

webhook = _table(
    "webhook",
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", _SECONDS, nullable=False),
    Column("answer", Integer, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
)
Index("webhook_due", webhook.c.state, webhook.c.due_at)

webhook_secret = _table(
    "webhook_secret",
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
)


_FORBID = {
    "sqlite": (
        "CREATE TRIGGER {0}_no_update BEFORE UPDATE ON {0} BEGIN SELECT RAISE(ABORT, '{0} is append-only'); END",
        "CREATE TRIGGER {0}_no_delete BEFORE DELETE ON {0} BEGIN SELECT RAISE(ABORT, '{0} is append-only'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION {0}_forbid() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '{0} is append-only'; END $$",
        "CREATE TRIGGER {0}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {0} "
        "FOR EACH STATEMENT EXECUTE FUNCTION {0}_forbid()",
    ),
}


def _append_only(table: str, dialect: str) -> tuple[str, ...]:
    return tuple(statement.format(table) for statement in _FORBID[dialect])


for _recorded in (ledger_txn, ledger_entry):
    for _dialect in _FORBID:
        for _statement in _append_only(_recorded.name, _dialect):
            _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
            event.listen(_recorded, "after_create", _ddl.execute_if(dialect=_dialect))


def upgrade() -> None:
    """Make the new tables, and give each key an owner."""
    connection = op.get_bind()
    _tables.create_all(
        connection, tables=[t for t in _tables.sorted_tables if t not in (api_key, token)], checkfirst=False
    )
    owner = None
    if connection.execute(text("SELECT count(*) FROM api_key")).scalar_one():
        row = {"email": "owner@localhost", "name": "Owner", "role": "admin", "state": "active", "plan": "owner"}
        made = user.insert().values(**row, limits="{}", created_at=time.time()).returning(user.c.id)
        owner = connection.execute(made).scalar_one()
    if connection.dialect.name == "sqlite":
        _rebuild(connection, owner)
    else:
        op.add_column("api_key", Column("user_id", Integer))
        connection.execute(text("UPDATE api_key SET user_id = :owner"), {"owner": owner})
        op.alter_column("api_key", "user_id", nullable=False)
        op.create_foreign_key(
            "api_key_user_id_fkey", "api_key", "user_account", ["user_id"], ["id"], ondelete="CASCADE"
        )
        op.create_index("api_key_user", "api_key", ["user_id"])


def _rebuild(connection: Connection, owner: int | None) -> None:
    """SQLite cannot add such a column: the rows move to new tables. The numbers of deleted keys stay used."""
    for index in ("token_expires_at", "token_key_id"):
        op.drop_index(index)
    op.rename_table("token", "old_token")
    op.rename_table("api_key", "old_api_key")
    _tables.create_all(connection, tables=[api_key, token], checkfirst=False)
    kept = "id, name, hash, last4, state, created_at"
    connection.execute(
        text(f"INSERT INTO api_key (user_id, {kept}) SELECT :owner, {kept} FROM old_api_key"), {"owner": owner}
    )
    connection.execute(text("INSERT INTO token SELECT hash, key_id, expires_at FROM old_token"))
    connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'api_key'"))
    connection.execute(
        text("INSERT INTO sqlite_sequence SELECT 'api_key', seq FROM sqlite_sequence WHERE name = 'old_api_key'")
    )
    op.drop_table("old_token")
    op.drop_table("old_api_key")
