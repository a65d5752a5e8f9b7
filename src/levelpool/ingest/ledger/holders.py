"""
The services of one database, by their signs of life: whether anybody is there who can read the originals of a store.

Every function takes a connection inside a transaction of the caller.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from levelpool.ingest.ledger.holder import mark_of
from levelpool.ingest.ledger.schema import claims, holders

Died = Callable[[str, datetime, datetime], bool]
"""Whether a holder, last seen at one moment, is gone at another; see `has_died`."""

LEASE_OF_STORE = timedelta(seconds=20)
"""A store whose last service was seen longer ago counts as gone; a service that comes back takes its files up again."""
LEASE_OF_UNKNOWN = timedelta(minutes=15)
"""The same for a store that gave no sign of life, as a service of an earlier release does, from the arrival of its file on."""
_LEFT = "left|"
FORGET_AFTER = timedelta(days=7)


def give_sign(connection: sa.Connection, holder: str, store: str) -> None:
    """Say that *holder* lives and can read the originals of *store*."""
    seen = {"seen_at": datetime.now(UTC)}
    if connection.execute(holders.update().where(holders.c.holder == holder).values(seen)).rowcount == 0:
        connection.execute(holders.insert(), {"holder": holder, "store": store} | seen)
        connection.execute(holders.delete().where(holders.c.seen_at < datetime.now(UTC) - FORGET_AFTER))


def leave(connection: sa.Connection, holder: str) -> None:
    """Say that *holder* is there no longer, though its process may live on."""
    connection.execute(holders.update().where(holders.c.holder == holder).values(holder=f"{_LEFT}{holder}"))


def ended(connection: sa.Connection, marks: Collection[str], tokens: Collection[str], died: Died) -> set[str]:
    """Those of these marks and claims whose holder is certainly gone, so that nobody needs their working files."""
    now = datetime.now(UTC)
    found = {
        mark_of(row.holder): row.holder.startswith(_LEFT) or died(row.holder, row.seen_at, now)
        for row in connection.execute(sa.select(holders.c.holder, holders.c.seen_at))
    }
    over: set[str] = set()
    wanted = sorted(tokens)
    for start in range(0, len(wanted), 500):
        query = sa.select(claims.c.token, claims.c.holder, claims.c.renewed_at, claims.c.ended_at)
        some = connection.execute(query.where(claims.c.token.in_(wanted[start : start + 500])))
        over |= {row.token for row in some if row.ended_at is not None or died(row.holder, row.renewed_at, now)}
    return over | {mark for mark in marks if found.get(mark, False)}


def last_seen(connection: sa.Connection, holder: str) -> datetime | None:
    """When *holder* gave its last sign of life; None when it never did."""
    return connection.execute(sa.select(holders.c.seen_at).where(holders.c.holder == holder)).scalar()


def is_served(connection: sa.Connection, store: str, since: datetime, died: Died, *, at_once: bool = False) -> bool:
    """
    Whether a service that can read the originals of *store* is there, or may only be starting anew.

    *since* is when the file came that lies there. With *at_once* a service that has certainly died is not waited for.
    """
    now = datetime.now(UTC)
    found = connection.execute(sa.select(holders.c.holder, holders.c.seen_at).where(holders.c.store == store)).all()
    if not found:
        return now - since <= LEASE_OF_UNKNOWN
    if any(not row.holder.startswith(_LEFT) and not died(row.holder, row.seen_at, now) for row in found):
        return True
    return not at_once and now - max(row.seen_at for row in found) <= LEASE_OF_STORE
