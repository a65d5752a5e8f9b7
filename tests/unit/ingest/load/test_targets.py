"""Tables in SQLite and PostgreSQL: what goes in comes out, and what cannot go in is said."""

from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

import pytest
import sqlalchemy as sa

from levelpool.database import open_connection
from levelpool.ingest.job import explain
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.schema import SchemaPlan
from levelpool.ingest.load.target import SheetRows
from levelpool.sheets.table import ColumnType, StoredColumn

T = ColumnType

VALUES = {
    T.BOOLEAN: (True, False, None),
    T.BIGINT: (999_999_999_999_999_999, -1, None),
    T.NUMERIC: (Decimal("1.10"), Decimal("-0.05"), Decimal(7)),
    T.DOUBLE: (1e300, -0.1, None),
    T.DATE: (date(2026, 11, 2), date(1, 1, 1), date(9999, 12, 31)),
    T.TIMESTAMP: (datetime(2026, 11, 2, 8, 30, 0, 120_000), datetime(1899, 12, 31), None),
    T.TIME: (time(8, 30), time(23, 59, 59, 999_999), None),
    T.TEXT: ("000123", "", "订单 ' \" \\ \t\n; DROP TABLE x --"),
}


@pytest.fixture
def target(database_url):
    with open_connection(database_url) as connection, connection.begin():
        yield target_of(connection)


def column(target, name: str, kind: ColumnType, digits: int = 3, **values: object) -> StoredColumn:
    return StoredColumn(name, name, 0, kind, target.storage(kind, digits), filled=True, **values)


def filled(target, columns, *rows, file_id: int = 1, name: str = "orders"):
    """Create the table unless it is there, and insert *rows*."""
    if not target.is_taken(name):
        target.create_table(name, columns)
    return target.insert(name, columns, SheetRows(file_id, "Sheet 1", range(2, 2 + len(rows)), list(zip(*rows, strict=True))))


def read(target, what: str, name: str = "orders"):
    return [tuple(row) for row in target.connection.execute(sa.text(f'SELECT {what} FROM "{name}" ORDER BY _file_id, _row'))]


@pytest.mark.parametrize("kind", list(T))
def test_values_of_every_type_come_back(target, kind):
    """Each type is stored so that nothing of its values is lost."""
    columns = [column(target, "x", kind)]
    filled(target, columns, *((value,) for value in VALUES[kind]))

    back = [row[0] for row in read(target, "x")]

    if target.connection.dialect.name == "sqlite" and kind in {T.DATE, T.TIMESTAMP, T.TIME}:
        assert back == [None if value is None else value.isoformat() for value in VALUES[kind]]
    else:
        assert [None if value is None else type(expected)(str(value)) if kind is T.NUMERIC else value
                for value, expected in zip(back, VALUES[kind], strict=True)] == list(VALUES[kind])  # fmt: skip


def test_rows_carry_file_sheet_and_row(target):
    """Each row tells where it came from."""
    filled(target, [column(target, "x", T.TEXT)], ("a",), ("b",), file_id=7)

    assert read(target, "_file_id, _sheet, _row, x") == [(7, "Sheet 1", 2, "a"), (7, "Sheet 1", 3, "b")]


def test_integers_fit_into_a_numeric_column(target):
    """A column of a later file may be BIGINT where the table has NUMERIC, up to 18 digits."""
    columns = [column(target, "x", T.NUMERIC)]
    values = (Decimal(123456789012345678), Decimal(5))

    assert target.misfits(columns, [values]) == []
    filled(target, columns, *((value,) for value in values))

    assert [Decimal(row[0]) for row in read(target, "x")] == list(values)


def test_widening_keeps_every_value(target):
    """A whole number stays whole, a date gets its midnight, and the index for undo is still there."""
    old = (column(target, "n", T.BIGINT), column(target, "d", T.DATE), column(target, "t", T.TEXT))
    filled(target, old, (12, date(2026, 11, 2), "x"), (None, None, None))
    new = (column(target, "n", T.NUMERIC), column(target, "d", T.TIMESTAMP), old[2], column(target, "added", T.TEXT))

    target.alter_table("orders", SchemaPlan(new, added=new[3:], retyped=tuple(zip(old[:2], new[:2], strict=True))))
    filled(target, new, (Decimal("0.5"), datetime(2026, 11, 3, 4, 5), "y", "z"), file_id=2)

    midnight = "2026-11-02T00:00:00" if target.connection.dialect.name == "sqlite" else datetime(2026, 11, 2)
    first, blank, last = read(target, "n, d, t, added")
    assert first == (12, midnight, "x", None) and blank == (None, None, None, None) and float(last[0]) == 0.5
    indexes = sa.inspect(target.connection).get_indexes("orders")
    assert [index["column_names"] for index in indexes] == [["_file_id", "_row"]]


def test_column_that_was_never_filled_changes_to_any_type(target):
    """It holds only NULL, so nothing can be lost."""
    old = replace(column(target, "x", T.TEXT), filled=False)
    filled(target, [old], (None,))
    new = column(target, "x", T.TIMESTAMP)

    target.alter_table("orders", SchemaPlan((new,), added=(), retyped=((old, new),)))

    assert read(target, "x") == [(None,)]
    assert not target.has_values("orders", "x")


def test_numbers_become_exact_digits_without_a_change(sqlite_url):
    """On SQLite a column of numbers that must hold a longer one becomes text, digit for digit."""
    with open_connection(sqlite_url) as connection, connection.begin():
        target = target_of(connection)
        old = column(target, "x", T.NUMERIC, scale=2)
        filled(target, [old], (Decimal("1.10"),), (Decimal("-20.00"),), (None,))
        new = column(target, "x", T.NUMERIC, digits=20, scale=2)

        target.alter_table("orders", SchemaPlan((new,), added=(), retyped=((old, new),)))
        filled(target, [new], (Decimal("123456789012345678.90"),), file_id=2)

        assert read(target, "x") == [("1.10",), ("-20.00",), (None,), ("123456789012345678.90",)]


def test_number_with_too_many_digits_is_a_misfit_of_a_number_column(sqlite_url):
    """It would come back changed: its row goes to quarantine."""
    with open_connection(sqlite_url) as connection:
        target = target_of(connection)
        found = target.misfits([column(target, "x", T.NUMERIC)], [(Decimal("0.1234567890123456"), Decimal("0.12"))])

    assert [(row, index) for row, index, _ in found] == [(0, 0)] and "15 significant digits" in found[0][2]


def test_rebuilding_keeps_what_others_added(sqlite_url):
    """A person's own index and view on a table survive a change of type on SQLite."""
    with open_connection(sqlite_url) as connection, connection.begin():
        target = target_of(connection)
        old, new = column(target, "x", T.BIGINT), column(target, "x", T.NUMERIC)
        filled(target, [old], (1,))
        target.run("CREATE INDEX mine ON orders (x)")
        target.run("CREATE VIEW report AS SELECT x FROM orders")

        target.alter_table("orders", SchemaPlan((new,), added=(), retyped=((old, new),)))

        assert connection.execute(sa.text("SELECT x FROM report")).scalar() == 1
        assert "mine" in {index["name"] for index in sa.inspect(connection).get_indexes("orders")}


def test_tables_views_and_indexes_take_up_a_name(target):
    """A dataset must not be called like anything that is there."""
    target.run("CREATE TABLE stock (x integer)")
    target.run("CREATE VIEW report AS SELECT x FROM stock")
    target.run("CREATE INDEX by_x ON stock (x)")

    assert [target.is_taken(name) for name in ("stock", "report", "by_x", "orders")] == [True, True, True, False]


def test_deleting_takes_one_file_only(target):
    """Undo of one import leaves the rows of all others."""
    columns = [column(target, "x", T.TEXT)]
    filled(target, columns, ("a",), ("b",), file_id=1)
    filled(target, columns, ("c",), file_id=2)

    assert (target.count("orders", 1), target.delete("orders", 1), target.count("orders", 1)) == (2, 2, 0)
    assert read(target, "x") == [("c",)]


def test_view_shows_the_newest_row_per_key(target):
    """The highest file, then the highest row; and undo brings the older row back."""
    columns = [column(target, "id", T.BIGINT), column(target, "x", T.TEXT)]
    filled(target, columns, (1, "old"), (2, "only"), file_id=1)
    filled(target, columns, (1, "first"), (1, "newest"), (3, "new"), file_id=2)
    target.create_view("orders", ["id"], columns)

    assert sorted(read(target, "id, x", "orders_current")) == [(1, "newest"), (2, "only"), (3, "new")]
    assert target.count_restored("orders", ["id"], 2) == 1
    target.delete("orders", 2)
    assert sorted(read(target, "id, x", "orders_current")) == [(1, "old"), (2, "only")]


def test_uneven_digits_behind_the_point_are_noticed_on_sqlite(sqlite_url):
    """A number in SQLite forgets its zeros at the end, so the ledger has to know whether there were any."""
    with open_connection(sqlite_url) as connection, connection.begin():
        target = target_of(connection)
        columns = [column(target, "even", T.NUMERIC, scale=2), column(target, "uneven", T.NUMERIC, scale=2)]

        assert filled(target, columns, (Decimal("1.10"), Decimal("1.1")), (None, None)) == {"uneven"}


@pytest.mark.postgres
def test_row_that_the_server_refuses_is_told_in_a_sentence(postgres_url):
    """What the driver raises while rows are copied is explained like any other error of the database."""
    with open_connection(postgres_url) as connection:
        target = target_of(connection)
        columns = [column(target, f"x{number}", T.BIGINT) for number in range(1100)]

        with pytest.raises(sa.exc.DBAPIError) as caught:
            filled(target, columns, (1,) * 1100)

    assert "row is too big" in str(explain(caught.value))
