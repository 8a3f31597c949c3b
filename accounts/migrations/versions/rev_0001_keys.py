"""The tables of 0.1: API keys and their tokens.

Databases of that time carry no revision; they are taken to have this one.
"""

from alembic import op
from sqlalchemy import REAL, Column, Double, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

_SECONDS: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")

_tables = MetaData()

api_key = Table(
    "api_key",
    _tables,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("last4", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _SECONDS, nullable=False),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

token = Table(
    "token",
    _tables,
    Column("hash", LargeBinary, primary_key=True),
    Column("key_id", ForeignKey("api_key.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
    sqlite_strict=True,
)
Index("token_expires_at", token.c.expires_at)
Index("token_key_id", token.c.key_id)


def upgrade() -> None:
    """Make them."""
    _tables.create_all(op.get_bind())
