"""Whether a dataset's table is still as levelpool left it: hands on a table are told of before a row goes into it."""

from collections.abc import Sequence

from levelpool.ingest.load.target import META_COLUMNS, META_TYPES, FoundTable, Target
from levelpool.sheets.errors import TableChanged
from levelpool.sheets.table import StoredColumn

WAY_ON = "or rename this table in the database and name another dataset for the file; then replay the file"


def check_table(target: Target, name: str, columns: Sequence[StoredColumn], added: Sequence[StoredColumn] = ()) -> FoundTable:
    """
    Raise `TableChanged` unless the table *name* takes rows with the *columns* that the ledger knows, and the columns *added* now.

    It may have other columns besides. Asks the database itself, in the transaction of *target*'s connection, and returns what it says.
    """
    found = target.found_table(name)
    _check_kind(name, found)
    _check_seen(name, found)
    types = _by_name(target, found)
    for lost in (each for each in META_COLUMNS if _key(target, each) not in types):
        raise TableChanged(
            f"the table {name} has no column {lost} any more, by which levelpool finds the rows of a file: nothing was changed; restore it, {WAY_ON}"
        )
    declared = {each: target.storage(kind, 0) for each, kind in META_TYPES.items()} | {column.name: column.storage for column in columns}
    for each, storage in declared.items():
        there = types.get(_key(target, each))
        if there is None:
            raise TableChanged(
                f"the table {name} has no column {each} any more, which was {storage}: nothing was changed; add it again (ALTER TABLE), {WAY_ON}"
            )
        if not target.is_stored_as(storage, there):
            raise TableChanged(
                f"the column {each} of the table {name} was {storage}, and somebody has made it {there or 'a column without a type'}: "
                f"nothing was changed; make it {storage} again (ALTER TABLE), {WAY_ON}"
            )
    for column in columns:
        if _key(target, column.name) in {_key(target, each) for each in found.computed}:
            raise TableChanged(
                f"the column {column.name} of the table {name} is computed by the database now and takes no value: nothing was changed; "
                f"make it {column.storage} again, {WAY_ON}"
            )
    for column in added:
        if _key(target, column.name) in types:
            raise TableChanged(
                f"the table {name} has a column {column.name} that levelpool did not make, and this file brings a column of that name: "
                f"nothing was changed; rename the column in the table, {WAY_ON}"
            )
    return found


def remark_on(name: str, found: FoundTable) -> str:
    """What a person should know of a table that takes rows, but may not keep them as they are; "" of most."""
    if not found.triggers:
        return ""
    return (
        f"the table {name} has a trigger that levelpool did not make ({', '.join(found.triggers)}) and that may change values on their way in: "
        "levelpool verify --deep compares the table with the file"
    )


def check_removable(target: Target, name: str) -> None:
    """Raise `TableChanged` when rows of *name* cannot be removed, because it is no table any more or hides rows from us."""
    found = target.found_table(name)
    _check_kind(name, found)
    _check_seen(name, found)


def check_count(target: Target, name: str, file_id: int, written: int) -> None:
    """
    Raise `TableChanged` unless the table *name* has as many rows of a file as were *written* in this transaction.

    A trigger that somebody added may leave rows out without a word, and so may SQLite's ON CONFLICT.
    """
    there = target.count(name, file_id)
    if there != written:
        raise TableChanged(
            f"the table {name} has {there} rows of this file after {written} were written: a trigger or a constraint that levelpool did not make "
            f"changes what goes in, and nothing was changed; take it away, {WAY_ON}"
        )


def check_readable(target: Target, name: str, columns: Sequence[StoredColumn]) -> None:
    """Raise `TableChanged` when the rows of *name* cannot be shown, because the table or a column of it is gone."""
    found = target.found_table(name)
    if not found.kind:
        _check_kind(name, found)
    _check_seen(name, found)
    types = _by_name(target, found)
    lost = [each for each in (*META_COLUMNS, *(column.name for column in columns)) if _key(target, each) not in types]
    if lost:
        raise TableChanged(
            f"the table {name} has no column {', '.join(lost)} any more: somebody has changed it; add it again (ALTER TABLE) to see its rows"
        )


def _check_kind(name: str, found: FoundTable) -> None:
    if not found.kind:
        raise TableChanged(
            f"the table {name} is gone from the database, and the ledger has a dataset of that name: nothing was changed; "
            "restore it from a backup, or name another dataset for the file, then replay the file"
        )
    if found.kind != "table":
        raise TableChanged(
            f"{name} was a table and is a {found.kind} now: nothing was changed; make it a table again, or name another dataset for the file; then replay the file"
        )


def _check_seen(name: str, found: FoundTable) -> None:
    if found.hides_rows:
        raise TableChanged(
            f"the table {name} has row security now, which hides rows from the role that levelpool connects as: nothing was changed; "
            "give that role BYPASSRLS, or take row security away (ALTER TABLE ... NO FORCE ROW LEVEL SECURITY), then try again"
        )


def _by_name(target: Target, found: FoundTable) -> dict[str, str]:
    return {_key(target, name): kind for name, kind in found.types.items()}


def _key(target: Target, name: str) -> str:
    return target.name_key(name)
