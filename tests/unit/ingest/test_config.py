"""Where rows may be loaded."""

from pathlib import Path

import pytest

from levelpool.errors import DatabaseError
from levelpool.ingest.config import absolute_url


@pytest.mark.parametrize("driver", ["", "+psycopg", "+psycopg_async", "+asyncpg"])
def test_driver_of_asyncio_is_the_same_address(driver):
    """Whoever shares a URL with a program that awaits need not write another one."""
    assert absolute_url(f"postgresql{driver}://me:s3cret@host/sales") == "postgresql+psycopg://me:s3cret@host/sales"


@pytest.mark.parametrize("driver", ["", "+aiosqlite", "+pysqlite"])
def test_file_of_sqlite_is_absolute(driver):
    """Workers have another working folder."""
    assert absolute_url(f"sqlite{driver}:///data.sqlite") == f"sqlite:///{Path.cwd() / 'data.sqlite'}"


@pytest.mark.parametrize("url", ["postgresql+psycopg2://me:s3cret@host/sales", "mysql+pymysql://me:s3cret@host/sales"])
def test_driver_that_loads_no_rows_is_refused_at_once(url):
    """One sentence, before anything is recorded, and without the password."""
    with pytest.raises(DatabaseError, match=r"give a postgresql:// or sqlite:/// URL in place of \w+\+\w+://$"):
        absolute_url(url)
