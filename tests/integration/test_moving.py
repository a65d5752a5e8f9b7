"""A loaded file is moved to another dataset by a replay, whole or not at all."""

import pytest

from levelpool.sheets.errors import FileInUse, NameRefused

PARCELS = b"parcel,town,kilos\nP1,Graz,3\nP2,Linz,5\n"
MORE = b"parcel,town,kilos\nP3,Wels,2\n"


async def totals(service) -> dict[str, int]:
    return {each["name"]: each["rows"] for each in (await service.datasets())["datasets"]}


async def test_moved_file_leaves_its_dataset_and_next_month_follows(service):
    """What only it had made goes with it, and its name leads to the new place from then on."""
    await service.ingest_file(PARCELS, name="parcels.csv")
    wrong = await service.ingest_file(MORE, dataset="styria", name="Styria 2026-10.csv")

    moved = await service.replay(wrong["id"], dataset="parcels")

    assert (moved["status"], moved["dataset"], moved["sheets"][0]["recognised"]["by"]) == ("loaded", "parcels", "said")
    assert await totals(service) == {"parcels": 3}
    later = await service.ingest_file(b"parcel,town,kilos\nP4,Enns,1\n", name="Styria 2026-11.csv")
    assert (later["dataset"], later["sheets"][0]["recognised"]["by"]) == ("parcels", "stem")
    assert (await service.replay(wrong["id"]))["dataset"] == "parcels"


async def test_move_keeps_what_other_files_have_and_its_corrections(service):
    """The dataset it leaves stays with the rows of the others; an undo takes it out of the new one only."""
    await service.ingest_file(PARCELS, name="parcels.csv")
    second = await service.ingest_file(MORE, name="parcels 2.csv")

    await service.replay(second["id"], dataset="returns")

    assert await totals(service) == {"parcels": 2, "returns": 1}
    assert (await service.undo(second["id"]))["rows_removed"] == 1
    assert await totals(service) == {"parcels": 2, "returns": 0}


async def test_move_that_cannot_be_changes_nothing(service):
    """A name that cannot be, and a dataset that has this content, are refused before anything is claimed."""
    first = await service.ingest_file(PARCELS, name="parcels.csv")
    await service.ingest_file(PARCELS, dataset="archive", name="parcels.csv")

    with pytest.raises(NameRefused, match="is not a dataset name"):
        await service.replay(first["id"], dataset="My Parcels")
    with pytest.raises(FileInUse, match="same content"):
        await service.replay(first["id"], dataset="archive")

    assert (await service.file(first["id"]))["status"] == "loaded"
    assert await totals(service) == {"parcels": 2, "archive": 2}


async def test_move_that_fails_leaves_the_file_where_it_was(service):
    """A table that is not ours has that name: the record says so, and a later replay stays at home."""
    first = await service.ingest_file(PARCELS, name="parcels.csv")
    await service.intake.session.write(lambda connection: connection.exec_driver_sql("CREATE TABLE theirs (x integer)"))

    told = await service.replay(first["id"], dataset="theirs")

    assert (told["status"], told["dataset"]) == ("loaded", "parcels")
    assert "did not create" in told["error"]
    again = await service.replay(first["id"])
    assert (again["dataset"], again["error"], await totals(service)) == ("parcels", None, {"parcels": 2})
