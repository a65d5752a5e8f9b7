"""How the ledger's tables come to be, step by step: Alembic, run at start on a connection that is handed in."""

from pathlib import Path

import sqlalchemy as sa

from levelpool.errors import DatabaseError
from levelpool.extras import needed_for

VERSION_TABLE = "levelpool_migrations"
# Any fixed number: whoever migrates holds this lock, and the second process finds nothing left to do.
_LOCK = 0x6C76_6C70_6F6F_6C00


def migrate(connection: sa.Connection) -> None:
    """
    Bring the ledger's tables to the newest form; does nothing when they are there already.

    Runs in the transaction of *connection*, which the caller commits. Raises `DatabaseError` when a newer levelpool has been here, and
    for a PostgreSQL database that cannot hold every text.
    """
    # Only who migrates needs it: worker processes stay without it.
    with needed_for("the ledger"):
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        _check_encoding(connection)
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(f"the tables of this database were made by a newer levelpool ({error}): update levelpool") from error


def _check_encoding(connection: sa.Connection) -> None:
    """Raises `DatabaseError` for an encoding in which a cell may have no place."""
    name, encoding = connection.execute(sa.text("SELECT current_database(), current_setting('server_encoding')")).one()
    if encoding != "UTF8":
        raise DatabaseError(
            f"the database {name!r} has the encoding {encoding}, which cannot hold every text of a file: "
            f"give one made by CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'"
        )
