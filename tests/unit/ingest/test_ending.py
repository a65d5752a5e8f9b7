"""What became of a run: every way in which a call can end, and what is recorded of it."""

import pytest

from levelpool.errors import ClusterUnreachable, LaneClosed, TaskTimeout, WorkerDied
from levelpool.ingest.ending import MOST_TRIES, RETRY_AFTER, Ending, ending_of
from levelpool.ingest.ledger.files import Claim
from levelpool.sheets.errors import ClaimLost, EmptyFile, TryAgain

CLAIM = Claim(file_id=7, token="t", name="orders.csv", sha256="0" * 64, source="upload", dataset="orders")


def end(error, tries=1):
    return ending_of(CLAIM, error, tries=tries, timeout=60.0)


def test_file_that_is_loaded_has_recorded_it_by_itself():
    """In the transaction of its rows."""
    assert end(None) == Ending()


def test_file_that_somebody_else_took_over_is_left_to_them():
    """Nothing is recorded by us; the log says who."""
    assert end(ClaimLost("file 7 was taken over")) == Ending(warning="file 7 was taken over")


@pytest.mark.parametrize("error", [LaneClosed("closing"), ClusterUnreachable("away")], ids=lambda error: type(error).__name__)
def test_file_is_given_back_when_nobody_can_run_it(error):
    """It is pending at once."""
    ending = end(error)

    assert (ending.record, ending.again_after) == ("release", None)


def test_busy_database_is_met_again_later_and_later_and_then_the_file_has_failed():
    """Each time it waits longer; the last try says how often."""
    waits = [end(TryAgain("busy"), tries).again_after for tries in range(1, MOST_TRIES)]

    assert waits == [RETRY_AFTER * tries for tries in range(1, MOST_TRIES)]
    assert end(TryAgain("busy"), MOST_TRIES) == Ending(
        record="fail", code="try_again", sentence=f"busy; that was so {MOST_TRIES} times: replay the file when the database is well"
    )


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (EmptyFile("orders.csv is empty"), "empty_file", "orders.csv is empty"),
        (WorkerDied("killed", cause="memory"), "worker_died", "needs more memory than a worker may have"),
        (WorkerDied("killed", cause="signal"), "worker_died", "replay the file; if it dies again, the file is damaged"),
        (TaskTimeout("late"), "task_timeout", "was not done after 60 s: split the file"),
        (ZeroDivisionError("x"), "internal", "an error that should not happen (ZeroDivisionError: x): please report it"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_failure_is_one_sentence_for_the_sender_and_one_word_for_programs(error, code, says):
    """Only what is not ours goes to the log with its traceback."""
    ending = end(error)

    assert (ending.record, ending.code, ending.is_unexpected) == ("fail", code, code == "internal")
    assert says in ending.sentence
