"""Datasets in PostgreSQL: rows go in by binary COPY, and schema locks are advisory, so that they end with their transaction."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from levelpool.errors import DatabaseError
from levelpool.ingest.changes.tally import Mark
from levelpool.ingest.load.schema import SchemaPlan
from levelpool.ingest.load.target import META_COLUMNS, EncodedRows, FoundTable, Target, quote
from levelpool.sheets.errors import SheetError
from levelpool.sheets.table import ColumnType, StoredColumn

if TYPE_CHECKING:
    import psycopg

_MARKS = 10_000
"""Rows that are fetched at once for their fingerprints."""
_FINGERPRINT = (1 << 62) - 1
_HASHES_RECORDS = (14,)
"""The version from which on the server hashes a whole row, which is faster than as a text."""

MOST_COLUMNS = 1600
"""PostgreSQL's own limit."""

_META = "_file_id bigint NOT NULL, _sheet text NOT NULL, _row bigint NOT NULL"
_META_TYPES = ("int8", "text", "int8")

_COPY_TYPES = {
    ColumnType.BOOLEAN: "bool",
    ColumnType.BIGINT: "int8",
    ColumnType.NUMERIC: "numeric",
    ColumnType.DOUBLE: "float8",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.TIME: "time",
    ColumnType.TEXT: "text",
}

# Whatever takes up a name where a table would be created, and whatever an unqualified name would find first.
_IS_TAKEN = sa.text("""
    SELECT to_regclass(quote_ident(:name)) IS NOT NULL
        OR EXISTS (SELECT FROM pg_class WHERE relname = :name AND relnamespace = current_schema()::regnamespace)
        OR EXISTS (SELECT FROM pg_type WHERE typname = :name AND typnamespace = current_schema()::regnamespace)
""")

_KIND = sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(quote_ident(:name))")
_FOUND = sa.text(
    "SELECT relkind::text, row_security_active(oid), relhastriggers, oid FROM pg_class WHERE oid = to_regclass(quote_ident(:name))"
)
_TRIGGERS = sa.text("""
    SELECT tgname FROM pg_trigger
    WHERE tgrelid = :table AND NOT tgisinternal AND tgenabled NOT IN ('D', 'R') AND tgtype & 4 = 4
    ORDER BY tgname
""")
"""Those that run when rows go in: bit 4 of `tgtype`. Not those of foreign keys, which are internal, nor disabled ones."""
_COLUMNS = sa.text("""
    SELECT attname, format_type(atttypid, atttypmod), attgenerated <> ''
    FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(:name)) AND attnum > 0 AND NOT attisdropped
""")
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "i": "index"}
_FULL_NAMES = {"TIMESTAMP": "timestamp without time zone", "TIME": "time without time zone"}
"""The types whose full name, as the catalogue says it, differs from ours by more than capitals."""

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('levelpool dataset ' || :name, 0))")
_HOLD = sa.text("SELECT pg_advisory_xact_lock_shared(hashtextextended('levelpool dataset ' || :name, 0))")


class PostgresqlTarget(Target):
    """Datasets in the first schema of the search path, behind one connection."""

    most_columns = 1600  # MaxHeapAttributeNumber of the server

    def row_marks(self, name: str, file_id: int, key: Sequence[str], columns: Sequence[StoredColumn]) -> Iterator[Mark]:
        """Fingerprints are taken by the server, so that no more than them is sent; 1.50 is 1.5, as everywhere."""
        others = [each for each in columns if each.name not in key]
        if not others:
            fingerprint = "0::bigint"
        elif (self.connection.dialect.server_version_info or (0,)) >= _HASHES_RECORDS:
            fingerprint = f"hash_record_extended(ROW({', '.join(quote(each.name) for each in others)}), 0)"
        else:
            values = [f"trim_scale({quote(each.name)})" if each.type is ColumnType.NUMERIC else quote(each.name) for each in others]
            fingerprint = f"hashtextextended(ROW({', '.join(values)})::text, 0)"
        listed = ", ".join(["_row", fingerprint, *map(quote, key)])
        statement = f"SELECT {listed} FROM {quote(name)} WHERE _file_id = {int(file_id)} ORDER BY _row"
        with self.driver_errors(statement), self._psycopg().cursor(f"levelpool_marks_{file_id}", binary=True) as cursor:
            cursor.itersize = _MARKS
            cursor.execute(statement)
            rows = cast("Iterator[tuple[Any, ...]]", iter(cursor))
            if len(key) == 1:
                yield from ((row, value, fingerprint & _FINGERPRINT) for row, fingerprint, value in rows)
                return
            for row, fingerprint, *parts in rows:
                yield row, None if None in parts else tuple(parts), fingerprint & _FINGERPRINT

    def numbered_rows(self, name: str, columns: Sequence[str], file_id: int, numbers: Sequence[int]) -> list[tuple[object, ...]]:
        """Rows of one file by their numbers, in its order, in the binary form."""
        listed = ", ".join(map(quote, ["_row", "_sheet", *columns]))
        chosen = ", ".join(map(str, map(int, numbers)))
        statement = f"SELECT {listed} FROM {quote(name)} WHERE _file_id = {int(file_id)} AND _row IN ({chosen}) ORDER BY _row, _sheet"
        with self.driver_errors(statement), self._psycopg().cursor(binary=True) as cursor:
            return cast("list[tuple[object, ...]]", cursor.execute(statement).fetchall())

    def lock_schema(self, name: str) -> None:
        """Wait until nobody changes or fills the table, and keep others from it until the transaction ends."""
        self.connection.execute(_LOCK, {"name": name})

    def hold_schema(self, name: str) -> None:
        """Wait until nobody changes the table's columns, and keep them as they are until the transaction ends."""
        self.connection.execute(_HOLD, {"name": name})

    def hold_table(self, name: str) -> None:
        """Take the lock that writing takes: changing the table by hand waits for the end of the transaction."""
        if self.connection.execute(_KIND, {"name": name}).scalar() in {"r", "p"}:
            self.run(f"LOCK TABLE {quote(name)} IN ROW EXCLUSIVE MODE")

    def found_table(self, name: str) -> FoundTable:
        """As the catalogue says, of whatever an unqualified name finds."""
        found = self.connection.execute(_FOUND, {"name": name}).first()
        if found is None:
            return FoundTable("", {})
        kind, hides_rows, has_triggers, oid = found
        columns = self.connection.execute(_COLUMNS, {"name": name}).all()
        return FoundTable(
            _KINDS.get(kind, "relation"),
            {row[0]: row[1] for row in columns},
            frozenset(row[0] for row in columns if row[2]),
            hides_rows=hides_rows,
            interferes=has_triggers or kind != "r",
            triggers=tuple(self.connection.execute(_TRIGGERS, {"table": oid}).scalars()) if has_triggers else (),
        )

    def is_stored_as(self, declared: str, found: str) -> bool:
        """Whether it is the very type: binary COPY writes the bytes of one type only."""
        return _FULL_NAMES.get(declared, declared.lower()) == found

    def is_taken(self, name: str) -> bool:
        """Whether a relation or a type of that name is there."""
        return bool(self.connection.execute(_IS_TAKEN, {"name": name}).scalar())

    def storage(self, kind: ColumnType, digits: int) -> str:  # noqa: ARG002 (NUMERIC holds every digit)
        """The type's own name."""
        return kind.value

    def create_table(self, name: str, columns: Sequence[StoredColumn]) -> None:
        """Create the table and its index."""
        _check_width(name, columns)
        self.run(f"CREATE TABLE {quote(name)} ({', '.join([_META, *map(_declared, columns)])})")
        self.run(f"CREATE INDEX {quote(f'levelpool_{name}_file')} ON {quote(name)} (_file_id, _row)")

    def alter_table(self, name: str, plan: SchemaPlan) -> None:
        """Add and widen columns, all in one pass over the table."""
        _check_width(name, plan.columns)
        actions = [f"ADD COLUMN {_declared(column)}" for column in plan.added]
        actions += [_retype(before, after) for before, after in plan.retyped]
        self.run(f"ALTER TABLE {quote(name)} {', '.join(actions)}")

    def reshape_table(self, name: str, before: Sequence[StoredColumn], after: Sequence[StoredColumn]) -> None:
        """Drop and add the columns that differ."""
        _check_width(name, after)
        there = {column.name: _declared(column) for column in before}
        wanted = {column.name: _declared(column) for column in after}
        actions = [f"DROP COLUMN {quote(each)}" for each, declared in there.items() if wanted.get(each) != declared]
        actions += [f"ADD COLUMN {declared}" for each, declared in wanted.items() if there.get(each) != declared]
        if actions:
            self.run(f"ALTER TABLE {quote(name)} {', '.join(actions)}")

    def write(self, name: str, columns: Sequence[StoredColumn], rows: EncodedRows) -> None:
        """Write rows by binary COPY. NUMERIC keeps the digits of each number by itself, so none is uneven."""
        names = ", ".join([*META_COLUMNS, *(quote(column.name) for column in columns)])
        statement = f"COPY {quote(name)} ({names}) FROM STDIN (FORMAT binary)"
        with self.driver_errors(statement), self._psycopg().cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(chain(_META_TYPES, (_COPY_TYPES[column.type] for column in columns))))
            write = copy.write_row
            for row in rows.records():
                write(row)

    def _psycopg(self) -> "psycopg.Connection[object]":
        # Only here, where it is in use already: whoever works with SQLite stays without its megabytes.
        import psycopg  # noqa: PLC0415

        raw = self.connection.connection.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise DatabaseError("PostgreSQL is reached through psycopg 3 only: use a postgresql:// URL")
        return raw


def _check_width(name: str, columns: Sequence[StoredColumn]) -> None:
    if len(META_COLUMNS) + len(columns) > MOST_COLUMNS:
        raise SheetError(
            f"{name} would have {len(columns)} columns, and a PostgreSQL table has room for {MOST_COLUMNS - len(META_COLUMNS)}: "
            "split the sheet, or name another dataset"
        )


def _declared(column: StoredColumn) -> str:
    return f"{quote(column.name)} {column.storage}"


def _retype(before: StoredColumn, after: StoredColumn) -> str:
    name = quote(before.name)
    value = name if before.filled else "NULL"
    if before.filled and (before.type, after.type) == (ColumnType.TIMESTAMP, ColumnType.TEXT):
        value = f"replace({name}::text, ' ', 'T')"  # ISO 8601, as everywhere
    return f"ALTER COLUMN {name} TYPE {after.storage} USING {value}::{after.storage}"
