"""Files put into the inbox become rows; whatever else lies there harms nothing and is said."""

import asyncio
import threading
import time

import pytest

from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.inbox_scan import scan
from levelpool.sheets.errors import InboxError
from levelpool.sheets.read.limits import Limits

ORDERS = "id,customer\n1,Ann\n2,Bob\n"


@pytest.fixture
def database_url(sqlite_url):
    """What lies in a folder is the same for every database."""
    return sqlite_url


def put(folder, name: str, text: str = ORDERS):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def records(sync: DataSyncService) -> dict[str, dict]:
    return {file["name"]: file for file in (await sync.intake.runner.list_files(100, 0))["files"]}


async def test_inbox_becomes_tables_and_the_report_counts(sync, inbox):
    """Loaded, partly loaded, failed and duplicates; the files stay where they are."""
    put(inbox, "orders.csv")
    put(inbox, "sub/stock.csv", "sku,n\na,1\n")
    put(inbox, "zz copy.csv")
    put(inbox, "broken.xlsx", "\x00\x01 no spreadsheet")

    report = await sync.sync()

    assert (report.found, report.loaded, report.failed, report.duplicate) == (4, 2, 1, 1)
    assert report["found"] == report.to_dict()["found"] == 4
    assert (inbox / "orders.csv").exists()


async def test_second_look_finds_nothing_new(sync, inbox):
    """Files that lie there unchanged are neither loaded nor recorded again."""
    put(inbox, "orders.csv")
    await sync.sync()

    report = await sync.sync()

    assert (report.found, report.loaded, report.duplicate, report.files) == (1, 0, 1, ())
    assert len(await records(sync)) == 1


async def test_change_of_rights_is_no_change_of_content(sync, inbox):
    """The file is not recorded once more when only its name, owner or rights changed."""
    path = put(inbox, "orders.csv")
    await sync.sync()

    path.chmod(0o600)

    assert (await sync.sync()).files == ()


async def test_changed_file_is_new(sync, inbox):
    """An export that is written over is another file, with rows of its own."""
    put(inbox, "orders.csv")
    await sync.sync()

    put(inbox, "orders.csv", ORDERS + "3,Cy\n")

    assert (await sync.sync()).loaded == 1


async def test_half_written_file_is_not_taken(sync, inbox):
    """A file grows for a while, with pauses longer than the rest time: it is taken once, and whole."""
    path = inbox / "orders.csv"

    def write_slowly():
        with path.open("w") as file:
            for line in (ORDERS, "3,Cy\n", "4,Dan\n"):
                file.write(line)
                file.flush()
                time.sleep(0.3)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    while not path.exists():
        await asyncio.sleep(0.01)
    report = await sync.sync()
    writer.join()

    assert (report.loaded, report.waiting) == (1, 0)
    assert (await records(sync))["orders.csv"]["rows_loaded"] == 4


async def test_file_that_never_rests_is_left_for_later(sync, inbox, monkeypatch):
    """The report says how many files are still being written; nothing of them is loaded."""
    monkeypatch.setattr("levelpool.ingest.inbox.REST_TIMEOUT", 0.3)
    with (inbox / "orders.csv").open("w") as file:
        file.write(ORDERS)
        file.flush()
        report = await sync.sync()

    assert (report.found, report.waiting, report.loaded) == (1, 1, 0)
    assert (await sync.sync()).loaded == 1


async def test_file_that_vanishes_meanwhile_is_forgotten(sync, inbox):
    """Between the look and the copy somebody took it away: nothing is recorded, and nothing fails."""
    path = put(inbox, "orders.csv")
    [found] = scan(inbox)
    path.unlink()

    assert sync._keep(found) is None
    assert (await sync.sync()).found == 0


async def test_file_that_changes_while_it_is_copied_is_taken_later(sync, inbox):
    """What was copied is not what was seen: it is looked at once more."""
    path = put(inbox, "orders.csv")
    [found] = scan(inbox)
    path.write_text(ORDERS + "3,Cy\n")

    assert sync._keep(found) is None
    assert (await sync.sync()).loaded == 1


async def test_links_out_of_the_inbox_are_refused_and_shown(sync, inbox, tmp_path):
    """To a file, or to a folder; the sentence is in the list of files, once."""
    put(tmp_path, "secret.csv")
    (inbox / "link.csv").symlink_to(tmp_path / "secret.csv")
    (inbox / "folder").symlink_to("/etc")

    report = await sync.sync()
    await sync.sync()

    assert (report.found, report.failed) == (2, 2)
    shown = await records(sync)
    assert sorted(shown) == ["folder", "link.csv"]
    assert all("leads out of the inbox" in file["error"] and file["sha256"] is None for file in shown.values())


async def test_file_over_the_limit_is_refused_and_shown(database_url, inbox, tmp_path, manager):
    """Before a byte of it is copied; the sentence names the variable."""
    put(inbox, "orders.csv")
    async with DataSyncService(
        database_url, inbox, manager, data_dir=tmp_path / "data", limits=Limits(max_upload_bytes=5), rest=0.0
    ) as sync:
        assert (await sync.sync()).failed == 1
        assert "LEVELPOOL_MAX_UPLOAD_BYTES" in (await records(sync))["orders.csv"]["error"]
        assert not list((tmp_path / "data" / "files").glob("??"))


async def test_inbox_that_does_not_exist_is_said(database_url, tmp_path, service):
    """In one sentence that says what to do."""
    sync = DataSyncService(database_url, tmp_path / "nowhere", intake=service.intake)

    with pytest.raises(InboxError, match="does not exist: create it"):
        await sync.sync()


async def test_watching_goes_on_when_the_inbox_comes_and_goes(sync, inbox, monkeypatch, caplog, ended):
    """A file that is put there later is loaded; while the folder is away, that is said once."""
    monkeypatch.setattr("levelpool.ingest.inbox.SCAN_EVERY", 0.05)
    inbox.rmdir()
    watching = asyncio.create_task(sync.watch())
    while "does not exist" not in caplog.text:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    inbox.mkdir()
    put(inbox, "orders.csv")
    async with asyncio.timeout(30):
        while [file["status"] for file in (await records(sync)).values()] != ["loaded"]:
            await asyncio.sleep(0.02)
    watching.cancel()

    assert caplog.text.count("does not exist") == 1


async def test_watching_only_records_what_a_background_worker_loads(sync, service, inbox, monkeypatch, ended):
    """In the service the two share the work: one looks, the other loads."""
    monkeypatch.setattr("levelpool.ingest.inbox.SCAN_EVERY", 0.05)
    put(inbox, "orders.csv")
    watching = asyncio.create_task(sync.watch(load=False))
    while not (listed := await records(sync)):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert listed["orders.csv"]["status"] == "pending"

    await service.start()

    assert (await ended(service, listed["orders.csv"]["id"]))["status"] == "loaded"
    watching.cancel()


async def test_name_with_odd_letters_is_just_a_name(sync, inbox):
    """Blanks, quotes, newlines and letters of any script; what cannot be printed is left out."""
    put(inbox, "订单 'x\" 1.csv")
    put(inbox, "line\nbreak.csv", "a,b\n1,2\n")

    assert (await sync.sync()).loaded == 2
    assert sorted(await records(sync)) == ["linebreak.csv", "订单 'x\" 1.csv"]
