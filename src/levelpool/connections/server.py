"""What a PostgreSQL server allows, and how much of it is in use."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from levelpool.sizing import ConnectionLimit

_OURS = "levelpool"


@dataclass(frozen=True, slots=True)
class ServerConnections:
    """What a PostgreSQL server allows, and how much of it is in use by everybody."""

    max_connections: int
    reserved: int
    """Slots that ordinary roles cannot take."""
    in_use: int
    others: int
    """Of these, what programs other than levelpool have open, as far as this role may see it."""
    role_limit: int | None = None
    """Most connections of our role; None: no limit of its own."""
    role_others: int = 0
    database_limit: int | None = None
    """Most connections to our database; None: no limit of its own."""
    database_others: int = 0
    behind_pooler: bool = False
    """Whether a pooler such as PgBouncer is between us and the server."""

    def limits(self, pooler_connections: int) -> tuple[ConnectionLimit, ...]:
        """Everything that limits our connections; *pooler_connections*: how many a pooler has for us, if there is one."""
        if self.behind_pooler:
            # What others have open may be the pooler's own, which it hands to us next.
            source = f"the pooler's connections {pooler_connections} (LEVELPOOL_POOLER_CONNECTIONS)"
            return (ConnectionLimit(source, pooler_connections, 0, waits=True),)
        found = [ConnectionLimit(f"max_connections {self.max_connections} - reserved {self.reserved}", self.usable, self.others)]
        if self.role_limit is not None:
            found.append(ConnectionLimit(f"connection limit of the role {self.role_limit}", self.role_limit, self.role_others))
        if self.database_limit is not None:
            found.append(
                ConnectionLimit(f"connection limit of the database {self.database_limit}", self.database_limit, self.database_others)
            )
        return tuple(found)

    @property
    def usable(self) -> int:
        """What ordinary roles may have open together."""
        return self.max_connections - self.reserved


# An ordinary role sees a row for every backend of the server, without the details of those that belong to other roles;
# background processes take no slot.
SERVER_CONNECTIONS = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0),
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user),
           (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
           coalesce(application_name, ''),
           coalesce(usesysid = (SELECT oid FROM pg_roles WHERE rolname = session_user), false),
           coalesce(datid = (SELECT oid FROM pg_database WHERE datname = current_database()), false),
           count(*)
    FROM pg_stat_activity WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)
    GROUP BY 5, 6, 7
"""
"""What the server, the role and the database allow, with the open connections by program, of this role or not, to this database or not."""


def count_server_connections(
    rows: Sequence[Sequence[Any]], ours: Collection[str] = (), *, behind_pooler: bool = False
) -> ServerConnections:
    """What *rows* of `SERVER_CONNECTIONS` say; programs named in *ours* are levelpool's, whatever they are called."""
    max_connections, reserved, role_limit, database_limit = rows[0][:4]
    foreign = [row for row in rows if row[4] not in ours and not row[4].startswith(_OURS)]
    return ServerConnections(
        max_connections=max_connections,
        reserved=reserved,
        in_use=sum(row[7] for row in rows),
        others=sum(row[7] for row in foreign),
        role_limit=role_limit if role_limit >= 0 else None,
        role_others=sum(row[7] for row in foreign if row[5]),
        database_limit=database_limit if database_limit >= 0 else None,
        database_others=sum(row[7] for row in foreign if row[6]),
        behind_pooler=behind_pooler,
    )
