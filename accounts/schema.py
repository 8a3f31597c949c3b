"""The tables: who may ask, what it costs, what is to be done and what came of it. The one truth (DESIGN section 5).

Times are seconds since 1970. Amounts are integers in units of 1/10,000 credit (``protocol.pricing.UNITS``). Secrets
are kept as SHA-256 only (they carry 190 random bits, so no slow hash is needed), passwords as Argon2id. JSON is kept as
text. The same tables serve SQLite (STRICT) and Postgres; ``accounts.migrations`` makes them, step by step.
"""

from sqlalchemy import (
    DDL,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
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
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

# SQLite's STRICT tables know REAL and INTEGER only, and both have 8 bytes there.
_SECONDS: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
_UNITS: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()


def _table(name: str, *parts: SchemaItem, counted: bool = False) -> Table:
    """A STRICT table; ``counted``: the id of a deleted row never comes back."""
    return Table(name, metadata, *parts, sqlite_strict=True, sqlite_autoincrement=counted)


def _number() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


# -- who may ask -------------------------------------------------------------------------------------

user = _table(
    "user_account",
    _number(),
    Column("email", Text, nullable=False, unique=True),  # lower case
    Column("name", Text, nullable=False),
    Column("password", Text),  # Argon2id; NULL: nobody can log in as this one
    Column("role", Text, nullable=False),  # users.Role
    Column("state", Text, nullable=False),  # users.State
    Column("plan", Text, nullable=False),  # a name of policy.Policy.plans
    Column("limits", Text, nullable=False),  # JSON: what an admin set for this user over the plan
    Column("created_at", _SECONDS, nullable=False),
    counted=True,
)

web_session = _table(
    "web_session",
    Column("hash", LargeBinary, primary_key=True),  # of the cookie
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("confirmed_at", _SECONDS, nullable=False),  # when the password was last given: admins give it again
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
    Column("state", Text, nullable=False),  # keys.State
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

app = _table(  # what B2 and E1 call an App: its tokens are JWTs that expire
    "app",
    Column("id", Text, primary_key=True),  # a UUID
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),  # keys.State
    Column("created_at", _SECONDS, nullable=False),
)
Index("app_user", app.c.user_id)

app_token = _table(  # one signing key for each token, so that one can be withdrawn alone
    "app_token",
    Column("kid", Text, primary_key=True),
    Column("app_id", ForeignKey("app.id", ondelete="CASCADE"), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
)
Index("app_token_app", app_token.c.app_id)

policy = _table(  # what an admin changes while the server runs: policy.Policy, one row
    "policy",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),  # JSON
    Column("changed_at", _SECONDS, nullable=False),
)

voice = _table(  # saved voices (A31)
    "voice",
    _number(),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),  # design or clone
    Column("language", Text, nullable=False),
    Column("instruct", Text, nullable=False),  # a design in words, as A31 shows it
    Column("design", Text, nullable=False),  # JSON of protocol.work.VoiceDesign; "" for a clone
    Column("reference", LargeBinary),  # a clone's sound: 24 kHz mono FLAC
    Column("created_at", _SECONDS, nullable=False),
    counted=True,
)
Index("voice_user", voice.c.user_id)

# -- what it costs -----------------------------------------------------------------------------------

ledger_account = _table(
    "ledger_account",
    _number(),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("kind", Text, nullable=False),  # ledger.Account: four of each user, so that no two users share a row
    Column("balance", _UNITS, nullable=False),  # the sum of its entries, kept in the same transaction
    CheckConstraint("balance >= 0 OR kind = 'issued'", name="ledger_account_not_negative"),
    UniqueConstraint("user_id", "kind", name="ledger_account_of"),
    counted=True,
)

hold = _table(  # credits set aside; resolved exactly once
    "hold",
    _number(),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("subject", Text, nullable=False, unique=True),  # "job:<id>", "session:<id>:<n>"
    Column("amount", _UNITS, nullable=False),
    Column("captured", _UNITS, nullable=False),  # of it, once resolved
    Column("state", Text, nullable=False),  # ledger.HoldState
    Column("created_at", _SECONDS, nullable=False),
    Column("resolved_at", _SECONDS),
    CheckConstraint("amount >= 0 AND captured >= 0 AND captured <= amount", name="hold_amounts"),
    counted=True,
)
Index("hold_user_state", hold.c.user_id, hold.c.state)

ledger_txn = _table(
    "ledger_txn",
    _number(),
    Column("kind", Text, nullable=False),  # ledger.Kind
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("hold_id", ForeignKey("hold.id")),
    Column("note", Text, nullable=False),
    Column("at", _SECONDS, nullable=False),
    UniqueConstraint("hold_id", "kind", name="ledger_txn_once"),
    counted=True,
)
Index("ledger_txn_user_at", ledger_txn.c.user_id, ledger_txn.c.at)
_RESOLVES = ledger_txn.c.kind != "hold"  # a hold is captured or released, and once
Index("ledger_txn_resolved", ledger_txn.c.hold_id, unique=True, sqlite_where=_RESOLVES, postgresql_where=_RESOLVES)

ledger_entry = _table(  # append-only, by triggers; the entries of a transaction sum to zero
    "ledger_entry",
    _number(),
    Column("txn_id", ForeignKey("ledger_txn.id"), nullable=False),
    Column("account_id", ForeignKey("ledger_account.id"), nullable=False),
    Column("amount", _UNITS, nullable=False),
    UniqueConstraint("txn_id", "account_id", name="ledger_entry_once"),
    counted=True,
)
Index("ledger_entry_account", ledger_entry.c.account_id)

live_session = _table(  # a bill of metered streams: its owner beats; one whose owner is gone is settled by the reaper
    "live_session",
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("route", Text, nullable=False),  # pricing.Route
    Column("owner", Text, nullable=False),  # a server process
    Column("beat", Integer, nullable=False),
    Column("hold_id", ForeignKey("hold.id"), nullable=False),  # the one that is open; the last, once closed
    Column("booked", _UNITS, nullable=False),  # quantity used so far, in the route's own unit
    Column("charged", _UNITS, nullable=False),  # what that costs
    Column("captured", _UNITS, nullable=False),  # of that, from holds before
    Column("opened_at", _SECONDS, nullable=False),
    Column("closed_at", _SECONDS),
    Column("sessions", Integer, nullable=False),  # how many run it up, as of the last beat
)
Index("live_session_open", live_session.c.closed_at)

# -- what is to be done ------------------------------------------------------------------------------

job = _table(
    "job",
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("dialect", Text, nullable=False),  # whose wire it came by
    Column("kind", Text, nullable=False),  # protocol.work: speak, dialogue, dub, transcribe, separate
    Column("work", Text, nullable=False),  # JSON of protocol.work.Work
    Column("details", Text, nullable=False),  # JSON: what the dialect wants to say again in its replies
    Column("status", Text, nullable=False),  # jobs.Status
    Column("priority", Integer, nullable=False),  # lower runs earlier
    Column("hold_id", ForeignKey("hold.id"), nullable=False),
    Column("attempt", Integer, nullable=False),  # the fence: raised by every claim
    Column("failures", Integer, nullable=False),  # attempts that were lost or broke; those given back are none
    Column("beat", Integer, nullable=False),  # raised by the worker; a watcher that sees it stand still takes the job
    Column("worker", Text, nullable=False),
    Column("progress", Integer, nullable=False),  # percent
    Column("outcome", Text, nullable=False),  # JSON of protocol.work.Outcome; "" until completed
    Column("error", Text, nullable=False),  # JSON {"code", "message", ...}; "" unless failed
    Column("callback", Text, nullable=False),  # JSON {"url", "style"}; "" for none
    Column("created_at", _SECONDS, nullable=False),
    Column("started_at", _SECONDS),
    Column("finished_at", _SECONDS),
)
Index("job_waiting", job.c.status, job.c.priority, job.c.created_at)
Index("job_user_created", job.c.user_id, job.c.created_at)

idempotency = _table(  # Idempotency-Key: one job for each, for a day
    "idempotency",
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", _SECONDS, nullable=False),
)
Index("idempotency_created_at", idempotency.c.created_at)

artifact = _table(  # files made for users; one no row names is swept
    "artifact",
    Column("name", Text, primary_key=True),  # as in its URL: unguessable
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", ForeignKey("user_account.id"), nullable=False),
    Column("role", Text, nullable=False),  # audio, srt, vtt, txt, json, vocals, instrumental
    Column("media_type", Text, nullable=False),
    Column("size", _UNITS, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
    Column("removed_at", _SECONDS),  # the file is gone, the row says that it was here (410)
)
Index("artifact_job", artifact.c.job_id)
Index("artifact_expires_at", artifact.c.expires_at)
Index("artifact_user", artifact.c.user_id)

webhook = _table(  # the outbox: written in the transaction that finishes the job
    "webhook",
    Column("id", Text, primary_key=True),  # "msg_...": the same over all attempts
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON, as the dialect wants it
    Column("state", Text, nullable=False),  # webhooks.State
    Column("attempt", Integer, nullable=False),
    Column("due_at", _SECONDS, nullable=False),
    Column("answer", Integer, nullable=False),  # the last HTTP status; 0 for none
    Column("created_at", _SECONDS, nullable=False),
)
Index("webhook_due", webhook.c.state, webhook.c.due_at)

webhook_secret = _table(  # "whsec_..." of each user: it signs, so it cannot be kept as a hash
    "webhook_secret",
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
)

# -- what the database itself forbids ----------------------------------------------------------------

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


def append_only(table: str, dialect: str) -> tuple[str, ...]:
    """The statements that make a table one that nothing is changed in or taken from."""
    return tuple(statement.format(table) for statement in _FORBID[dialect])


for _recorded in (ledger_txn, ledger_entry):
    for _dialect in _FORBID:
        for _statement in append_only(_recorded.name, _dialect):
            _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
            event.listen(_recorded, "after_create", _ddl.execute_if(dialect=_dialect))
