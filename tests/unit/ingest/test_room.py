"""A disk without room: said once, and looked at again until it is well."""

import resource
from contextlib import contextmanager
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.errors import DatabaseUnwritable
from levelpool.ingest.job import explain
from levelpool.ingest.room import Room, has_room_in


@contextmanager
def files_of_at_most(size: int):
    """The kernel takes no longer file from this process meanwhile, as a disk that is full takes none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_folder_is_well_again_when_what_failed_would_fit(tmp_path, caplog):
    """The log has one line for the cause, however often it fails; nothing is left by looking."""
    room = Room(partial(has_room_in, tmp_path), "files can be kept again")
    assert room.look() == ""
    for _ in range(3):
        room.has_failed("nothing can be kept", 3 << 20)

    with files_of_at_most(2 << 20):
        assert room.look() == "nothing can be kept"
    assert room.look() == ""
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == ["nothing can be kept"]
    assert list(tmp_path.iterdir()) == []


def test_folder_that_took_something_is_well():
    """Nobody has to look."""
    room = Room(lambda _: False, "files can be kept again")
    room.has_failed("nothing can be kept")
    room.has_taken()

    assert room.look() == ""


def test_one_cause_is_said_once_whatever_it_names(caplog):
    """A server names another of its files each time."""
    room = Room(lambda _: True, "the database can be written again")
    for file in range(3):
        room.has_failed(f"could not extend file {file}", cause="full")

    assert [record.getMessage() for record in caplog.records] == ["could not extend file 0"]


@pytest.mark.parametrize("pragma", ["max_page_count = 1", "query_only = ON"])
def test_database_that_cannot_write_says_so(tmp_path, pragma):
    """It is there, so nobody should come again in five seconds."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/full.sqlite")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql(f"PRAGMA {pragma}")
        with pytest.raises(DBAPIError) as failed:
            connection.exec_driver_sql("INSERT INTO t SELECT randomblob(100000)")
    engine.dispose()

    error = explain(failed.value)
    assert isinstance(error, DatabaseUnwritable) and "make room on its disk" in str(error)
