"""
Datasets in SQLite.

SQLite has five ways to store a value, and a column's declared type only leans towards one; so each value is bound with the storage
class of its column: integers and booleans as INTEGER, dates and times as ISO 8601 text, NUMERIC as a number while 15 digits are
enough for every value (a double holds so many exactly), else as text in a column declared NUMERIC_TEXT.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from typing import Any

import sqlalchemy as sa

from levelpool.errors import DatabaseError
from levelpool.ingest.changes.tally import Mark
from levelpool.ingest.load.schema import SchemaPlan
from levelpool.ingest.load.target import META_COLUMNS, EncodedRows, FoundTable, Misfit, SheetRows, Target, quote
from levelpool.sheets.table import ColumnType, StoredColumn, Value

EXACT_DIGITS = 15
"""A double holds every decimal number of so many significant digits."""

NUMERIC_TEXT = "NUMERIC_TEXT"

_TRIGGERS = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:name) ORDER BY name")
_OF_INSERTS = re.compile(r"\bINSERT\s+ON\b", re.IGNORECASE)

_COMPUTED = frozenset({2, 3})
"""What `table_xinfo` says of generated columns, virtual and stored, in its field `hidden`."""

_STORAGE = {
    ColumnType.BOOLEAN: "INTEGER",
    ColumnType.BIGINT: "INTEGER",
    ColumnType.DOUBLE: "REAL",
    ColumnType.DATE: "TEXT",
    ColumnType.TIMESTAMP: "TEXT",
    ColumnType.TIME: "TEXT",
    ColumnType.TEXT: "TEXT",
}

_META = '"_file_id" INTEGER NOT NULL, "_sheet" TEXT NOT NULL, "_row" INTEGER NOT NULL'


_FINGERPRINT = (1 << 62) - 1
"""The bits of a fingerprint: without a sign."""
_MOST_ARGUMENTS = 100
"""Of a function of SQLite, by default."""


class SqliteTarget(Target):
    """Datasets in the SQLite file behind one connection."""

    most_columns = 2000  # SQLITE_MAX_COLUMN, as Python's builds have it
    writes_alone = True

    def lock_schema(self, name: str) -> None:
        """Nothing to do: a transaction that writes has the whole file."""

    hold_schema = hold_table = lock_schema

    def found_table(self, name: str) -> FoundTable:
        """As `sqlite_master` and `table_xinfo` say; names are found in any case."""
        query = sa.text("SELECT type FROM sqlite_master WHERE lower(name) = lower(:name)")
        kind = self.connection.execute(query, {"name": name}).scalar()
        found = self.connection.exec_driver_sql(f"PRAGMA table_xinfo({quote(name)})").all()
        types = {row[1]: row[2] for row in found}
        triggers = tuple(row[0] for row in self.connection.execute(_TRIGGERS, {"name": name}) if _OF_INSERTS.search(row[1]))
        return FoundTable(kind or "", types, frozenset(row[1] for row in found if row[6] in _COMPUTED), triggers=triggers)

    @staticmethod
    def name_key(name: str) -> str:
        """SQLite does not tell capitals of ASCII from small letters."""
        return "".join(letter.lower() if letter.isascii() else letter for letter in name)

    def is_stored_as(self, declared: str, found: str) -> bool:
        """Whether both lean towards the same way to store a value."""
        return _affinity(declared) == _affinity(found)

    def is_taken(self, name: str) -> bool:
        """Whether anything of that name is there; SQLite does not tell upper from lower case."""
        query = sa.text("SELECT 1 FROM sqlite_master WHERE lower(name) = lower(:name)")
        return self.connection.execute(query, {"name": name}).first() is not None

    def storage(self, kind: ColumnType, digits: int) -> str:
        """INTEGER, REAL, TEXT, NUMERIC or NUMERIC_TEXT."""
        if kind is ColumnType.NUMERIC:
            return "NUMERIC" if digits <= EXACT_DIGITS else NUMERIC_TEXT
        return _STORAGE[kind]

    def create_table(self, name: str, columns: Sequence[StoredColumn]) -> None:
        """Create the table and its index."""
        self._create(name, columns)
        self.run(f"CREATE INDEX {quote(f'levelpool_{name}_file')} ON {quote(name)} (_file_id, _row)")

    def _create(self, name: str, columns: Sequence[StoredColumn]) -> None:
        self.run(f"CREATE TABLE {quote(name)} ({', '.join([_META, *map(_declared, columns)])})")

    def alter_table(self, name: str, plan: SchemaPlan) -> None:
        """Add columns in place; a column that changes its type makes the table anew, as SQLite wants it."""
        if plan.retyped:
            self._rebuild(name, plan)
            return
        for column in plan.added:
            self.run(f"ALTER TABLE {quote(name)} ADD COLUMN {_declared(column)}")

    def rename_table(self, name: str, new: str) -> None:
        """An index cannot be renamed here: it is made anew."""
        self.run(f"DROP INDEX IF EXISTS {quote(f'levelpool_{name}_file')}")
        self.run(f"ALTER TABLE {quote(name)} RENAME TO {quote(new)}")
        self.run(f"CREATE INDEX {quote(f'levelpool_{new}_file')} ON {quote(new)} (_file_id, _row)")

    def reshape_table(self, name: str, before: Sequence[StoredColumn], after: Sequence[StoredColumn]) -> None:  # noqa: ARG002
        """Make the table anew, as SQLite wants it."""
        self._rebuild(name, SchemaPlan(tuple(after), tuple(after), ()))

    def _rebuild(self, name: str, plan: SchemaPlan) -> None:
        attached = sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = :name AND type IN ('index', 'trigger') AND sql IS NOT NULL")
        statements = list(self.connection.execute(attached, {"name": name}).scalars())
        before = {after.name: before for before, after in plan.retyped}
        added = {column.name for column in plan.added}
        kept = [column for column in plan.columns if column.name not in added]
        fresh = f"levelpool_rebuild_{name}"
        self._create(fresh, plan.columns)
        targets = ", ".join([*META_COLUMNS, *(quote(column.name) for column in kept)])
        sources = ", ".join([*META_COLUMNS, *(_converted(before.get(column.name, column), column) for column in kept)])
        self.run(f"INSERT INTO {quote(fresh)} ({targets}) SELECT {sources} FROM {quote(name)} ORDER BY rowid")
        self.run(f"DROP TABLE {quote(name)}")
        # Otherwise a view of somebody else that reads this table would stop the renaming.
        self.run("PRAGMA legacy_alter_table=ON")
        self.run(f"ALTER TABLE {quote(fresh)} RENAME TO {quote(name)}")
        self.run("PRAGMA legacy_alter_table=OFF")
        for statement in statements:
            self.run(statement)

    def be_patient(self, seconds: float) -> None:
        """Wait so long for the write lock: another import may hold it for all its rows."""
        self._driver().execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    @classmethod
    def misfits(cls, columns: Sequence[StoredColumn], values: Sequence[Sequence[Value]]) -> list[Misfit]:
        """Numbers with more digits than a double holds, in columns of numbers."""
        found: list[Misfit] = []
        for index, (column, numbers) in enumerate(zip(columns, values, strict=True)):
            if column.storage == "NUMERIC" and not _are_short(numbers):
                found += [(number, index, _TOO_EXACT) for number, value in enumerate(numbers) if _is_too_exact(value)]
        return found

    @classmethod
    def encode(cls, columns: Sequence[StoredColumn], rows: SheetRows) -> EncodedRows:
        """Each value with the storage class of its column."""
        by_column = dict(zip(columns, rows.columns, strict=True))
        bound = [list(_BINDERS.get(_class_of(column), _as_it_is)(of_column)) for column, of_column in by_column.items()]
        uneven = (column.name for column, of_column in by_column.items() if column.storage == "NUMERIC" and not _is_even(column, of_column))
        return EncodedRows(rows.file_id, rows.sheet, rows.numbers, bound, frozenset(uneven))

    def write(self, name: str, columns: Sequence[StoredColumn], rows: EncodedRows) -> None:
        """Write rows, with one prepared statement for all of them."""
        names = ", ".join([*META_COLUMNS, *(quote(column.name) for column in columns)])
        marks = ", ".join(repeat("?", len(META_COLUMNS) + len(columns)))
        statement = f"INSERT INTO {quote(name)} ({names}) VALUES ({marks})"
        with self.driver_errors(statement):
            self._driver().executemany(statement, rows.records())

    def row_marks(self, name: str, file_id: int, key: Sequence[str], columns: Sequence[StoredColumn]) -> Iterator[Mark]:
        """
        Fingerprints are taken here, of many values as one text, which is faster: a column stores equal values alike.

        Doubles stand by themselves, for that text has fifteen digits of them, as many as the other numbers have at most.
        """
        others = [column for column in columns if column.name not in key]
        doubles = [quote(column.name) for column in others if column.type is ColumnType.DOUBLE]
        rest = [quote(column.name) for column in others if column.type is not ColumnType.DOUBLE]
        texts = [
            f"json_array({', '.join(part)})" for part in (rest[at : at + _MOST_ARGUMENTS] for at in range(0, len(rest), _MOST_ARGUMENTS))
        ]
        listed = ", ".join([*map(quote, ["_row", *key]), *texts, *doubles])
        found = self._driver().execute(f"SELECT {listed} FROM {quote(name)} WHERE _file_id = ? ORDER BY _row", (file_id,))
        first = 1 + len(key)
        if len(key) == 1:
            return ((row[0], row[1], hash(row[2:]) & _FINGERPRINT) for row in found)
        return ((row[0], None if None in row[1:first] else row[1:first], hash(row[first:]) & _FINGERPRINT) for row in found)

    def _driver(self) -> Any:
        raw = self.connection.connection.driver_connection
        if raw is None:
            raise DatabaseError("the connection to the database is closed")
        return raw


def _affinity(declared: str) -> str:
    """The way to store a value that a declared type leans towards, by the rules of SQLite (https://sqlite.org/datatype3.html, 3.1)."""
    said = declared.upper()
    rules = (("INTEGER", ("INT",)), ("TEXT", ("CHAR", "CLOB", "TEXT")), ("BLOB", ("BLOB",)), ("REAL", ("REAL", "FLOA", "DOUB")))
    return next((affinity for affinity, parts in rules if any(part in said for part in parts)), "NUMERIC" if said else "BLOB")


def _declared(column: StoredColumn) -> str:
    return f"{quote(column.name)} {column.storage}"


def _converted(before: StoredColumn, after: StoredColumn) -> str:
    """The old column, as the new one stores its values."""
    name = quote(before.name)
    if before.type is ColumnType.DATE and after.type is ColumnType.TIMESTAMP:
        return f"{name} || 'T00:00:00'"
    if after.storage in {NUMERIC_TEXT, "TEXT"} and before.storage == "NUMERIC" and before.even_scale:
        return f"CASE WHEN {name} IS NOT NULL THEN printf('%.{before.scale}f', {name}) END"
    if after.type is ColumnType.TEXT and before.type is ColumnType.BOOLEAN:
        return f"CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
    if after.type is ColumnType.TEXT and before.type is ColumnType.DOUBLE:
        # SQLite writes 15 digits, which may be too few to be the same number again.
        return f"CASE WHEN CAST(CAST({name} AS TEXT) AS REAL) = {name} THEN CAST({name} AS TEXT) ELSE printf('%.17g', {name}) END"
    if after.storage in {NUMERIC_TEXT, "TEXT"} and before.filled:
        return f"CAST({name} AS TEXT)"
    return name if before.filled else "NULL"


# ---------------------------------------------------------------- values, one column at a time

_TOO_EXACT = f"the number has more than {EXACT_DIGITS} significant digits, which this column cannot hold"
_WHOLE = 10**EXACT_DIGITS
_MOST_INTEGER = 2**63


def _is_too_exact(value: Value) -> bool:
    if not isinstance(value, Decimal) or len(value.as_tuple().digits) <= EXACT_DIGITS:
        return False
    return abs(value) >= _MOST_INTEGER or value != value.to_integral_value()


def _is_even(column: StoredColumn, values: Sequence[Value]) -> bool:
    """Whether all numbers have as many digits behind the point as the column says."""
    return all(map(Decimal(1).scaleb(-column.scale).same_quantum, (value for value in values if isinstance(value, Decimal))))


def _class_of(column: StoredColumn) -> str:
    return column.storage if column.type is ColumnType.NUMERIC else column.type


def _are_short(numbers: Sequence[Value]) -> bool:
    """Whether each has so few characters that it cannot have too many digits; one look at a column spares one at each value."""
    return max(map(len, map(str, numbers)), default=0) <= EXACT_DIGITS


def _as_it_is(values: Sequence[Value]) -> Iterable[object]:
    return values


def _number(values: Sequence[Any]) -> Iterable[object]:
    if _are_short(values):
        return [None if value is None else float(value) for value in values]
    return [None if value is None else _bind_number(value) for value in values]


def _bind_number(value: Decimal) -> float | int:
    # Beyond 15 digits only whole numbers come here, and only as an integer they are exact.
    return int(value) if _WHOLE <= abs(value) < _MOST_INTEGER else float(value)


def _digits(values: Sequence[Any]) -> Iterable[object]:
    return [None if value is None else f"{value:f}" for value in values]


def _iso(values: Sequence[Any]) -> Iterable[object]:
    return [None if value is None else value.isoformat() for value in values]


_BINDERS: dict[str, Callable[[Sequence[Any]], Iterable[object]]] = {
    "NUMERIC": _number,
    NUMERIC_TEXT: _digits,
    ColumnType.DATE: _iso,
    ColumnType.TIMESTAMP: _iso,
    ColumnType.TIME: _iso,
}
