"""One bad entry of an inbox is told once and passed over, on either database."""

import os
from pathlib import Path


def put_in(folder: bytes, name: bytes, text: str = "number\n1\n") -> None:
    place = Path(os.fsdecode(folder))
    place.mkdir(parents=True, exist_ok=True)
    (place / os.fsdecode(name)).write_text(text, encoding="utf-8")


async def test_odd_entries_are_told_once_and_keep_no_file_waiting(sync, inbox):
    """Names and folders in any bytes, at any depth and of any length."""
    here = os.fsencode(inbox)
    put_in(here, b"good.csv", "number,name\n1,a\n")
    put_in(here, b"bad \xff name.csv")
    put_in(here + b"/caf\xe9", b"below.csv", "city,people\nOslo,709000\n")
    put_in(here + b"/" + b"/".join([b"d"] * 120), b"deep.csv")
    long = here + b"/" + b"/".join([b"l" * 240] * 12)
    put_in(long, b"far.csv", "isbn,title\n1234,A\n")

    first, second = await sync.sync(), await sync.sync()

    told = {each["name"]: each["error"] for each in [await sync.intake.runner.get_file(file_id) for file_id in first.files]}
    assert (first.loaded, first.failed, first.waiting) == (3, 2, 0)
    assert {name for name, error in told.items() if error is None} == {"good.csv", "below.csv", "far.csv"}
    assert any("is not valid UTF-8: rename the file" in (error or "") for error in told.values())
    assert any("lies below 100 others: put its files higher up" in (error or "") for error in told.values())
    assert (second.files, second.duplicate, len(second.failed_before)) == ((), 5, 2)


async def test_file_that_meets_an_unknown_error_keeps_no_other_waiting(sync, inbox, monkeypatch):
    """It is recorded as failed, once, and the file beside it is loaded."""
    put_in(os.fsencode(inbox), b"odd.csv", "number,name\n1,a\n")
    put_in(os.fsencode(inbox), b"good.csv", "number,name\n2,b\n")
    take = sync._take

    async def fail_for_one(found):
        if found.name == "odd.csv":
            raise RuntimeError("nobody thought of this")
        return await take(found)

    monkeypatch.setattr(sync, "_take", fail_for_one)
    first, second = await sync.sync(), await sync.sync()

    assert (first.loaded, first.failed, second.files) == (1, 1, ())
