"""The tables: what is kept about who may ask.

Times are seconds since 1970. Secrets are kept as SHA-256 only (they carry 190 random bits, so no slow hash is needed).
"""

from sqlalchemy import REAL, Column, Double, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

# SQLite's STRICT tables know REAL only, and it has 8 bytes there.
_SECONDS: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")

metadata = MetaData()

api_key = Table(
    "api_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("last4", Text, nullable=False),
    Column("state", Text, nullable=False),  # keys.State
    Column("created_at", _SECONDS, nullable=False),
    sqlite_strict=True,
    sqlite_autoincrement=True,  # the id of a deleted key never comes back
)

token = Table(
    "token",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("key_id", ForeignKey("api_key.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", _SECONDS, nullable=False),
    sqlite_strict=True,
)

Index("token_expires_at", token.c.expires_at)
Index("token_key_id", token.c.key_id)
