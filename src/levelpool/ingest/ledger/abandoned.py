"""
What services that are gone have left: files under a claim, files whose password is lost, files whose original nobody can read any more.

Every function takes a connection inside a transaction of the caller.
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from levelpool.ingest.ledger import holders
from levelpool.ingest.ledger.files import Claimer, leave_running, note, now, same_content
from levelpool.ingest.ledger.holders import Died
from levelpool.ingest.ledger.schema import claims, files

MOST_ATTEMPTS = 3

UNREACHABLE = "original_unreachable"
"""In one word, why a file ended whose original lies in the store of a service that is gone."""


def reclaim(connection: sa.Connection, died: Died) -> list[int]:
    """
    Take the files of dead holders back, so that they can be claimed again; return their ids.

    A file whose holders died again and again is recorded as failed: it may be what kills them.
    """
    query = sa.select(claims.c.token, claims.c.holder, claims.c.renewed_at, files.c.id, files.c.attempts, files.c.status_before)
    query = query.join(files, files.c.claim == claims.c.token).where(files.c.status == "running").order_by(files.c.id)
    taken = []
    for row in connection.execute(query).all():
        if not died(row.holder, row.renewed_at, now()):
            continue
        if row.attempts + 1 >= MOST_ATTEMPTS:
            sentence = f"the service died {row.attempts + 1} times while it worked on this file: it may be too large for this machine"
            before = row.status_before or "failed"
            leave_running(connection, row.id, row.token, before, sentence, error_code="service_died", attempts=row.attempts + 1)
        elif leave_running(connection, row.id, row.token, "pending", None, attempts=row.attempts + 1):
            note(connection, "levelpool", "file.reclaimed", file_id=row.id, holder=row.holder)
            taken.append(row.id)
    return taken + _let_go(connection, died) + end_abandoned(connection, died)


def _let_go(connection: sa.Connection, died: Died) -> list[int]:
    """Let anybody claim the files whose passwords were lost with their holders: the reader says then what is needed."""
    query = sa.select(files.c.id, files.c.held_by, files.c.received_at).where(files.c.status == "pending", files.c.held_by.is_not(None))
    lost = [
        row.id
        for row in connection.execute(query).all()
        if died(row.held_by, holders.last_seen(connection, row.held_by) or row.received_at, now())
    ]
    if lost:
        connection.execute(files.update().where(files.c.id.in_(lost), files.c.status == "pending").values(held_by=None))
    return lost


def end_abandoned(connection: sa.Connection, died: Died) -> list[int]:
    """
    End the files that wait for an original in a store that no service can read any more; return the ids of those that take their place.

    A file that came with the same content elsewhere is pending from then on.
    """
    begun: list[int] = []
    waiting = connection.execute(sa.select(files).where(files.c.status == "pending").order_by(files.c.id)).all()
    gone = {
        row.store: not holders.is_served(connection, row.store, row.received_at, died)
        for row in sorted(waiting, key=lambda row: row.received_at)
    }
    for row in waiting:
        if gone[row.store]:
            abandon(connection, row, "send the file again, or start a service with its data folder")
            begun += _promote(connection, row.id, row.store)
    return begun


def take_up(connection: sa.Connection, store: str) -> list[int]:
    """Make the files of *store* pending again that ended because no service could read it, now that one can; return their ids."""
    query = sa.select(files).where(files.c.store == store, files.c.status == "failed", files.c.error_code == UNREACHABLE, files.c.kept)
    taken = [
        row for row in connection.execute(query.order_by(files.c.id)).all() if same_content(connection, row.id, row.sha256, None) is None
    ]
    again = {"status": "pending", "error": None, "error_code": None, "finished_at": None}
    for row in taken:
        connection.execute(files.update().where(files.c.id == row.id).values(again))
        note(connection, "levelpool", "file.taken_up", file_id=row.id)
    return [row.id for row in taken]


def abandon(connection: sa.Connection, row: sa.Row[Any], way_on: str) -> None:
    """End a file whose original nobody can read; a replay is as it was."""
    sentence = f"the original of {row.name} lies in the data folder of a service that is gone, and nobody else can read it: {way_on}"
    before = row.status_before or "failed"
    if row.status == "running":
        leave_running(connection, row.id, row.claim, before, sentence, error_code=UNREACHABLE)
        return
    options = row.options if row.options_before is None else row.options_before
    values = {
        "status": before, "error": sentence, "error_code": UNREACHABLE, "finished_at": now(), "progress": None,
        "status_before": None, "options": options, "options_before": None, "move_to": None, "held_by": None,
    }  # fmt: skip
    if connection.execute(files.update().where(files.c.id == row.id, files.c.status == "pending").values(values)).rowcount:
        note(connection, "levelpool", "file.failed", file_id=row.id, error=sentence)


def _promote(connection: sa.Connection, file_id: int, store: str) -> list[int]:
    """Let the oldest duplicate of a file that ended, whose original lies elsewhere, take its place."""
    query = sa.select(files.c.id).where(
        files.c.duplicate_of == file_id, files.c.status == "duplicate", files.c.kept, files.c.store != store
    )
    heir = connection.execute(query.order_by(files.c.id).limit(1)).scalar()
    if heir is None:
        return []
    connection.execute(files.update().where(files.c.id == heir).values(status="pending", duplicate_of=None, finished_at=None))
    connection.execute(files.update().where(files.c.duplicate_of == file_id, files.c.status == "duplicate").values(duplicate_of=heir))
    note(connection, "levelpool", "file.took_place", file_id=heir, of=file_id)
    return [heir]


def what_keeps(connection: sa.Connection, ids: Collection[int], claimer: Claimer) -> str:
    """What a call that waits for these files waits for, in one sentence."""
    rows = connection.execute(sa.select(files).where(files.c.id.in_(sorted(ids)[:500])).order_by(files.c.id)).all()
    whys = [
        f"file {row.id} ({row.name}) "
        + (
            "runs in another service"
            if row.status == "running"
            else "lies in the store of another service"
            if row.store != claimer.store
            else "needs a password that another service has"
            if row.held_by not in {None, claimer.holder}
            else "waits for an earlier file"
        )
        for row in rows[:3]
    ]
    more = f", and {len(ids) - len(whys)} more" if len(ids) > len(whys) else ""
    return f"still waiting: {'; '.join(whys)}{more}"
