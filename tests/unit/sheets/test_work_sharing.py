"""Two processes that share work: whoever did a piece, and whatever became of the second, every piece comes once, in order."""

import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

import squares
from levelpool.sheets.work_sharing import WorkSharing
from squares import Squares

ALL = [(number, number * number) for number in range(10)]


@pytest.fixture
def sharing(tmp_path):
    sharing = WorkSharing(tmp_path / "shared work")
    sharing.set_up()
    return sharing


@pytest.fixture
def marks(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def start_second(sharing: WorkSharing) -> subprocess.Popen[str]:
    """A second process that stays until it is recalled."""
    return subprocess.Popen([sys.executable, str(Path(squares.__file__)), str(sharing.folder)], stdout=subprocess.PIPE, text=True)


def second(sharing: WorkSharing) -> str:
    """What a second process says in the end: how many pieces it did."""
    started = start_second(sharing)
    said, _ = started.communicate(timeout=30)
    assert started.returncode == 0
    return said.strip()


def test_first_does_all_when_nobody_comes(sharing, marks):
    """Sharing with nobody costs a folder, and that is gone in the end."""
    work = Squares(sharing, marks)

    assert list(sharing.in_order(work)) == ALL
    assert work.who_did() == ["first"] * 10
    assert list(sharing.folder.iterdir()) == []


@pytest.mark.parametrize(("begun", "most"), [(1, 1), (1, 9), (3, 4)])
def test_second_begins_at_the_end_and_nothing_is_done_twice(sharing, marks, begun, most):
    """It takes piece after piece as long as it may, and the first takes what is there."""
    work = Squares(sharing, marks, most)
    results = sharing.in_order(work)
    found = list(islice(results, begun))

    assert second(sharing) == str(most)

    assert found + list(results) == ALL
    assert work.who_did() == ["first"] * (10 - most) + ["second"] * most


def test_second_stops_where_the_first_is(sharing, marks):
    """What the first has begun is not begun again; the second waits for other work."""
    work = Squares(sharing, marks)
    results = sharing.in_order(work)
    found = list(islice(results, 5))
    waiting = start_second(sharing)
    while not list(sharing.folder.glob("work-*/5")):
        assert waiting.poll() is None
        time.sleep(0.01)
    sharing.recall()

    assert waiting.communicate(timeout=30)[0].strip() == "5"
    assert found + list(results) == ALL
    assert work.who_did() == ["first"] * 5 + ["second"] * 5


def test_another_second_goes_on_where_one_was_recalled(sharing, marks):
    """Pieces that lie there are not done again."""
    work = Squares(sharing, marks, most=3)
    results = sharing.in_order(work)
    found = [next(results)]

    for _ in range(2):
        assert second(sharing) == "3"
        sharing.set_up()

    assert found + list(results) == ALL
    assert work.who_did() == ["first"] * 4 + ["second"] * 6


def test_death_of_the_second_costs_the_piece_at_hand(sharing, marks):
    """What it has done before is there, and nothing half."""
    work = Squares(sharing, marks, most=3, dies=True)
    results = sharing.in_order(work)
    found = [next(results)]

    started = start_second(sharing)
    started.communicate(timeout=30)
    assert started.returncode == -signal.SIGKILL

    assert found + list(results) == ALL
    assert work.who_did() == ["first"] * 6 + ["second first"] + ["second"] * 3


def test_second_leaves_when_the_shared_work_is_gone(sharing):
    """The folder goes with the import: nobody waits for work that is not there."""
    started = start_second(sharing)
    sharing.folder.rmdir()

    assert started.communicate(timeout=30)[0].strip() == "0"
