"""Through a real PgBouncer as it comes, in transaction mode: engines, jobs, files and the service, and nothing that stays with strangers."""

import asyncio
import contextlib
import subprocess
import sys

import psycopg
import pytest
import sqlalchemy as sa

import machine
from levelpool.database import check_connection, check_room, create_async_engine, create_engine, open_connection, read_server_connections
from levelpool.errors import DatabaseError, PoolExhausted
from levelpool.sizing import Sizes
from running import run_levelpool, start_service
from servers import pgbouncer

pytestmark = [pytest.mark.postgres, pytest.mark.pgbouncer]

SIZES = Sizes(web_concurrency=2, cpu_workers=2, io_workers=2, db_pool_size=5, db_max_overflow=5, worker_memory_limit=1 << 30)
KEPT_BY_A_SESSION = """
    SELECT current_setting('statement_timeout'), current_setting('client_connection_check_interval'), current_setting('synchronous_commit'),
           (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),
           (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
           (SELECT count(*) FROM pg_class WHERE relpersistence = 't')
"""


@pytest.fixture(scope="module")
def bouncer(postgres):
    """A function that says how a URL is reached through a PgBouncer of transaction mode, which has one session for all of a database."""
    with pgbouncer(machine.find("pgbouncer"), postgres, pool_mode="transaction", default_pool_size="1") as through:
        yield through


@pytest.fixture
def url(bouncer, postgres_url):
    """The URL of a database of this test through PgBouncer."""
    return bouncer(postgres_url)


def session_of_a_stranger(url):
    """What a program that is none of ours finds in the one session, with the number of its process."""
    address = sa.make_url(url)
    with psycopg.connect(host=address.query["host"], port=address.query["port"], dbname=address.database, user="somebody") as stranger:
        return stranger.execute(KEPT_BY_A_SESSION).fetchone(), stranger.execute("SELECT pg_backend_pid()").fetchone()


def run(url, kind, statements, **options):
    """The first value of each statement, each in a transaction of its own, by an engine, by one that is awaited or by the connection of a job."""

    async def awaited():
        engine = create_async_engine(url, sizes=SIZES, **options)
        try:
            async with engine.connect() as connection:
                found = []
                for statement in statements:
                    async with connection.begin():
                        found.append((await connection.execute(sa.text(statement))).scalar())
                return found
        finally:
            await engine.dispose()

    if kind == "async":
        return asyncio.run(awaited())
    engine = create_engine(url, sizes=SIZES, **options)
    try:
        with open_connection(url) if kind == "job" else engine.connect() as connection:
            found = []
            for statement in statements:
                with connection.begin():
                    found.append(connection.execute(sa.text(statement)).scalar())
            return found
    finally:
        engine.dispose()


@pytest.mark.parametrize("kind", ["sync", "async", "job"])
def test_nothing_that_was_set_for_a_session_stays_with_strangers(url, kind):
    """No setting, no prepared statement however often one is sent, no lock, no temporary table; within our transactions the timeout holds."""
    before = session_of_a_stranger(url)
    found = run(
        url, kind, ["SELECT 1"] * 12 + ["SHOW statement_timeout", "SHOW client_connection_check_interval", "SELECT pg_backend_pid()"]
    )

    assert found[:12] == [1] * 12
    assert found[12:14] == ["0" if kind == "job" else "30s", "1s"]
    assert session_of_a_stranger(url) == before == (("0", "0", "on", 0, 0, 0, 0), (found[14],))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_statement_timeout_ends_a_statement(url, kind):
    """As without a pooler."""
    with pytest.raises(sa.exc.OperationalError, match="statement timeout"):
        run(url, kind, ["SELECT pg_sleep(20)"], statement_timeout=0.05)


def test_connection_that_is_lost_before_a_transaction_is_replaced(postgres, postgres_url):
    """PgBouncer was started anew between two transactions of one connection: the error is SQLAlchemy's, and the connection is replaced."""
    with pgbouncer(machine.find("pgbouncer"), postgres, pool_mode="transaction") as through:
        engine = create_engine(through(postgres_url), sizes=SIZES)
        connection = engine.connect()
        connection.execute(sa.text("SELECT 1"))
        connection.rollback()
    with pytest.raises(sa.exc.OperationalError) as lost:
        connection.execute(sa.text("SELECT 1"))
    connection.close()

    assert lost.value.connection_invalidated
    engine.dispose()


def hold(engine, count):
    """Have so many connections open at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(engine.connect())


def test_pool_is_cut_to_what_the_pooler_has_for_us(postgres, postgres_url, caplog):
    """And not to what the server allows; the log shows the sum, and says once what a pooler means."""
    caplog.set_level("INFO", logger="levelpool.database")
    with pgbouncer(machine.find("pgbouncer"), postgres, pool_mode="transaction") as through:
        engine = create_engine(through(postgres_url), sizes=SIZES, name="shop", pool_timeout=0.1)
        with engine.connect() as connection:
            found = read_server_connections(connection)
            check_room(connection, SIZES)
        limits = engine.pool.limits
        with pytest.raises(
            PoolExhausted, match="or raise LEVELPOOL_POOLER_CONNECTIONS, together with the pool of the pooler: it has room for 9 of the 10"
        ):
            hold(engine, 10)
        engine.dispose()

    assert (found.behind_pooler, limits) == (True, (5, 4))
    assert "\n".join(record.message for record in caplog.records) == (
        "the server is reached through a pooler such as PgBouncer: nothing is set for a session, no statement is prepared,"
        " and what a killed process had open is given back when the pooler notices, not at once\n"
        "pool 'shop': 5 connections and 4 more, cut to fit the server: the pooler's connections 20 (LEVELPOOL_POOLER_CONNECTIONS)"
        " - loading workers 2 = 18, for 2 web workers: 9 each"
    )


def test_full_pgbouncer_is_asked_again(postgres, postgres_url):
    """As a server that is full: a connection that becomes free within the patience of the pool is used."""
    with pgbouncer(machine.find("pgbouncer"), postgres, pool_mode="transaction", max_client_conn="1") as through:
        url = through(postgres_url)
        engine = create_engine(url, sizes=SIZES, pool_timeout=0.1)
        with open_connection(url) as connection:
            connection.execute(sa.text("SELECT 1"))
            with pytest.raises(DatabaseError, match="no more connections allowed"):
                engine.connect()
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar() == 1
        engine.dispose()


def test_options_in_the_url_are_named(url):
    """PgBouncer refuses them; the sentence says where else they are set."""
    with pytest.raises(
        DatabaseError, match=r"unsupported startup parameter.* take it out of the URL, and set it for the role with ALTER ROLE"
    ):
        check_connection(f"{url}&options=-c%20work_mem%3D64MB")


def test_files_are_loaded_by_command_and_by_the_service(url, tmp_path):
    """With one session of PostgreSQL for all of it; the session is as it was."""
    (tmp_path / "orders.csv").write_text("order,amount\n" + "".join(f"{each:06d},{each}.50\n" for each in range(300)))
    before = session_of_a_stranger(url)
    done = run_levelpool("sync", str(tmp_path / "orders.csv"), "--database", url, data_dir=tmp_path / "var")
    assert done.returncode == 0, done.stderr
    assert "1 loaded" in done.stdout

    service = start_service(tmp_path / "serve", LEVELPOOL_DATABASE_URL=url, LEVELPOOL_POOLER_CONNECTIONS="1")
    client = service.client()
    answer = client.post("/api/files", files={"file": ("invoices.csv", b"invoice,amount\n1,2.50\n2,3.50\n")})
    record = service.settled(answer.raise_for_status().json()["id"])
    rows = client.get("/api/datasets/invoices/rows").raise_for_status().json()["rows"]
    assert service.stop() == 0

    assert record["status"] == "loaded"
    assert [row["amount"] for row in rows] == ["2.50", "3.50"]
    assert "Traceback" not in service.log.read_text()
    assert session_of_a_stranger(url) == before


LONG_STATEMENT = """
import sys
import sqlalchemy as sa
from levelpool.database import open_connection

with open_connection(sys.argv[1]) as connection, connection.begin():
    print(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar(), flush=True)
    connection.execute(sa.text("SELECT count(*) FROM generate_series(1, 3000000000)"))
"""


def test_killed_process_gives_the_session_back_while_its_statement_runs(url, postgres_url):
    """PgBouncer closes the session of a client that has gone, and the server looks for it within our transactions."""
    with subprocess.Popen([sys.executable, "-c", LONG_STATEMENT, url], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.kill()
    with psycopg.connect(
        sa.make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as direct:
        left = [1]
        for _ in range(100):
            left = direct.execute("SELECT pg_sleep(0.1) FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall()
            if not left:
                break

    assert left == []
