"""
Datasets in the ledger: which tables are ours, and what their columns are.

Every function takes a connection inside a transaction of the caller.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa

from levelpool.ingest.ledger.contents import storable
from levelpool.ingest.ledger.files import current_name, now
from levelpool.ingest.ledger.schema import audit, columns, datasets, files, former_names, sheets
from levelpool.sheets.errors import NotFound
from levelpool.sheets.table import Column, ColumnType, StoredColumn

Policy = Literal["row", "cell", "error"]
"""What goes to quarantine with a cell that cannot be loaded: its whole row, the cell alone, or the cell alone if it is an error."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset, and the table of the same name."""

    id: int
    name: str
    key: tuple[str, ...] | None
    policy: Policy
    columns: tuple[StoredColumn, ...]

    def column(self, name: str) -> StoredColumn:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def find_dataset(connection: sa.Connection, name: str) -> Dataset | None:
    """The dataset of that name, or None: a table of that name is then not ours."""
    # PostgreSQL takes no text with this character, not even to look for it.
    row = connection.execute(sa.select(datasets).where(datasets.c.name == name)).one_or_none() if "\0" not in name else None
    if row is None:
        return None
    found = connection.execute(sa.select(columns).where(columns.c.dataset_id == row.id).order_by(columns.c.position))
    return Dataset(row.id, row.name, tuple(row.key) if row.key else None, row.policy, tuple(_column(each) for each in found))


def get_dataset(connection: sa.Connection, name: str) -> Dataset:
    """The dataset of that name; raises `NotFound`, which says what it is called now if it had that name before."""
    dataset = find_dataset(connection, name)
    if dataset is None:
        now_called = led_to(connection, name)
        raise NotFound(f"there is no dataset {name}" + (f": it is called {now_called} now" if now_called else ""))
    return dataset


def led_to(connection: sa.Connection, name: str) -> str | None:
    """What the dataset that was called *name* before is called now; None when none was."""
    query = sa.select(datasets.c.name).join(former_names, former_names.c.dataset_id == datasets.c.id).where(former_names.c.name == name)
    # PostgreSQL takes no text with this character, not even to look for it.
    return connection.execute(query).scalar() if "\0" not in name else None


def former_names_of(connection: sa.Connection, dataset_id: int) -> list[str]:
    """What a dataset was called before, newest first."""
    query = sa.select(former_names.c.name).where(former_names.c.dataset_id == dataset_id)
    return list(connection.execute(query.order_by(former_names.c.until.desc(), former_names.c.name)).scalars())


def rename(connection: sa.Connection, dataset_id: int, name: str, new: str) -> None:
    """Call a dataset *new*, and remember what it was called; a former name that it takes again is its name only."""
    connection.execute(former_names.delete().where(former_names.c.name == new))
    connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(name=new))
    connection.execute(former_names.insert(), {"name": name, "dataset_id": dataset_id, "until": now()})


def _column(row: sa.Row[Any]) -> StoredColumn:
    return StoredColumn(row.name, row.header, row.position, ColumnType(row.type), row.storage, row.scale, row.even_scale, row.filled)


def add_dataset(connection: sa.Connection, name: str, file_id: int) -> int:
    """Record a new dataset without columns; return its id."""
    values = {"name": name, "key": None, "policy": "row", "created_by": file_id, "created_at": now()}
    return int(connection.execute(datasets.insert().returning(datasets.c.id), values).scalar_one())


def save_columns(
    connection: sa.Connection, dataset_id: int, file_id: int, stored: Sequence[StoredColumn], origins: Sequence[Column]
) -> None:
    """Make the ledger say what the table's columns now are; *origins* are the file's columns, with notation and reason."""
    known = set(connection.execute(sa.select(columns.c.name).where(columns.c.dataset_id == dataset_id)).scalars())
    reasons = {column.name: column for column in origins}
    for column in stored:
        values: dict[str, Any] = {
            "type": column.type.value,
            "storage": column.storage,
            "scale": column.scale,
            "even_scale": column.even_scale,
            "filled": column.filled,
        }
        if column.name in known:
            connection.execute(columns.update().where(columns.c.dataset_id == dataset_id, columns.c.name == column.name).values(values))
            continue
        origin = reasons[column.name]
        new = {
            "dataset_id": dataset_id,
            "name": column.name,
            "position": column.position,
            "header": storable(column.header),
            "notation": asdict(origin.notation),
            "why": origin.why,
            "added_by": file_id,
        }
        connection.execute(columns.insert(), values | new)


def replace_columns(
    connection: sa.Connection, dataset_id: int, file_id: int, stored: Sequence[StoredColumn], origins: Sequence[Column]
) -> None:
    """Make the ledger say that the table has these columns and no other; one that stays keeps its number."""
    of_dataset = columns.c.dataset_id == dataset_id
    connection.execute(columns.delete().where(of_dataset, columns.c.name.not_in([each.name for each in stored])))
    save_columns(connection, dataset_id, file_id, stored, origins)
    origin = {each.name: each for each in origins}
    for column in stored:
        values = {"position": column.position, "header": storable(column.header), "notation": asdict(origin[column.name].notation)}
        values |= {"why": origin[column.name].why, "added_by": file_id}
        connection.execute(columns.update().where(of_dataset, columns.c.name == column.name).values(values))


def drop_column(connection: sa.Connection, dataset_id: int, name: str) -> None:
    """Forget one column; those behind it move up."""
    of_dataset = columns.c.dataset_id == dataset_id
    place = connection.execute(columns.delete().where(of_dataset, columns.c.name == name).returning(columns.c.position)).scalar_one()
    connection.execute(columns.update().where(of_dataset, columns.c.position > place).values(position=columns.c.position - 1))


def remove_dataset(connection: sa.Connection, dataset_id: int) -> None:
    """Forget a dataset whose table goes; what was done to it stays in the audit."""
    connection.execute(files.update().where(files.c.dataset_id == dataset_id).values(dataset_id=None))
    connection.execute(columns.delete().where(columns.c.dataset_id == dataset_id))
    connection.execute(former_names.delete().where(former_names.c.dataset_id == dataset_id))
    connection.execute(datasets.delete().where(datasets.c.id == dataset_id))


def only_came_with(connection: sa.Connection, dataset: Dataset, file_id: int) -> bool:
    """Whether a dataset is there for one file alone: it made it, no other file names or fills it, and no person decided about it."""
    made = sa.select(datasets.c.id).where(
        datasets.c.id == dataset.id, datasets.c.created_by == file_id, datasets.c.key.is_(None), datasets.c.policy == "row"
    )
    named = sa.select(files.c.id).where(files.c.id != file_id, current_name == dataset.name)
    filled = sa.select(sheets.c.id).where(sheets.c.file_id != file_id, sheets.c.dataset_id == dataset.id)
    decided = sa.select(audit.c.id).where(audit.c.action.in_(DECIDED), audit.c.dataset_id == dataset.id)
    there = connection.execute(made).first() is not None
    return there and all(connection.execute(query.limit(1)).first() is None for query in (named, filled, decided))


DECIDED = ("dataset.widened", "dataset.key", "dataset.policy", "dataset.renamed")
"""What people decide about a dataset, as the audit calls it."""


def widened(connection: sa.Connection, dataset_id: int) -> set[str]:
    """The columns of a dataset that a person made TEXT for good."""
    query = sa.select(audit.c.detail).where(audit.c.action == "dataset.widened", audit.c.dataset_id == dataset_id)
    return {str(detail["column"]) for detail in connection.execute(query).scalars()}


def save_key(connection: sa.Connection, dataset_id: int, key: Sequence[str]) -> None:
    """Remember which columns name a record; none: no key."""
    connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(key=list(key) or None))


def save_policy(connection: sa.Connection, dataset_id: int, policy: Policy) -> None:
    """Remember what a cell that cannot be loaded keeps out."""
    connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(policy=policy))


def mark_uneven(connection: sa.Connection, dataset_id: int, names: Sequence[str]) -> None:
    """Remember that the values of these NUMERIC columns differ in their digits behind the point."""
    if names:
        connection.execute(columns.update().where(columns.c.dataset_id == dataset_id, columns.c.name.in_(names)).values(even_scale=False))


def datasets_of(connection: sa.Connection, file_id: int) -> list[str]:
    """The datasets that hold rows of this file, as they are called now."""
    query = sa.select(datasets.c.name).join(sheets, sheets.c.dataset_id == datasets.c.id).where(sheets.c.file_id == file_id).distinct()
    return sorted(connection.execute(query).scalars())
