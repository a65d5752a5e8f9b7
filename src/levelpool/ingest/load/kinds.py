"""Which target fits a connection. To add a kind of database, add a file beside this one and a line here."""

import sqlalchemy as sa

from levelpool.errors import DatabaseError
from levelpool.ingest.load.postgresql import PostgresqlTarget
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.ingest.load.target import Target

_TARGETS: dict[str, type[Target]] = {"postgresql": PostgresqlTarget, "sqlite": SqliteTarget}


def target_of(connection: sa.Connection) -> Target:
    """The way to hold datasets in the database behind *connection*; raises `DatabaseError` for a kind that is not known."""
    kind = connection.dialect.name
    if kind not in _TARGETS:
        raise DatabaseError(f"datasets cannot be held in {kind}: use a postgresql:// or sqlite:/// URL")
    return _TARGETS[kind](connection)
