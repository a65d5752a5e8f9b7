"""Somebody changes a dataset's table by hand: the next file is refused in a sentence, and no value changes on its way."""

import re

import pytest
import sqlalchemy as sa

from levelpool.sheets.errors import TableChanged

FIRST = "number,weight,seen\n1000,1.5,2026-11-01 08:00:00\n1001,2.25,2026-11-02 09:30:00\n"
NEXT = "number,weight,seen\n2000,3.5,2026-12-01 08:00:00\n2001,4.25,2026-12-02 09:30:00\n"


async def run(service, *statements: str) -> None:
    def change(connection: sa.Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)

    await service.intake.session.write(change)


async def file_after(service, *statements: str):
    """The record of a file that comes after *statements*."""
    await service.ingest_file(FIRST.encode(), name="parcels.csv")
    await run(service, *statements)
    return await service.ingest_file(NEXT.encode(), name="parcels-2.csv")


CHANGES = {
    "gone column": (["ALTER TABLE parcels DROP COLUMN weight"], "the table parcels has no column weight any more"),
    "other name": (["ALTER TABLE parcels RENAME COLUMN weight TO mass"], "the table parcels has no column weight any more"),
    "gone table": (["DROP TABLE parcels"], "the table parcels is gone from the database"),
    "a view": (
        ["ALTER TABLE parcels RENAME TO kept", "CREATE VIEW parcels AS SELECT * FROM kept"],
        "parcels was a table and is a view now",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_changed_table_takes_no_row_and_is_named(service, change):
    """First load and replay say the same, and it is no fault that should be reported."""
    statements, said = CHANGES[change]
    record = await file_after(service, *statements)

    assert record["status"] == "failed" and record["error_code"] == "table_changed"
    assert said in record["error"] and "nothing was changed" in record["error"] and "replay the file" in record["error"]
    again = await service.replay(record["id"])
    assert again["error"] == record["error"]


async def test_rows_of_a_table_without_a_column_are_refused_by_name(service):
    """Whoever looks at them learns which column is missing."""
    await file_after(service, "ALTER TABLE parcels DROP COLUMN weight")

    with pytest.raises(TableChanged, match="the table parcels has no column weight any more"):
        await service.rows("parcels")


async def test_table_that_was_put_right_takes_the_file(service):
    """The way on that the sentence names."""
    record = await file_after(service, "ALTER TABLE parcels RENAME COLUMN weight TO mass")
    await run(service, "ALTER TABLE parcels RENAME COLUMN mass TO weight")

    assert (await service.replay(record["id"]))["rows_loaded"] == 2


async def test_other_columns_of_a_person_are_left_alone(service):
    """A column that somebody added for notes keeps no file out."""
    record = await file_after(service, "ALTER TABLE parcels ADD COLUMN note text")

    assert record["status"] == "loaded"


async def test_column_of_a_person_is_not_taken_over(service):
    """A file that brings a column of the same name is told so."""
    await service.ingest_file(FIRST.encode(), name="parcels.csv")
    await run(service, "ALTER TABLE parcels ADD COLUMN note text")

    record = await service.ingest_file(b"number,note\n3000,fragile\n", name="parcels-3.csv")

    assert record["error_code"] == "table_changed" and "has a column note that levelpool did not make" in record["error"]


async def test_rule_of_a_person_keeps_rows_out_with_its_words(service):
    """What the database says of its own rule reaches the person who sent the file."""
    rule = {
        "sqlite": "CREATE TRIGGER small BEFORE INSERT ON parcels WHEN NEW.number >= 2000 BEGIN SELECT RAISE(ABORT, 'too large'); END",
        "postgresql": "ALTER TABLE parcels ADD CHECK (number < 2000)",
    }
    record = await file_after(service, rule[service.intake.session.engine.dialect.name])

    assert record["error_code"] == "table_changed" and "somebody has changed a table, or the rights on it, by hand" in record["error"]


SWALLOWS = {
    "sqlite": ["CREATE TRIGGER small BEFORE INSERT ON parcels WHEN NEW.number = 2001 BEGIN SELECT RAISE(IGNORE); END"],
    "postgresql": [
        "CREATE FUNCTION left_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.number = 2001 THEN RETURN NULL; END IF; RETURN NEW; END'",
        "CREATE TRIGGER small BEFORE INSERT ON parcels FOR EACH ROW EXECUTE FUNCTION left_out()",
    ],
}


async def test_trigger_that_leaves_rows_out_loads_nothing(service):
    """The database says nothing of it: the rows are counted before the file is loaded."""
    record = await file_after(service, *SWALLOWS[service.intake.session.engine.dialect.name])

    assert record["error_code"] == "table_changed" and record["rows_loaded"] == 0
    assert "the table parcels has 1 rows of this file after 2 were written" in record["error"]
    assert (await service.rows("parcels"))["total"] == 2


CHANGES_VALUES = {
    "sqlite": ["CREATE TRIGGER doubles AFTER INSERT ON parcels BEGIN UPDATE parcels SET weight = 2 * weight WHERE rowid = NEW.rowid; END"],
    "postgresql": [
        "CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.weight := 2 * NEW.weight; RETURN NEW; END'",
        "CREATE TRIGGER doubles BEFORE INSERT ON parcels FOR EACH ROW EXECUTE FUNCTION doubled()",
    ],
}


async def test_trigger_that_may_change_values_is_named_in_a_remark(service):
    """Whoever made it may want it so; whoever reads the table should know."""
    record = await file_after(service, *CHANGES_VALUES[service.intake.session.engine.dialect.name])

    assert record["status"] == "loaded"
    assert [remark for remark in record["remarks"] if "a trigger that levelpool did not make (doubles)" in remark]


HIDES = ["ALTER TABLE parcels ENABLE ROW LEVEL SECURITY", "ALTER TABLE parcels FORCE ROW LEVEL SECURITY"]


@pytest.mark.postgres
async def test_rows_that_row_security_hides_are_neither_missed_nor_left_behind(postgres_service):
    """To load, to show and to undo are refused alike: an undo would remove nothing and say that it is done."""
    record = await file_after(postgres_service, *HIDES)

    assert record["error_code"] == "table_changed" and "row security" in record["error"]
    for refused in (postgres_service.rows("parcels"), postgres_service.undo(1)):
        with pytest.raises(TableChanged, match="the table parcels has row security now"):
            await refused
    await run(postgres_service, "ALTER TABLE parcels DISABLE ROW LEVEL SECURITY")
    assert (await postgres_service.rows("parcels"))["total"] == 2


@pytest.mark.postgres
async def test_right_that_was_taken_away_is_said_as_that(postgres_service):
    """Trying again later changes nothing."""
    record = await file_after(postgres_service, "REVOKE INSERT ON parcels FROM CURRENT_USER")

    assert record["error_code"] == "table_changed" and "permission denied for table parcels" in record["error"]


TYPES = [
    ("number", "double precision", ""),
    ("number", "numeric", ""),
    ("number", "integer", ""),
    ("weight", "numeric(10,2)", ""),
    ("weight", "text", ""),
    ("seen", "timestamptz", ""),
    ("seen", "date", ""),
    ("seen", "bigint", "USING 1"),
    ("_file_id", "double precision", ""),
    ("_row", "text", ""),
    ("_sheet", "bytea", "USING _sheet::bytea"),
]


@pytest.mark.postgres
async def test_type_that_was_changed_is_named_with_both_types(postgres_service):
    """Binary COPY writes the bytes of the type that was; the server would take many of them for another value."""
    records = []
    for place, (column, kind, using) in enumerate(TYPES):
        name = f"parcels_{'abcdefghijk'[place]}"
        await postgres_service.ingest_file(FIRST.encode(), name=f"{name}.csv", dataset=name)
        await run(postgres_service, f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {kind} {using}")
        records.append(await postgres_service.ingest_file(NEXT.encode(), name=f"{name}.csv", dataset=name))

    for (column, _, _), record in zip(TYPES, records, strict=True):
        assert record["error_code"] == "table_changed" and record["rows_loaded"] == 0
        assert re.search(rf"the column {column} of the table \w+ was .+, and somebody has made it ", record["error"])
