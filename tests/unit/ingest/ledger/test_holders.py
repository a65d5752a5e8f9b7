"""A file whose original lies in the store of a service that is gone ends, and the same content takes its place."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from levelpool.ingest.ledger import abandoned, files, holders, queries, recording
from levelpool.ingest.ledger.schema import files as table
from levelpool.ingest.ledger.schema import holders as signs

GONE = files.Claimer("the one that is gone", "there")
HERE = files.Claimer("somebody", "here")
FILE = recording.NewFile(name="orders.csv", source="upload", actor="ann", sha256="a" * 64, store="there", dataset="orders")


def is_gone(holder, _seen, _now):
    return holder == GONE.holder


def recorded(ledger, **values) -> recording.Recorded:
    with ledger.begin():
        return recording.record(ledger, replace(FILE, **values), is_gone)


def seen(ledger, ago: timedelta) -> None:
    """The sign of life of the service that is gone, so long ago."""
    with ledger.begin():
        holders.give_sign(ledger, GONE.holder, GONE.store)
        holders.give_sign(ledger, HERE.holder, HERE.store)
        ledger.execute(signs.update().where(signs.c.holder == GONE.holder).values(seen_at=datetime.now(UTC) - ago))


def record_of(ledger, file_id: int) -> dict:
    with ledger.begin():
        return queries.get_file(ledger, file_id)


def test_same_content_takes_the_place_of_what_nobody_can_read(ledger):
    """The first ends with a sentence that names its heir; the second is loaded."""
    seen(ledger, timedelta(seconds=1))
    first = recorded(ledger)
    second = recorded(ledger, store="here")

    told = record_of(ledger, first.id)
    assert (second.status, second.duplicate_of) == ("pending", None)
    assert (told["status"], told["error_code"]) == ("failed", "original_unreachable")
    assert f"file {second.id} has the same content and takes its place" in told["error"]


def test_same_content_takes_the_place_of_what_a_dead_service_ran(ledger):
    """The claim of the dead ends with it."""
    seen(ledger, timedelta(seconds=1))
    first = recorded(ledger)
    with ledger.begin():
        claim = files.claim_next(ledger, GONE)

    assert recorded(ledger, store="here").status == "pending"
    with ledger.begin():
        assert files.fail(ledger, first.id, claim.token, "too late") is False


def test_same_content_as_a_file_of_a_living_service_is_a_duplicate(ledger):
    """Who lives loads it."""
    with ledger.begin():
        holders.give_sign(ledger, HERE.holder, "there")
    recorded(ledger)

    assert recorded(ledger, store="here").status == "duplicate"


def test_store_that_never_gave_a_sign_is_waited_for(ledger):
    """A service of an earlier release beside this one gives none, and loads its files all the same."""
    first = recorded(ledger)
    assert recorded(ledger, store="here").status == "duplicate"
    with ledger.begin():
        assert abandoned.end_abandoned(ledger, is_gone) == []

        ledger.execute(table.update().values(received_at=datetime.now(UTC) - holders.LEASE_OF_UNKNOWN - timedelta(seconds=1)))
        abandoned.end_abandoned(ledger, is_gone)
    assert record_of(ledger, first.id)["status"] == "failed"


def test_file_ends_when_its_store_was_not_seen_for_its_lease(ledger):
    """A service that only starts anew is waited for; then the sentence says what to do."""
    first = recorded(ledger)
    seen(ledger, timedelta(seconds=5))
    with ledger.begin():
        abandoned.reclaim(ledger, is_gone)
    assert record_of(ledger, first.id)["status"] == "pending"

    seen(ledger, holders.LEASE_OF_STORE + timedelta(seconds=1))
    with ledger.begin():
        abandoned.reclaim(ledger, is_gone)
    told = record_of(ledger, first.id)
    assert told["status"] == "failed" and "send the file again, or start a service with its data folder" in told["error"]


def test_duplicate_elsewhere_takes_the_place_of_a_file_that_ends(ledger):
    """It came while the first could still be loaded; the others count as its duplicates then."""
    seen(ledger, timedelta(seconds=1))
    first = recorded(ledger)
    with ledger.begin():
        heir = recording.record(ledger, replace(FILE, store="here"), lambda *_: False)
        other = recording.record(ledger, replace(FILE, store="here"), lambda *_: False)
    assert (heir.duplicate_of, other.duplicate_of) == (first.id, first.id)

    seen(ledger, holders.LEASE_OF_STORE + timedelta(seconds=1))
    with ledger.begin():
        assert abandoned.reclaim(ledger, is_gone) == [heir.id]
    assert record_of(ledger, heir.id)["status"] == "pending"
    assert record_of(ledger, other.id)["duplicate_of"] == heir.id


def test_service_that_comes_back_takes_its_files_up(ledger):
    """Unless the content has come elsewhere meanwhile."""
    first, second = recorded(ledger), recorded(ledger, sha256="b" * 64)
    seen(ledger, holders.LEASE_OF_STORE + timedelta(seconds=1))
    with ledger.begin():
        abandoned.reclaim(ledger, is_gone)
    again = recorded(ledger, sha256="b" * 64, store="here")

    with ledger.begin():
        assert abandoned.take_up(ledger, "there") == [first.id]
    assert [record_of(ledger, each)["status"] for each in (first.id, second.id, again.id)] == ["pending", "failed", "pending"]


def test_replay_that_waits_for_a_store_that_is_gone_is_as_it_was(ledger):
    """The rows of the earlier import are there."""
    first = recorded(ledger)
    with ledger.begin():
        ledger.execute(table.update().where(table.c.id == first.id).values(status_before="loaded"))
    seen(ledger, holders.LEASE_OF_STORE + timedelta(seconds=1))
    with ledger.begin():
        abandoned.reclaim(ledger, is_gone)

    assert record_of(ledger, first.id)["status"] == "loaded"


def test_password_is_gone_when_its_holder_was_not_seen_for_its_lease(ledger):
    """The holder's sign of life counts, not the age of the file; then anybody who can read the original says what is needed."""
    asked = []

    def died(holder, last, now):
        asked.append(now - last)
        return holder == GONE.holder and now - last > timedelta(seconds=60)

    first = recorded(ledger, store="here", held_by=GONE.holder)
    seen(ledger, timedelta(seconds=30))
    with ledger.begin():
        assert first.id not in abandoned.reclaim(ledger, died)
    seen(ledger, timedelta(seconds=61))
    with ledger.begin():
        assert first.id in abandoned.reclaim(ledger, died)
        assert ledger.execute(sa.select(table.c.held_by)).scalar() is None


def test_call_that_waits_is_told_for_what(ledger):
    """Each file with its reason."""
    first = recorded(ledger)
    second = recorded(ledger, sha256="b" * 64, store="here", held_by=GONE.holder, name="locked.xlsx")
    with ledger.begin():
        told = abandoned.what_keeps(ledger, [first.id, second.id], HERE)

    assert f"file {first.id} (orders.csv) lies in the store of another service" in told
    assert f"file {second.id} (locked.xlsx) needs a password that another service has" in told


def test_service_that_was_closed_reads_nothing_any_more(ledger):
    """Though its process lives on: what it left ends, and the passwords that it knew are gone."""
    first = recorded(ledger)
    held = recorded(ledger, sha256="b" * 64, held_by=GONE.holder)
    seen(ledger, timedelta(seconds=1))
    with ledger.begin():
        files.release_all(ledger, GONE.holder)

        assert not holders.is_served(ledger, "there", datetime.now(UTC), lambda *_: False, at_once=True)
        assert holders.is_served(ledger, "there", datetime.now(UTC), lambda *_: False)
        assert ledger.execute(sa.select(table.c.held_by).where(table.c.id == held.id)).scalar() is None
    assert record_of(ledger, first.id)["status"] == "pending"
