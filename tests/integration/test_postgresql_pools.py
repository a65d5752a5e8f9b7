"""Pools against a real PostgreSQL: what the server allows is never exceeded, and nobody waits for ever."""

import asyncio
import contextlib
import json
import logging
import re
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest
import sqlalchemy as sa

from levelpool.database import check_connection, create_async_engine, create_engine, open_connection, read_server_connections
from levelpool.errors import DatabaseError, PoolExhausted
from levelpool.pools import pool_stats
from levelpool.runtime import Runtime
from levelpool.settings import Settings

pytestmark = pytest.mark.postgres

WEB_WORKER = """
import asyncio, json, sys, threading, time
import sqlalchemy as sa
from levelpool.database import create_async_engine, create_engine, open_connection
from levelpool.errors import PoolExhausted

url, seconds, loader = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "loader"
options = dict(pool_size=10, max_overflow=10, web_concurrency=4, pool_timeout=1.0)
pages = create_engine(url, name="pages", **options)
reports = create_async_engine(url, name="reports", application_name="reports of the shop", **options)
done, exhausted, errors, longest = {"pages": 0, "reports": 0}, [], [], [0.0]

def count(name, asked, error=None):
    longest[0] = max(longest[0], time.monotonic() - asked)
    if error is None:
        done[name] += 1
    elif isinstance(error, PoolExhausted):
        exhausted.append(1)
    else:
        errors.append(str(error))

def request():
    while time.monotonic() < end:
        asked = time.monotonic()
        try:
            with pages.connect() as connection:
                count("pages", asked)
                connection.execute(sa.text("SELECT pg_sleep(0.01)"))
        except Exception as error:
            count("pages", asked, error)

async def report():
    while time.monotonic() < end:
        asked = time.monotonic()
        try:
            async with reports.connect() as connection:
                count("reports", asked)
                await connection.execute(sa.text("SELECT pg_sleep(0.01)"))
        except Exception as error:
            count("reports", asked, error)

async def all_reports():
    await asyncio.gather(*(report() for _ in range(6)))
    await reports.dispose()

def load():
    while time.monotonic() < end:
        try:
            with open_connection(url) as connection, connection.begin():
                connection.execute(sa.text("SELECT pg_sleep(0.05)"))
        except Exception as error:
            errors.append(str(error))

print("ready", flush=True)
sys.stdin.readline()
end = time.monotonic() + seconds
threads = [threading.Thread(target=request) for _ in range(8)] + [threading.Thread(target=asyncio.run, args=(all_reports(),))]
threads += [threading.Thread(target=load)] * loader
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"done": done, "exhausted": len(exhausted), "errors": errors[:3], "longest": longest[0]}))
"""


def test_two_engines_in_each_of_four_web_workers_and_a_loader_fit_into_twenty_connections(start_postgres):
    """
    Sync and async engines ask for 160 connections in all, as an ordinary role.

    There are never more than the server allows less its reserved slots and 3: nobody meets "too many clients", nobody waits past the limit, and everybody is served.
    """
    server = start_postgres(max_connections="20")
    command = [sys.executable, "-c", WEB_WORKER, server.create_database(), "2"]
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen([*command, "loader" if number == 0 else "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for number in range(4)
        ]
        assert {worker.stdout.readline() for worker in workers} == {"ready\n"}
        with server.count_connections() as counted:
            for worker in workers:
                worker.stdin.write("go\n")
                worker.stdin.flush()
            said = [json.loads(worker.communicate(timeout=50)[0]) for worker in workers]

    assert [worker["errors"] for worker in said] == [[]] * 4
    assert all(count > 10 for worker in said for count in worker["done"].values())
    assert max(worker["longest"] for worker in said) < 1.0 + 1.0
    assert 4 * 2 < max(counted) <= 20 - 3 - 3
    assert not re.search("too many|connection slots", server.log())


def take_all(engine, stack):
    """Take connections until there is none."""
    while True:
        stack.enter_context(engine.connect())


def test_pool_is_cut_to_what_the_server_allows(start_postgres, caplog):
    """The log shows the sum; waiting beyond the cut ends with an error that names the holder."""
    url = start_postgres(max_connections="12").create_database()
    caplog.set_level(logging.INFO, "levelpool.database")
    engine = create_engine(url, pool_size=20, max_overflow=5, web_concurrency=2, pool_timeout=0.2)
    with contextlib.ExitStack() as stack:
        with pytest.raises(
            PoolExhausted, match=r"held longest by thread MainThread .* it has room for \d of the 25 that this pool would like"
        ):
            take_all(engine, stack)
        stats = pool_stats(engine)
    engine.dispose()

    assert stats.size + stats.max_overflow == stats.checked_out <= 2
    assert "max_connections 12 - reserved 3 - other programs 0 - reserve 3 - loading workers" in caplog.text
    assert "cut to fit the server" in caplog.text


def test_server_with_no_room_is_refused_with_the_sum(start_postgres):
    """Eight connections for six web workers cannot be."""
    url = start_postgres(max_connections="8").create_database()

    with pytest.raises(DatabaseError, match=r"does not allow enough connections: max_connections 8 .* for 6 web workers: 0 each"):
        create_engine(url, web_concurrency=6).connect()


def test_limit_of_the_role_counts_like_that_of_the_server(start_postgres, caplog):
    """A hosted database often allows a hundred connections and ten for each role."""
    server = start_postgres(max_connections="50")
    url = server.create_database()
    server.limit_role(9)
    caplog.set_level(logging.INFO, "levelpool.database")
    engine = create_engine(url, pool_size=20, max_overflow=5, web_concurrency=2, pool_timeout=0.2)
    with contextlib.ExitStack() as stack:
        with pytest.raises(PoolExhausted):
            take_all(engine, stack)
        stats = pool_stats(engine)
        found = read_server_connections(stack.enter_context(psql(url)))
    engine.dispose()

    assert stats.checked_out == stats.size + stats.max_overflow <= 2
    assert "connection limit of the role 9 - other programs 0 - reserve 3 - loading workers" in caplog.text
    assert (found.max_connections, found.role_limit, found.role_others) == (50, 9, 1)


@contextlib.contextmanager
def psql(url):
    """A connection of another program."""
    with open_connection(sa.make_url(url).update_query_dict({"application_name": "psql"})) as connection:
        yield connection


def test_server_that_others_have_filled_is_asked_again(start_postgres):
    """Somebody takes all that was free: who asks is told so in time; when one goes, the next one who asks gets its connection."""
    url = start_postgres(max_connections="12").create_database()
    engine = create_engine(url, pool_size=5, max_overflow=0, web_concurrency=1, pool_timeout=1.0)
    with engine.connect(), contextlib.ExitStack() as crowd:
        others = [crowd.enter_context(contextlib.ExitStack()) for _ in range(12 - 3 - 1)]
        for other in others:
            other.enter_context(psql(url))
        with pytest.raises(PoolExhausted, match=r"within 1 s \(the server is full: .*(too many clients|connection slots)"):
            engine.connect()
        leaving = threading.Timer(0.2, others[0].close)
        leaving.start()
        with engine.connect() as connection:
            got = connection.execute(sa.text("SELECT 1")).scalar()
        leaving.join()
    engine.dispose()

    assert got == 1


def test_pool_that_fits_is_left_alone(postgres_url):
    """With room for all, every connection that was asked for can be had, and comes back."""
    engine = create_engine(postgres_url, pool_size=2, max_overflow=3)
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(engine.connect())
            full = pool_stats(engine)
    empty = pool_stats(engine)
    engine.dispose()

    assert (full.size, full.max_overflow, full.checked_out, full.overflow) == (2, 3, 5, 3)
    assert (empty.checked_out, empty.overflow) == (0, 0)


async def test_async_pool_is_cut_alike(start_postgres):
    """The same sum holds with await."""
    url = start_postgres(max_connections="12").create_database()
    engine = create_async_engine(url, pool_size=20, max_overflow=5, web_concurrency=2, pool_timeout=0.1)
    async with engine.connect() as connection:
        found = await connection.run_sync(read_server_connections)
        stats = pool_stats(engine)
        crowd = await asyncio.gather(*(engine.connect() for _ in range(8)), return_exceptions=True)
        taken = [each for each in crowd if not isinstance(each, PoolExhausted)]
        for each in taken:
            await each.close()
    await engine.dispose()

    assert (found.max_connections, found.reserved, found.in_use, found.others) == (12, 3, 1, 0)
    assert stats.size + stats.max_overflow == 1 + len(taken) <= 2


def test_connection_of_a_job_has_no_statement_timeout_and_a_pooled_one_has(postgres_url):
    """Loading may take its time; a page may not."""
    engine = create_engine(postgres_url, statement_timeout=7.5)
    with open_connection(postgres_url) as job, engine.connect() as pooled:
        timeouts = [each.execute(sa.text("SHOW statement_timeout")).scalar() for each in (job, pooled)]
        names = [each.execute(sa.text("SHOW application_name")).scalar() for each in (job, pooled)]
    engine.dispose()

    assert timeouts == ["0", "7500ms"]
    assert names == ["levelpool worker", "levelpool"]


def test_connection_that_the_server_dropped_is_replaced(postgres_url):
    """A pooled connection is pinged before it is used."""
    engine = create_engine(postgres_url, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        before = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
    with open_connection(postgres_url) as other, other.begin():
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
    with engine.connect() as connection:
        after = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
    engine.dispose()

    assert after != before


LONG_STATEMENT = """
import asyncio, sys
import sqlalchemy as sa
from levelpool.database import create_async_engine, create_engine, open_connection

url, kind = sys.argv[1:]
statement = sa.text("SELECT count(*) FROM generate_series(1, 3000000000)")

async def awaited():
    async with create_async_engine(url).connect() as connection:
        print("ready", flush=True)
        await connection.execute(statement)

if kind == "async":
    asyncio.run(awaited())
else:
    with open_connection(url) if kind == "job" else create_engine(url).connect() as connection:
        print("ready", flush=True)
        connection.execute(statement)
"""


@pytest.mark.parametrize("kind", ["sync", "async", "job"])
def test_killed_process_gives_its_connection_back_while_its_statement_runs(postgres, postgres_url, kind):
    """The server computes on for nobody; it notices within a second or two, and the connection is free again."""
    with subprocess.Popen([sys.executable, "-c", LONG_STATEMENT, postgres_url, kind], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        running = wait_for_connections(postgres_url, 1)
        process.kill()
    killed = time.monotonic()
    left = wait_for_connections(postgres_url, 0)

    assert (running, left) == (1, 0)
    assert time.monotonic() - killed < 10


def wait_for_connections(url, count):
    """How many others run a statement in this database, once there are *count* of them, or after ten seconds."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 10
    with open_connection(url) as connection:
        while True:
            with connection.begin():
                found = connection.execute(sa.text(statement)).scalar()
            if found == count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


@pytest.fixture
def no_encoding(postgres):
    """The URL of a database that keeps bytes; dropping it fails while somebody is connected."""
    url = postgres.create_database(encoding="SQL_ASCII")
    yield url
    postgres.drop_database(url)


_OF_NO_ENCODING = sa.text("SELECT current_database(), :given || 'ß', CAST('{\"a\": [1]}' AS json), ARRAY['é', NULL], 12.5")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_database_of_no_encoding_answers_text_where_the_url_says_which(no_encoding, kind):
    """Both engines read its bytes as UTF-8 then and write UTF-8, also what is no ASCII."""
    url = sa.make_url(no_encoding).update_query_dict({"client_encoding": "utf8"})
    if kind == "async":
        awaited = create_async_engine(url)
        async with awaited.connect() as connection:
            found = (await connection.execute(_OF_NO_ENCODING, {"given": "żółw "})).one()
        await awaited.dispose()
    else:
        engine = create_engine(url)
        with engine.connect() as connection:
            found = connection.execute(_OF_NO_ENCODING, {"given": "żółw "}).one()
        engine.dispose()

    assert tuple(found[1:]) == ("żółw ß", {"a": [1]}, ["é", None], Decimal("12.5"))


async def test_database_of_no_encoding_is_refused_in_a_sentence(no_encoding):
    """The sentence says what to add to the URL, to both engines and to a worker; no connection is left, though the engines are still there."""
    engine, awaited = create_engine(no_encoding), create_async_engine(no_encoding)
    said = r"SQL_ASCII.*client_encoding=utf8"

    with pytest.raises(DatabaseError, match=said):
        engine.connect()
    with pytest.raises(DatabaseError, match=said):
        await awaited.connect()
    with pytest.raises(DatabaseError, match=said):
        check_connection(no_encoding)

    with open_connection(sa.make_url(no_encoding).update_query_dict({"client_encoding": "latin1"})) as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        deadline = time.monotonic() + 10
        while (left := connection.exec_driver_sql(others).scalar()) and time.monotonic() < deadline:
            connection.rollback()
    assert left == 0


def test_missing_database_is_said_without_the_password(postgres_url):
    """One sentence with the name that is wrong."""
    wrong = sa.make_url(postgres_url).set(database="absent", password="s3cret")

    with pytest.raises(DatabaseError, match='database "absent" does not exist') as got:
        check_connection(wrong)

    assert "s3cret" not in str(got.value)


@pytest.mark.parametrize("make", [create_engine, create_async_engine])
async def test_runtime_asks_the_server_through_a_watched_pool(postgres_url, make):
    """Sync or async: what the server allows and has in use."""
    engine = make(postgres_url, pool_size=1, max_overflow=1)
    async with Runtime(Settings(cpu_executor_workers=1, io_executor_workers=2, shutdown_timeout=2.0)) as runtime:
        runtime.add_pool("main", engine)
        server = await runtime.server_connections()
        pools = runtime.pools()
        snapshot = await runtime.monitor.fresh(max_age=0)
    disposed = engine.dispose()
    if disposed is not None:
        await disposed

    assert (server["max_connections"], server["reserved"]) == (50, 3)
    assert server["in_use"] >= 1
    assert [(pool.name, pool.size) for pool in pools] == [("main", 1)] == [(pool.name, pool.size) for pool in snapshot.pools]
