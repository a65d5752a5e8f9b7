"""What must change in a table before rows can go in: only more, never less."""

from dataclasses import replace

import pytest

from levelpool.ingest.load.schema import plan_schema
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.sheets.table import Column, ColumnType, StoredColumn

T = ColumnType


def storage(kind: ColumnType, digits: int) -> str:
    return SqliteTarget.storage(None, kind, digits)


def wanted(name: str, kind: ColumnType, **values: object) -> Column:
    return Column(name, name.title(), 0, kind, **{"samples": ("1",)} | values)


def stored(name: str, kind: ColumnType, **values: object) -> StoredColumn:
    return StoredColumn(name, name.title(), 0, kind, **{"storage": storage(kind, 0), "filled": True} | values)


def test_new_table_takes_the_columns_as_they_are():
    """Order, header and type come from the file."""
    plan = plan_schema((), [wanted("id", T.BIGINT), wanted("note", T.TEXT)], storage)

    assert [(column.name, column.position, column.type) for column in plan.columns] == [("id", 0, T.BIGINT), ("note", 1, T.TEXT)]
    assert plan.added == plan.columns


def test_same_columns_change_nothing():
    """The second export of the same kind finds its table ready."""
    assert not plan_schema([stored("id", T.BIGINT)], [wanted("id", T.BIGINT)], storage).changes_table


def test_column_that_is_missing_in_the_file_stays():
    """Its rows have NULL there."""
    plan = plan_schema([stored("id", T.BIGINT), stored("note", T.TEXT)], [wanted("id", T.BIGINT)], storage)

    assert [column.name for column in plan.columns] == ["id", "note"] and not plan.changes_table


@pytest.mark.parametrize(
    ("before", "file", "after"),
    [
        (T.BIGINT, T.NUMERIC, T.NUMERIC),
        (T.DATE, T.TIMESTAMP, T.TIMESTAMP),
        (T.NUMERIC, T.BIGINT, T.NUMERIC),
        (T.TIMESTAMP, T.DATE, T.TIMESTAMP),
        (T.BIGINT, T.TEXT, T.BIGINT),
        (T.TEXT, T.BIGINT, T.TEXT),
        (T.BIGINT, T.DOUBLE, T.BIGINT),
        (T.BOOLEAN, T.BIGINT, T.BOOLEAN),
        (T.NUMERIC, T.DOUBLE, T.NUMERIC),
    ],
)
def test_only_two_types_ever_widen(before, file, after):
    """BIGINT to NUMERIC and DATE to TIMESTAMP lose nothing; any other value that does not fit goes to quarantine."""
    assert plan_schema([stored("x", before)], [wanted("x", file)], storage).columns[0].type is after


def test_column_that_never_held_a_value_takes_the_type_of_the_first_that_has():
    """A blank column of the first export does not make all later numbers text."""
    plan = plan_schema([stored("x", T.TEXT, filled=False)], [wanted("x", T.NUMERIC, digits=4, scale=2)], storage)

    assert plan.columns[0] == StoredColumn("x", "X", 0, T.NUMERIC, "NUMERIC", scale=2, filled=True)


def test_blank_column_of_a_file_decides_nothing():
    """It neither widens nor fills."""
    known = stored("x", T.BIGINT)

    assert plan_schema([known], [wanted("x", T.TEXT, samples=())], storage).columns == (known,)


def test_more_digits_than_a_double_holds_are_stored_as_text_on_sqlite():
    """The sixteenth digit is the first that a double may change."""
    fifteen = plan_schema((), [wanted("x", T.NUMERIC, digits=15)], storage).columns[0]
    sixteen = plan_schema([fifteen], [wanted("x", T.NUMERIC, digits=16)], storage)

    assert fifteen.storage == "NUMERIC"
    assert sixteen.retyped[0][1].storage == "NUMERIC_TEXT"
    assert not plan_schema(sixteen.columns, [wanted("x", T.NUMERIC, digits=3)], storage).changes_table


def test_scale_is_even_only_while_every_file_has_the_same():
    """Otherwise the zeros at the end of a number would be made up."""
    known = stored("x", T.NUMERIC, scale=2)

    assert plan_schema([known], [wanted("x", T.NUMERIC, scale=2)], storage).columns[0].even_scale
    assert plan_schema([known], [wanted("x", T.NUMERIC, scale=3)], storage).columns[0] == replace(known, scale=3, even_scale=False)
