"""Which columns name a record of a dataset, and the view that shows the newest row of each."""

from collections.abc import Sequence

import sqlalchemy as sa

from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files
from levelpool.ingest.load.kinds import target_of
from levelpool.sheets.errors import NameRefused, NotFound


def set_key(connection: sa.Connection, name: str, key: Sequence[str], *, actor: str) -> None:
    """
    Give a dataset a key and its view NAME_current, in the transaction of *connection*; an empty key removes both.

    Raises `NotFound` for an unknown dataset or column, and `NameRefused` when something that is not ours is called NAME_current.
    """
    target = target_of(connection)
    target.lock_schema(name)
    dataset = registry.get_dataset(connection, name)
    missing = sorted(set(key) - {column.name for column in dataset.columns})
    if missing:
        raise NotFound(f"the dataset {name} has no column {missing[0]}")
    if dataset.key is not None:
        target.drop_view(name)
    elif key and target.is_taken(f"{name}_current"):
        raise NameRefused(f"the database already has a table or view called {name}_current, which levelpool did not create: rename it")
    if key:
        target.create_view(name, key, dataset.columns)
    registry.save_key(connection, dataset.id, key)
    files.note(connection, actor, "dataset.key", dataset=name, key=list(key))
