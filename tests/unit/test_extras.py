"""What is said when an optional package is missing."""

import pickle
import subprocess
import sys

import pytest

from levelpool.errors import ExtraMissing, LevelpoolError
from levelpool.extras import missing, needed_for


def test_a_missing_package_is_named_with_what_installs_it():
    """One sentence: for what, which, and the command."""
    with pytest.raises(ExtraMissing) as caught, needed_for("the ledger"):
        raise ModuleNotFoundError("No module named 'alembic.config'", name="alembic.config")

    assert str(caught.value) == "the ledger needs the package alembic, which is not installed: pip install 'levelpool[ingest]'"
    assert (caught.value.package, caught.value.extra) == ("alembic", "ingest")


def test_a_package_of_no_extra_is_installed_by_its_own_name(monkeypatch):
    """No extra brings pandas."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with (
        pytest.raises(ExtraMissing, match=r"^to_pandas\(\) needs the package pandas, which is not installed: pip install pandas$"),
        needed_for("to_pandas()"),
    ):
        import pandas as pd  # noqa: F401


@pytest.mark.parametrize(
    "error", [ImportError("cannot import name 'x' from 'alembic'"), ModuleNotFoundError("No module", name="levelpool.gone")]
)
def test_another_fault_of_an_import_is_left_as_it_is(error):
    """A package that is there and does not fit, and a part of ours that is gone, are no missing extra."""
    with pytest.raises(ImportError) as caught, needed_for("the ledger"):
        raise error

    assert caught.value is error


def test_whoever_waits_for_an_import_error_gets_one():
    """`except ModuleNotFoundError` around an optional import goes on working, and so does `except LevelpoolError`."""
    error = pickle.loads(pickle.dumps(missing("rich", "a table on a terminal")))

    assert isinstance(error, ModuleNotFoundError)
    assert isinstance(error, LevelpoolError)
    assert (str(error), error.package, error.extra) == (str(missing("rich", "a table on a terminal")), "rich", "sheets")


WITHOUT_GREENLET = """
import sys
sys.modules["greenlet"] = None
from levelpool.database import create_async_engine, create_engine
from levelpool.errors import ExtraMissing

create_engine("sqlite://").dispose()
try:
    create_async_engine("sqlite://")
except ExtraMissing as error:
    print(error)
"""


def test_an_engine_that_is_not_awaited_does_without_greenlet():
    """SQLAlchemy brings it only with its extra; the other kind of engine says so."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_GREENLET], check=True, capture_output=True, text=True)

    assert (
        done.stdout == "an engine that is awaited needs the package greenlet, which is not installed: pip install 'levelpool[sqlalchemy]'\n"
    )
