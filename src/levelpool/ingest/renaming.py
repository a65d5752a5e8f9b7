"""A dataset gets another name: table, index, view and ledger in one transaction; the former name goes on leading to it."""

from typing import Any

import sqlalchemy as sa

from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files
from levelpool.ingest.load.found_table import check_table
from levelpool.ingest.load.kinds import target_of
from levelpool.sheets.clean.names import check_dataset_name
from levelpool.sheets.errors import NameRefused


def rename_dataset(connection: sa.Connection, name: str, new: str, *, dry_run: bool, actor: str) -> dict[str, Any]:
    """
    Call a dataset *new*, in the transaction of *connection*; with *dry_run* only look whether that can be.

    Returns `name` and `former_names`, newest first. Files that run meanwhile are read again and go to the same table. Raises `NotFound` for an
    unknown dataset, `NameRefused` for a name that is not valid, reserved or taken, and `TableChanged` for a table changed by hand.
    """
    check_dataset_name(new)
    target = target_of(connection)
    for each in sorted({name, new}):
        target.lock_schema(each)
    dataset = registry.get_dataset(connection, name)
    former = registry.former_names_of(connection, dataset.id)
    if new == name:
        return {"name": name, "former_names": former}
    _check_free(connection, dataset, new)
    if target.is_taken(new):
        raise NameRefused(f"the database already has a table or view called {new}, which levelpool did not create: choose another name")
    if dataset.key is not None and target.is_taken(f"{new}_current"):
        raise NameRefused(
            f"the database already has a table or view called {new}_current, which levelpool did not create: choose another name"
        )
    check_table(target, name, dataset.columns)
    if not dry_run:
        target.drop_view(name)
        target.rename_table(name, new)
        if dataset.key is not None:
            target.create_view(new, dataset.key, dataset.columns)
        files.note(connection, actor, "dataset.renamed", dataset=name, to=new)
        registry.rename(connection, dataset.id, name, new)
    return {"name": new, "former_names": [name, *(each for each in former if each != new)]}


def _check_free(connection: sa.Connection, dataset: registry.Dataset, new: str) -> None:
    if registry.find_dataset(connection, new) is not None:
        raise NameRefused(f"there is a dataset {new} already: choose another name")
    owner = registry.led_to(connection, new)
    if owner is not None and owner != dataset.name:
        raise NameRefused(f"{new} is what the dataset {owner} was called before, and still leads there: choose another name")
