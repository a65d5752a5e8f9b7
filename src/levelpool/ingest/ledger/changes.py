"""
What changed between two files of a dataset, as it was found: it stays when the rows of one of them are taken back.

Every function takes a connection inside a transaction of the caller.
"""

import sqlalchemy as sa

from levelpool.ingest.ledger.files import now
from levelpool.ingest.ledger.queries import Json
from levelpool.ingest.ledger.schema import changes


def save_changes(connection: sa.Connection, file_id: int, against: int | None, found: Json, *, is_default: bool) -> None:
    """Keep what was found, in place of what was found before about the same two; *is_default*: it is against the file before."""
    of_pair = (changes.c.file_id == file_id, changes.c.against == (against or 0))
    connection.execute(changes.delete().where(*of_pair))
    values = {"file_id": file_id, "against": against or 0, "is_default": is_default, "found": found, "at": now()}
    connection.execute(changes.insert(), values)


def find_changes(connection: sa.Connection, file_id: int, against: int | None) -> Json | None:
    """What is kept: against the file *against*, or against the one before if there is none given."""
    query = sa.select(changes.c.found).where(changes.c.file_id == file_id)
    wanted = changes.c.is_default if against is None else changes.c.against == against
    found: Json | None = connection.execute(query.where(wanted).order_by(changes.c.id.desc()).limit(1)).scalar()
    return found
