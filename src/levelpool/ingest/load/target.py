"""What a database must be able to do to hold datasets: one `Target` per kind of database, in a file of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.ingest.changes.tally import Mark
from levelpool.ingest.load.schema import SchemaPlan
from levelpool.sheets.table import ColumnType, StoredColumn, Value

META_TYPES = {"_file_id": ColumnType.BIGINT, "_sheet": ColumnType.TEXT, "_row": ColumnType.BIGINT}
META_COLUMNS = tuple(META_TYPES)
"""Every table has these first: the file's id, the sheet's name, and the 1-based row of the sheet."""

Misfit = tuple[int, int, str]
"""Index of the row, index of the column, and why the value cannot be stored."""


@dataclass(frozen=True, slots=True)
class SheetRows:
    """Some rows of one sheet, ready to be written."""

    file_id: int
    sheet: str
    numbers: Sequence[int]  # the 1-based row of the sheet, for each value of a column
    columns: Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """The same, column by column, each value as the driver takes it."""

    file_id: int
    sheet: str
    numbers: Sequence[int]
    columns: Sequence[Sequence[object]]
    uneven: frozenset[str] = frozenset()  # NUMERIC columns where a number has other digits behind the point than the column says

    def records(self) -> Iterator[tuple[object, ...]]:
        """The rows as they stand in the table, `META_COLUMNS` first."""
        return zip(repeat(self.file_id), repeat(self.sheet), self.numbers, *self.columns, strict=False)


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table as the database describes it."""

    kind: str  # "table", "view", ...; "" when there is nothing of that name
    types: Mapping[str, str]  # the declared type of each column, by the name that the database finds it by
    computed: frozenset[str] = frozenset()  # columns that take no value
    hides_rows: bool = False  # from the role that we are, by row security
    interferes: bool = True  # whether a trigger, a constraint or a partition may leave rows out
    triggers: tuple[str, ...] = ()  # those that may change a row on its way in


class Target(ABC):
    """One database, through a connection whose transactions belong to the caller."""

    most_columns: int
    """Most columns of one table, our three included."""

    writes_alone = False
    """Whether nobody else can write while a transaction does: what can be done before it begins, should be."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    # ------------------------------------------------------------ what differs from one kind of database to the next

    @abstractmethod
    def lock_schema(self, name: str) -> None:
        """Let nobody else change or fill the table *name* until the transaction ends."""

    @abstractmethod
    def hold_schema(self, name: str) -> None:
        """Let nobody change the columns of *name* until the transaction ends; others may fill it meanwhile."""

    @abstractmethod
    def is_taken(self, name: str) -> bool:
        """Whether anything (table, view, index, ...) of that name is there."""

    @abstractmethod
    def hold_table(self, name: str) -> None:
        """Let nobody, by hand either, change the table until the transaction ends; others may fill it meanwhile."""

    @abstractmethod
    def found_table(self, name: str) -> FoundTable:
        """What the database itself says that *name* is and which columns it has."""

    @abstractmethod
    def is_stored_as(self, declared: str, found: str) -> bool:
        """Whether a column of the type *found* stores values as one that was *declared* does."""

    @abstractmethod
    def storage(self, kind: ColumnType, digits: int) -> str:
        """The declared type of a column whose values have at most *digits* significant digits."""

    @abstractmethod
    def create_table(self, name: str, columns: Sequence[StoredColumn]) -> None:
        """Create the table, with `_file_id`, `_sheet`, `_row` and an index for undo."""

    @abstractmethod
    def alter_table(self, name: str, plan: SchemaPlan) -> None:
        """Add and widen columns; rows keep their values."""

    @abstractmethod
    def reshape_table(self, name: str, before: Sequence[StoredColumn], after: Sequence[StoredColumn]) -> None:
        """Give a table without rows other columns."""

    @abstractmethod
    def write(self, name: str, columns: Sequence[StoredColumn], rows: EncodedRows) -> None:
        """Write rows that were encoded for these columns."""

    # ------------------------------------------------------------ what is the same everywhere

    @staticmethod
    def name_key(name: str) -> str:
        """What two names have in common that the database takes for one."""
        return name

    def be_patient(self, seconds: float) -> None:  # noqa: B027 (most kinds let many write at once)
        """Wait so long for others that write, where a database lets only one write at a time."""

    @classmethod
    def misfits(cls, columns: Sequence[StoredColumn], values: Sequence[Sequence[Value]]) -> list[Misfit]:  # noqa: ARG003
        """Which of the *values*, one sequence for each of *columns*, this kind of database cannot hold although their types fit; mostly none."""
        return []

    @classmethod
    def encode(cls, columns: Sequence[StoredColumn], rows: SheetRows) -> EncodedRows:  # noqa: ARG003 (most drivers take values as they are)
        """The rows as `write` takes them; asks the database nothing. No value may be a misfit."""
        return EncodedRows(rows.file_id, rows.sheet, rows.numbers, rows.columns)

    def insert(self, name: str, columns: Sequence[StoredColumn], rows: SheetRows) -> set[str]:
        """Encode and write; return the NUMERIC columns where a number has other digits behind the point."""
        encoded = self.encode(columns, rows)
        self.write(name, columns, encoded)
        return set(encoded.uneven)

    def create_view(self, name: str, key: Sequence[str], columns: Sequence[StoredColumn]) -> None:
        """Create the view NAME_current: the newest row per key."""
        shown = ", ".join([*META_COLUMNS, *(quote(column.name) for column in columns)])
        newest = f"PARTITION BY {_listed(key)} ORDER BY _file_id DESC, _row DESC, _sheet DESC"
        ranked = f"SELECT {shown}, row_number() OVER ({newest}) AS _rank FROM {quote(name)}"
        self.run(f"CREATE VIEW {quote(f'{name}_current')} AS SELECT {shown} FROM ({ranked}) AS ranked WHERE _rank = 1")

    def drop_view(self, name: str) -> None:
        """Remove the view NAME_current, if it is there."""
        self.run(f"DROP VIEW IF EXISTS {quote(f'{name}_current')}")

    def create_temporary(self, name: str, columns: Sequence[StoredColumn]) -> None:
        """Create a table that nobody else sees, and that goes with the connection."""
        declared = (f"{quote(column.name)} {column.storage}" for column in columns)
        self.run(f"CREATE TEMPORARY TABLE {quote(name)} (_file_id BIGINT, _sheet TEXT, _row BIGINT, {', '.join(declared)})")

    def drop_table(self, name: str) -> None:
        """Remove the table with its index."""
        self.run(f"DROP TABLE {quote(name)}")

    def rename_table(self, name: str, new: str) -> None:
        """Give the table and its index another name."""
        self.run(f"ALTER TABLE {quote(name)} RENAME TO {quote(new)}")
        self.run(f"ALTER INDEX {quote(f'levelpool_{name}_file')} RENAME TO {quote(f'levelpool_{new}_file')}")

    def drop_column(self, name: str, column: str) -> None:
        """Remove a column with its values."""
        self.run(f"ALTER TABLE {quote(name)} DROP COLUMN {quote(column)}")

    def has_values(self, name: str, column: str) -> bool:
        """Whether any row has a value in that column."""
        query = sa.text(f"SELECT 1 FROM {quote(name)} WHERE {quote(column)} IS NOT NULL LIMIT 1")
        return self.connection.execute(query).first() is not None

    def is_only_of(self, name: str, file_id: int) -> bool:
        """Whether no other file has a row there."""
        query = sa.text(f"SELECT 1 FROM {quote(name)} WHERE _file_id <> :id LIMIT 1")
        return self.connection.execute(query, {"id": file_id}).first() is None

    def count(self, name: str, file_id: int) -> int:
        """How many rows of one file are there."""
        query = sa.text(f"SELECT count(*) FROM {quote(name)} WHERE _file_id = :id")
        return int(self.connection.execute(query, {"id": file_id}).scalar_one())

    def count_all(self, name: str) -> int:
        """How many rows are there."""
        return int(self.connection.execute(sa.text(f"SELECT count(*) FROM {quote(name)}")).scalar_one())

    def count_values(self, name: str, column: str) -> tuple[int, int | None]:
        """In how many rows that column has a value, and the first file that has one."""
        query = sa.text(f"SELECT count(*), min(_file_id) FROM {quote(name)} WHERE {quote(column)} IS NOT NULL")
        found = self.connection.execute(query).one()
        return int(found[0]), found[1]

    def count_known(self, name: str, column: str, values: Sequence[object], file_id: int) -> int:
        """How many of these values, as `encode` gives them, stand in that column in rows of other files than this one."""
        marks: sa.BindParameter[object] = sa.bindparam("values", value=list(values), expanding=True)
        of_others = f"FROM {quote(name)} WHERE {quote(column)} IN :values AND _file_id <> :id"
        query = sa.text(f"SELECT count(DISTINCT {quote(column)}) {of_others}").bindparams(marks)
        return int(self.connection.execute(query, {"id": file_id}).scalar_one())

    def newest_rows(self, name: str, columns: Sequence[str], most: int) -> list[tuple[object, ...]]:
        """The values of *columns* in rows of the newest file."""
        newest = f"(SELECT max(_file_id) FROM {quote(name)})"
        query = sa.text(f"SELECT {_listed(columns)} FROM {quote(name)} WHERE _file_id = {newest} LIMIT :most")
        return [tuple(row) for row in self.connection.execute(query, {"most": most})]

    def count_blanks(self, name: str, columns: Sequence[str]) -> tuple[int, int]:
        """How many rows there are, and in how many of them one of *columns* has no value."""
        blank = " OR ".join(f"{quote(column)} IS NULL" for column in columns)
        found = self.connection.execute(sa.text(f"SELECT count(*), count(CASE WHEN {blank} THEN 1 END) FROM {quote(name)}")).one()
        return int(found[0]), int(found[1])

    def has_twice(self, name: str, columns: Sequence[str]) -> bool:
        """Whether a file has two rows with the same values of *columns*, all of them there."""
        filled = " AND ".join(f"{quote(column)} IS NOT NULL" for column in columns)
        grouped = f"GROUP BY {_listed(['_file_id', *columns])} HAVING count(*) > 1"
        query = sa.text(f"SELECT 1 FROM {quote(name)} WHERE {filled} {grouped} LIMIT 1")
        return self.connection.execute(query).first() is not None

    @abstractmethod
    def row_marks(self, name: str, file_id: int, key: Sequence[str], columns: Sequence[StoredColumn]) -> Iterator[Mark]:
        """Each row of one file, in its order: its number, its key (None where a part of it is blank), and a fingerprint of the values of *columns*."""

    def numbered_rows(self, name: str, columns: Sequence[str], file_id: int, numbers: Sequence[int]) -> list[tuple[object, ...]]:
        """Rows of one file by their numbers, in its order: number, sheet, and the values of *columns*."""
        listed = _listed(["_row", "_sheet", *columns])
        query = sa.text(f"SELECT {listed} FROM {quote(name)} WHERE _file_id = :id AND _row IN :numbers ORDER BY _row, _sheet")
        marks: sa.BindParameter[object] = sa.bindparam("numbers", value=list(numbers), expanding=True)
        return [tuple(row) for row in self.connection.execute(query.bindparams(marks), {"id": file_id})]

    def count_alike(self, name: str, columns: Sequence[str], one: int, other: int) -> int:
        """How many different rows of one file are there from another one, too, with the same values in *columns*."""
        listed = _listed(columns)
        rows = f"SELECT {listed} FROM {quote(name)} WHERE _file_id = "
        query = sa.text(f"SELECT count(*) FROM ({rows}:one INTERSECT {rows}:other) AS alike")
        return int(self.connection.execute(query, {"one": one, "other": other}).scalar_one())

    def count_by_sheet(self, name: str) -> dict[tuple[int, str], int]:
        """How many rows of each sheet of each file are there."""
        query = sa.text(f"SELECT _file_id, _sheet, count(*) FROM {quote(name)} GROUP BY _file_id, _sheet")
        return {(row[0], row[1]): int(row[2]) for row in self.connection.execute(query)}

    def rows_between(self, name: str, columns: Sequence[str], rows: EncodedRows) -> dict[int, list[tuple[object, ...]]]:
        """
        The values of *columns* in the rows of the same sheet and file from the first to the last of *rows*, by the row's number.

        Of tables that stand side by side several rows have the same number.
        """
        listed = _listed(["_row", *columns])
        query = sa.text(f"SELECT {listed} FROM {quote(name)} WHERE _file_id = :id AND _sheet = :sheet AND _row BETWEEN :first AND :last")
        bounds = {"id": rows.file_id, "sheet": rows.sheet, "first": rows.numbers[0], "last": rows.numbers[-1]}
        found: dict[int, list[tuple[object, ...]]] = {}
        for row in self.connection.execute(query, bounds):
            found.setdefault(row[0], []).append(tuple(row[1:]))
        return found

    def count_restored(self, name: str, key: Sequence[str], file_id: int) -> int:
        """How many keys would show an older row again if the rows of one file were removed."""
        grouped = f"SELECT 1 FROM {quote(name)} GROUP BY {_listed(key)} HAVING max(_file_id) = :id AND min(_file_id) < :id"
        return int(self.connection.execute(sa.text(f"SELECT count(*) FROM ({grouped}) AS restored"), {"id": file_id}).scalar_one())

    def delete(self, name: str, file_id: int) -> int:
        """Remove the rows of one file; return how many there were."""
        return self.connection.execute(sa.text(f"DELETE FROM {quote(name)} WHERE _file_id = :id"), {"id": file_id}).rowcount

    @contextmanager
    def driver_errors(self, statement: str) -> Iterator[None]:
        """Errors of the driver as SQLAlchemy raises them: whoever explains them knows no other."""
        raw = self.connection.connection.driver_connection
        error_class = self.connection.dialect.loaded_dbapi.Error
        try:
            yield
        except error_class as error:
            lost = bool(getattr(raw, "closed", False))
            raise DBAPIError.instance(
                statement, None, error, error_class, connection_invalidated=lost, dialect=self.connection.dialect
            ) from error

    def run(self, statement: str) -> None:
        """Run one statement that changes the schema."""
        self.connection.exec_driver_sql(statement)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))


def quote(identifier: str) -> str:
    """*identifier* as SQL text."""
    return '"' + identifier.replace('"', '""') + '"'
