"""The life of a file: recorded once, claimed by one, ended by its holder only."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from levelpool.database import open_connection
from levelpool.ingest.ledger import abandoned, files, queries, recording
from levelpool.ingest.ledger.datasets import add_dataset
from levelpool.ingest.ledger.evidence import read_known
from levelpool.ingest.ledger.schema import audit
from levelpool.ingest.ledger.schema import files as table
from levelpool.ingest.recognition.verdicts import Known
from levelpool.sheets.errors import ClaimLost, FileInUse, NotFound
from levelpool.sheets.table import CellCounts

SOMEBODY = files.Claimer("somebody", "here")
SOMEBODY_ELSE = files.Claimer("somebody else", "here")


def new_file(content: str = "a", **values: object) -> recording.NewFile:
    return recording.NewFile(
        **{"name": "orders.csv", "source": "upload", "actor": "ann", "sha256": content * 64, "store": "here", "dataset": "orders"} | values
    )


def outcome(quarantined: int = 0) -> files.Outcome:
    return files.Outcome("orders", 3, quarantined, CellCounts(9, 9 - quarantined, quarantined, 0), "csv", "csv")


def recorded(connection, content: str = "a", **values: object) -> recording.Recorded:
    with connection.begin():
        return recording.record(connection, new_file(content, **values))


def claimed(connection, content: str = "a") -> files.Claim:
    recorded(connection, content)
    with connection.begin():
        return files.claim_next(connection, SOMEBODY)


def test_same_content_is_a_duplicate_of_the_first(ledger):
    """A file that was sent twice is not loaded twice, whatever it is called."""
    first = recorded(ledger)

    again = recorded(ledger, name="other name.csv", dataset="other_name")

    assert (again.status, again.duplicate_of) == ("duplicate", first.id)


def test_same_content_for_another_dataset_by_name_is_no_duplicate(ledger):
    """Who names another dataset wants the rows there, too; who names the same gets a duplicate."""
    recorded(ledger)

    assert recorded(ledger, dataset="archive", dataset_asked=True).status == "pending"
    assert recorded(ledger, dataset="archive", dataset_asked=True).status == "duplicate"


def test_content_may_come_again_after_a_failure(ledger):
    """A failed import leaves nothing, so the same content is new again."""
    claim = claimed(ledger)
    with ledger.begin():
        files.fail(ledger, claim.file_id, claim.token, "the disk is full")

    assert recorded(ledger).status == "pending"


def test_same_content_from_two_sides_at_once_is_loaded_once(ledger, database_url):
    """Two services that record the same content at the same moment agree on which was first."""
    start = threading.Barrier(4)
    found = []

    def send():
        with open_connection(database_url) as connection:
            start.wait()
            found.append(recorded(connection).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == ["duplicate", "duplicate", "duplicate", "pending"]


def test_two_services_never_claim_the_same_file(ledger, database_url):
    """Eight files and four services that claim as fast as they can: each file is claimed once."""
    for content in "abcdefgh":
        recorded(ledger, content, name=f"{content}.csv", dataset=content)
    start = threading.Barrier(4)
    claims = []

    def work():
        with open_connection(database_url) as connection:
            start.wait()
            while True:
                with connection.begin():
                    claim = files.claim_next(connection, SOMEBODY)
                if claim is None:
                    return
                claims.append(claim.file_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claims) == len(set(claims)) == 8


def test_oldest_file_is_claimed_first(ledger):
    """Files are taken in the order of their arrival."""
    first = recorded(ledger, "a")
    recorded(ledger, "b")

    with ledger.begin():
        assert files.claim_next(ledger, SOMEBODY).file_id == first.id


def test_first_file_of_a_new_dataset_goes_alone(ledger):
    """The types of its columns must not depend on which of two files is faster; once the dataset is there, files run side by side."""
    recorded(ledger, "a")
    recorded(ledger, "b")
    other = recorded(ledger, "c", name="stock.csv", dataset="stock")
    with ledger.begin():
        first = files.claim_next(ledger, SOMEBODY)
        assert files.claim_next(ledger, SOMEBODY).file_id == other.id
        assert files.claim_next(ledger, SOMEBODY) is None

    with ledger.begin():
        add_dataset(ledger, "orders", first.file_id)
        assert files.claim_next(ledger, SOMEBODY) is not None


def test_first_file_of_a_report_goes_alone_under_whatever_name(ledger):
    """The name of each month leads to another dataset as long as there is none: the second one waits, and finds the first one's."""
    first = recorded(ledger, "a", name="Leads October 2026.csv", dataset="leads_october")
    second = recorded(ledger, "b", name="Leads November 2026.csv", dataset="leads_november")
    with ledger.begin():
        claim = files.claim_next(ledger, SOMEBODY)
        assert (claim.file_id, files.claim_next(ledger, SOMEBODY)) == (first.id, None)
        add_dataset(ledger, "leads_october", first.id)
        files.finish(ledger, first.id, claim.token, replace(outcome(), dataset="leads_october"))

        assert files.claim_next(ledger, SOMEBODY).file_id == second.id
        assert read_known(ledger, "Leads November 2026.csv") == (Known("leads_october", frozenset(), frozenset({"leads"})),)
        files.undo(ledger, first.id, "ann", 3)
        assert read_known(ledger, "Leads November 2026.csv") == (Known("leads_october", frozenset()),)


def test_only_who_can_read_the_original_claims_a_file(ledger):
    """A service on another machine, with a store of its own, leaves the file alone."""
    recorded(ledger)

    with ledger.begin():
        assert files.claim_next(ledger, files.Claimer("far away", "there")) is None


def test_who_lost_the_claim_cannot_finish(ledger):
    """A worker that was taken for dead and comes back late changes nothing."""
    late = claimed(ledger)
    with ledger.begin():
        abandoned.reclaim(ledger, lambda *_: True)
    with ledger.begin():
        new = files.claim_next(ledger, SOMEBODY_ELSE)

    with pytest.raises(ClaimLost), ledger.begin():
        files.finish(ledger, late.file_id, late.token, outcome())
    with ledger.begin():
        assert files.fail(ledger, late.file_id, late.token, "too late") is False
        files.finish(ledger, new.file_id, new.token, outcome())
        assert files.status_of(ledger, new.file_id) == "loaded"


def test_a_file_ends_once(ledger):
    """After the end is recorded, the same claim ends nothing any more."""
    claim = claimed(ledger)
    with ledger.begin():
        files.finish(ledger, claim.file_id, claim.token, outcome(quarantined=1))

    with ledger.begin():
        assert files.fail(ledger, claim.file_id, claim.token, "a killed worker") is False
        assert files.status_of(ledger, claim.file_id) == "partial"


def test_file_of_a_living_holder_is_left_alone(ledger):
    """Only what nobody works on any more is taken back."""
    claim = claimed(ledger)

    with ledger.begin():
        assert abandoned.reclaim(ledger, lambda *_: False) == []
        assert files.status_of(ledger, claim.file_id) == "running"


def test_file_that_kills_its_service_again_and_again_fails(ledger):
    """A file is not tried for ever: after three deaths it is recorded as failed, with a sentence."""
    file_id = recorded(ledger).id
    for _ in range(abandoned.MOST_ATTEMPTS):
        with ledger.begin():
            assert files.claim_next(ledger, SOMEBODY).file_id == file_id
        with ledger.begin():
            abandoned.reclaim(ledger, lambda *_: True)

    with ledger.begin():
        row = ledger.execute(sa.select(table).where(table.c.id == file_id)).one()
        assert row.status == "failed" and "died 3 times" in row.error


def test_failed_replay_leaves_the_earlier_import_as_it_was(ledger):
    """The rows of the first import are still there, and the file says so."""
    claim = claimed(ledger)
    with ledger.begin():
        files.finish(ledger, claim.file_id, claim.token, outcome())
    with ledger.begin():
        again = files.claim_replay(ledger, claim.file_id, SOMEBODY, "ann")

    with ledger.begin():
        files.fail(ledger, again.file_id, again.token, "the worker died")
        assert files.status_of(ledger, again.file_id) == "loaded"


def test_replay_that_was_given_back_still_knows_what_it_replaces(ledger):
    """A replay that the end of the service cut short is claimed again, and if it fails then, the earlier import stands."""
    claim = claimed(ledger)
    with ledger.begin():
        files.finish(ledger, claim.file_id, claim.token, outcome())
    with ledger.begin():
        again = files.claim_replay(ledger, claim.file_id, SOMEBODY, "ann")
        files.release(ledger, again.file_id, again.token)
    with ledger.begin():
        third = files.claim_next(ledger, SOMEBODY_ELSE)
        files.fail(ledger, third.file_id, third.token, "the worker died")

    with ledger.begin():
        assert files.status_of(ledger, claim.file_id) == "loaded"


def test_file_whose_content_is_there_from_another_one_is_not_replayed(ledger):
    """Otherwise the same rows would be there twice."""
    claim = claimed(ledger)
    with ledger.begin():
        files.fail(ledger, claim.file_id, claim.token, "the disk is full")
    recorded(ledger)

    with pytest.raises(FileInUse, match="same content"), ledger.begin():
        files.claim_replay(ledger, claim.file_id, SOMEBODY, "ann")


def test_only_what_is_loaded_can_be_undone(ledger):
    """The sentence says in which state the file is."""
    file_id = recorded(ledger).id

    with pytest.raises(FileInUse, match="is pending"), ledger.begin():
        files.undo(ledger, file_id, "ann", 0)
    with pytest.raises(NotFound, match="no file 99"), ledger.begin():
        files.undo(ledger, 99, "ann", 0)


def test_every_change_of_state_is_in_the_audit(ledger):
    """Who looks later sees what happened to a file, in order, and by whom."""
    claim = claimed(ledger)
    with ledger.begin():
        files.finish(ledger, claim.file_id, claim.token, outcome())
    with ledger.begin():
        files.undo(ledger, claim.file_id, "ann", 3)

    with ledger.begin():
        lines = ledger.execute(sa.select(audit.c.actor, audit.c.action).order_by(audit.c.id)).all()
    assert [tuple(line) for line in lines] == [("ann", "file.received"), ("levelpool", "file.loaded"), ("ann", "file.undone")]


def test_renewal_moves_the_sign_of_life_and_the_progress(ledger):
    """Another service sees that the holder lives, and a page how far the file has come."""
    claim = claimed(ledger)
    seen = []
    with ledger.begin():
        files.renew(ledger, {claim.token: 42.0})
        abandoned.reclaim(ledger, lambda _, renewed, now: seen.append(now - renewed) or False)

        assert ledger.execute(sa.select(table.c.progress)).scalar() == 42.0
    assert seen[0] < timedelta(seconds=5)


def test_why_a_file_failed_is_told_in_one_word_too(ledger):
    """A program asks for a password where one is missing; a new attempt forgets the word with the sentence."""
    claim = claimed(ledger)
    code = sa.select(table.c.error_code)
    with ledger.begin():
        files.fail(ledger, claim.file_id, claim.token, "it is locked", "password_needed")
        assert ledger.execute(code).scalar_one() == "password_needed"

    with ledger.begin():
        files.claim_replay(ledger, claim.file_id, SOMEBODY, "ann")
        assert ledger.execute(code).scalar_one() is None


def test_files_are_found_by_state_and_name(ledger):
    """A part of the name is enough, capital or not, and a percent sign is only a percent sign."""
    for content, name in (("a", "Orders May.csv"), ("b", "orders June.csv"), ("c", "100 % stock.csv")):
        recorded(ledger, content, name=name)

    found = [
        [file["name"] for file in queries.list_files(ledger, 10, 0, status, name)["files"]]
        for status, name in ((None, "ORDERS"), ("pending", "june"), ("failed", None), (None, "%"))
    ]

    assert found == [["orders June.csv", "Orders May.csv"], ["orders June.csv"], [], ["100 % stock.csv"]]


def test_file_of_an_inbox_that_two_services_find_is_recorded_once(ledger):
    """Both have looked before either recorded it; once it has changed, it counts as new."""
    first = recorded(ledger, origin="/inbox/orders.csv", stamp="1:2:3:4")
    second = recorded(ledger, origin="/inbox/orders.csv", stamp="1:2:3:4")
    changed = recorded(ledger, "b", origin="/inbox/orders.csv", stamp="1:2:9:9")

    assert (second.id, second.status) == (first.id, "pending")
    assert changed.id != first.id and changed.status == "pending"
