"""Behind PgBouncer: refused with what to set, and with that set a file is loaded."""

import pytest

import machine
from levelpool.database import check_connection, create_engine
from levelpool.errors import DatabaseError
from running import run_levelpool
from servers import pgbouncer

pytestmark = [pytest.mark.postgres, pytest.mark.pgbouncer]


def test_connection_that_pgbouncer_refuses_says_what_to_set(postgres, postgres_url):
    """With its own defaults it takes no options at the start of a connection, and prepared statements do not last."""
    with pgbouncer(machine.find("pgbouncer"), postgres) as through:
        with pytest.raises(DatabaseError, match=r"ignore_startup_parameters = options and, .* pool_mode = session"):
            create_engine(through(postgres_url)).connect()
        check_connection(through(postgres_url))


def test_with_what_the_message_says_a_file_is_loaded(postgres, postgres_url, tmp_path):
    """The sentence keeps its word."""
    (tmp_path / "orders.csv").write_text("order,amount\n" + "".join(f"{each:06d},{each}.50\n" for each in range(300)))
    with pgbouncer(machine.find("pgbouncer"), postgres, ignore_startup_parameters="options", pool_mode="session") as through:
        done = run_levelpool("sync", str(tmp_path / "orders.csv"), "--database", through(postgres_url), data_dir=tmp_path / "var")

    assert done.returncode == 0, done.stderr
    assert "1 loaded" in done.stdout
