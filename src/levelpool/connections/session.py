"""
What holds for a PostgreSQL session of ours, and how the same holds behind a pooler.

A pooler such as PgBouncer in transaction mode lends a session for one transaction; the next one of ours runs in another session, and what
we set stays with strangers. So nothing is said at the start of a connection, whoever answers. The first question tells a pooler from the
server: the process number in the key for cancelling (BackendKeyData) is a number of the pooler's own, and differs from `pg_backend_pid()`.
Behind one each transaction sets for itself what else the session would keep, and no statement is prepared.
https://www.pgbouncer.org/features.html has what a session may not use there.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from levelpool.errors import DatabaseError

CLIENT_CHECK = 1.0
"""Seconds after which a PostgreSQL server (14 or newer) notices, while it computes, that the process it computes for is gone."""
_BEHIND_POOLER = "levelpool_behind_pooler"


def is_behind_pooler(entry: ConnectionPoolEntry | sa.PoolProxiedConnection) -> bool:
    """Whether a pooler answered when this connection of a prepared engine was opened."""
    return _BEHIND_POOLER in entry.info


def prepare_sessions(engine: sa.Engine, statement_timeout: float | None, *, says_encoding: bool = False) -> None:
    """
    Let each connection of *engine*, of psycopg, end statements after *statement_timeout* seconds (None: never) and those of a killed process.

    A connection to a database without an encoding raises `DatabaseError`, unless its URL *says_encoding*.
    """
    session = _Session(statement_timeout, says_encoding)
    sa.event.listen(engine, "connect", session.opened)
    sa.event.listen(engine, "begin", session.begun)


@dataclass(frozen=True, slots=True)
class _Session:
    statement_timeout: float | None
    says_encoding: bool

    def opened(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        driver = connection.driver_connection if hasattr(connection, "driver_connection") else connection
        if not self.says_encoding and driver.info.parameter_status("server_encoding") == "SQL_ASCII":
            # The driver would answer bytes where SQLAlchemy and every program expect texts.
            name = driver.info.dbname
            connection.close()
            raise DatabaseError(
                f"the database {name!r} has the encoding SQL_ASCII, which does not say how the bytes of its texts are to be read: "
                "say it in the URL (?client_encoding=utf8, latin1, ...), or use one made by CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'"
            )
        connection.autocommit = True  # a transaction would cost two round trips more
        cursor = connection.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchone()[0] != driver.info.backend_pid:
            entry.info[_BEHIND_POOLER] = True
            driver.prepare_threshold = None
        elif settings := self._settings(driver):
            cursor.execute("; ".join(f"SET {name} = {value}" for name, value in settings))
        cursor.close()
        connection.autocommit = False

    def begun(self, connection: sa.Connection) -> None:
        pooled = connection.connection
        driver: Any = pooled.driver_connection
        if not is_behind_pooler(pooled) or driver.autocommit:
            return
        if settings := self._settings(driver):
            _execute(connection, "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings))

    def _settings(self, driver: Any) -> list[tuple[str, int]]:
        settings = []
        if self.statement_timeout is not None:
            settings.append(("statement_timeout", round(self.statement_timeout * 1000)))
        # A server that computes does not look whether its client still lives: the statement of a killed process would go on, and hold
        # its connection. Older servers than 14 cannot look.
        if driver.info.server_version >= 140_000:
            settings.append(("client_connection_check_interval", round(CLIENT_CHECK * 1000)))
        return settings


def _execute(connection: sa.Connection, statement: str) -> None:
    # With the driver's cursor: SQLAlchemy would begin a transaction for it, of which this is the beginning.
    dbapi: Any = connection.connection.dbapi_connection
    try:
        cursor = dbapi.cursor()
        cursor.execute(statement)
        cursor.close()
    except connection.dialect.loaded_dbapi.Error as error:
        gone = connection.dialect.is_disconnect(error, dbapi, None)
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, connection.dialect.loaded_dbapi.Error, connection_invalidated=gone, dialect=connection.dialect
        ) from error
