"""Bills of live use say how many sessions run them up, so that a user's limit holds over several servers."""

from alembic import op
from sqlalchemy import REAL, BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeEngine

revision = "0003"
down_revision = "0002"

_SECONDS: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
_UNITS: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

_tables = MetaData()
Table("user_account", _tables, Column("id", Integer, primary_key=True))
Table("hold", _tables, Column("id", Integer, primary_key=True))
_live_session = Table(
    "live_session",
    _tables,
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
    Column("sessions", Integer, nullable=False),
    sqlite_strict=True,
)
Index("live_session_open", _live_session.c.closed_at)


def upgrade() -> None:
    """Whatever was open before was one session."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.add_column("live_session", Column("sessions", Integer, nullable=False, server_default="1"))
        op.alter_column("live_session", "sessions", server_default=None)
        return
    op.drop_index("live_session_open")  # SQLite cannot add such a column: the rows move to a new table
    op.rename_table("live_session", "old_live_session")
    _live_session.create(connection)
    connection.execute(text("INSERT INTO live_session SELECT *, 1 FROM old_live_session"))
    op.drop_table("old_live_session")
