"""Take one import back: its rows go, and with them what they hid; columns and types stay."""

import sqlalchemy as sa

from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files
from levelpool.ingest.load.found_table import check_removable
from levelpool.ingest.load.kinds import target_of


def undo_file(connection: sa.Connection, file_id: int, *, dry_run: bool, actor: str) -> dict[str, int | str]:
    """
    Remove the rows of one file from every dataset, in the transaction of *connection*; with *dry_run* only count.

    `rows_restored` is how many rows of older files NAME_current shows again; datasets without a key have no such view.
    Raises `FileInUse` unless the file is loaded or partial, `NotFound` when there is none.
    """
    status = files.check_undoable(connection, file_id)
    target = target_of(connection)
    removed = restored = 0
    for name in registry.datasets_of(connection, file_id):
        # Nobody may add or replay rows of the same file or widen the table between counting and removing.
        target.lock_schema(name)
        dataset = registry.find_dataset(connection, name)
        if dataset is None:
            continue
        check_removable(target, name)
        if dataset.key is not None:
            restored += target.count_restored(name, dataset.key, file_id)
        removed += target.count(name, file_id) if dry_run else target.delete(name, file_id)
    if not dry_run:
        files.undo(connection, file_id, actor, removed)
        status = "undone"
    return {"id": file_id, "status": status, "rows_removed": removed, "rows_restored": restored}
