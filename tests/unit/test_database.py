"""Engines, pools and their accounts, on SQLite."""

import asyncio
import pickle
import socket
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from levelpool.capacity.detect import detect_capacity
from levelpool.database import check_connection, create_async_engine, create_engine, open_connection, parse_url, read_server_connections
from levelpool.errors import DatabaseError, PoolExhausted, SettingsError
from levelpool.pools import connection_holder, pool_stats
from levelpool.settings import Settings
from levelpool.sizing import Sizes, size


@pytest.fixture
def url(tmp_path):
    """A SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/data.db"


@pytest.fixture
def engine(url):
    """An engine with room for two, and a short patience."""
    engine = create_engine(url, pool_size=1, max_overflow=1, pool_timeout=0.2)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)"))
    yield engine
    engine.dispose()


def insert_without_patience(engine):
    """Write one row, or fail soon."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        connection.execute(sa.text("INSERT INTO items (name) VALUES ('late')"))


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 30000)])
def test_sqlite_is_set_up_for_safety(engine, pragma, value):
    """Write-ahead log, foreign keys, FULL (2), and patience with other writers."""
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_reader_does_not_wait_for_a_writer(engine):
    """While one transaction writes, another one reads what was there before."""
    with engine.connect() as writer, engine.connect() as reader:
        writer.execute(sa.text("INSERT INTO items (name) VALUES ('new')"))
        count = reader.execute(sa.text("SELECT count(*) FROM items")).scalar()
        writer.commit()

    assert count == 0


def test_reader_sees_one_moment(engine):
    """A transaction that began by reading does not see what is committed meanwhile."""
    with engine.connect() as writer, engine.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM items"))
        writer.execute(sa.text("INSERT INTO items (name) VALUES ('new')"))
        writer.commit()

        assert reader.execute(sa.text("SELECT count(*) FROM items")).scalar() == 0


def test_writer_takes_the_lock_when_it_begins(url, engine):
    """A job that says it writes holds off other writers from its first statement on, even when that one reads."""
    with open_connection(url) as job, job.begin():
        job.execute(sa.text("SELECT count(*) FROM items"))

        with pytest.raises(OperationalError, match="locked"):
            insert_without_patience(engine)


def test_common_table_expression_that_writes_is_a_writer(engine):
    """WITH ... INSERT begins like any other writer."""
    with engine.connect() as connection:
        connection.execute(sa.text("WITH one AS (SELECT 'a' AS name) INSERT INTO items (name) SELECT name FROM one"))
        with pytest.raises(OperationalError, match="locked"):
            insert_without_patience(engine)


def test_rollback_takes_everything_back(engine):
    """DDL included: the driver's habit of committing before it is switched off."""
    with engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO items (name) VALUES ('a')"))
        connection.execute(sa.text("CREATE TABLE more (id INTEGER)"))
        connection.rollback()

        assert sa.inspect(connection).get_table_names() == ["items"]
        assert connection.execute(sa.text("SELECT count(*) FROM items")).scalar() == 0


def test_savepoint_keeps_the_rest(engine):
    """A nested transaction rolls back alone."""
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO items (name) VALUES ('kept')"))
        nested = connection.begin_nested()
        connection.execute(sa.text("INSERT INTO items (name) VALUES ('dropped')"))
        nested.rollback()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT name FROM items")).scalars().all() == ["kept"]


def test_pool_stats_count_holders_and_overflow(engine):
    """Who holds a connection is told by the context it was taken in."""
    token = connection_holder.set("GET /api/files")
    with engine.connect(), engine.connect():
        stats = pool_stats(engine)
    connection_holder.reset(token)

    assert (stats.name, stats.size, stats.max_overflow, stats.checked_out, stats.overflow, stats.waiting) == ("main", 1, 1, 2, 1, 0)
    assert [holder.name for holder in stats.holders] == ["GET /api/files"] * 2
    assert pool_stats(engine).checked_out == 0
    assert pool_stats(engine).holders == ()


def test_pool_stats_count_who_waits(engine):
    """A call that waits for a connection is counted, and its wait is remembered."""
    got = threading.Event()

    def take():
        with engine.connect():
            got.set()

    with engine.connect():
        with engine.connect():
            thread = threading.Thread(target=take)
            thread.start()
            while not pool_stats(engine).waiting:
                assert not got.is_set()
        got.wait(5)
        thread.join(5)

    stats = pool_stats(engine)
    histogram = stats.to_dict()["wait_histogram"]

    assert stats.waiting == 0
    assert 0 < stats.wait_p99 <= histogram["sum"]
    assert histogram["count"] == 4
    assert histogram["buckets"][-1] == {"le": 16.777216, "count": 4}


def test_exhausted_pool_names_who_holds(engine):
    """The error comes within the pool's timeout and says who has the connections, and it can travel."""
    token = connection_holder.set("import of orders.xlsx")
    with (
        engine.connect(),
        engine.connect(),
        pytest.raises(PoolExhausted, match=r"within 0.2 s: 2 are in use \(held longest by import of orders") as got,
    ):
        engine.connect()
    connection_holder.reset(token)

    assert str(pickle.loads(pickle.dumps(got.value))) == str(got.value)


def test_account_survives_dispose(engine):
    """`dispose` makes a new pool; its name and its account go on."""
    engine.dispose()

    with engine.connect():
        assert (pool_stats(engine).name, pool_stats(engine).checked_out) == ("main", 1)


async def test_async_engine_behaves_alike(url):
    """The same pool, the same account, the same error, with await."""
    engine = create_async_engine(url, name="pages", pool_size=1, max_overflow=0, pool_timeout=0.1)
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE items (id INTEGER)"))
        stats = pool_stats(engine)
        with pytest.raises(PoolExhausted, match="pool 'pages'"):
            await engine.connect()
    async with engine.connect() as connection:
        mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar()
    await engine.dispose()

    assert (stats.name, stats.size, stats.max_overflow, stats.checked_out) == ("pages", 1, 0, 1)
    assert stats.holders[0].name == f"task {asyncio.current_task().get_name()}"
    assert mode == "wal"


def test_default_pool_follows_the_environment(url, monkeypatch):
    """Without sizes the pool is that of the settings."""
    monkeypatch.setenv("DB_POOL_SIZE", "3")
    monkeypatch.setenv("DB_MAX_OVERFLOW", "0")

    stats = pool_stats(create_engine(url))

    assert (stats.size, stats.max_overflow) == (3, 0)


POOL_VARIABLES = {
    "DB_POOL_SIZE",
    "DB_MAX_OVERFLOW",
    "WEB_CONCURRENCY",
    "CPU_EXECUTOR_WORKERS",
    "LEVELPOOL_ENV",
    "LEVELPOOL_POOLER_CONNECTIONS",
}
SIZES = Sizes(web_concurrency=1, cpu_workers=1, io_workers=1, db_pool_size=2, db_max_overflow=7, worker_memory_limit=1 << 30)


def set_odd(monkeypatch, names):
    """Give these variables a value that none of them can be."""
    for name in names:
        monkeypatch.setenv(name, "odd")


@pytest.fixture(params=[create_engine, create_async_engine])
def make_engine(request):
    """Both kinds."""
    return request.param


def test_engine_looks_at_no_variable_but_those_of_its_pool(make_engine, url, monkeypatch):
    """A program without any server has no use for a port: whatever LEVELPOOL_PORT and all the others hold, its own variables count."""
    set_odd(monkeypatch, {each.name for each in Settings.variables()} - POOL_VARIABLES)
    monkeypatch.setenv("DB_POOL_SIZE", "3")

    assert pool_stats(make_engine(url)).size == 3


@pytest.mark.parametrize("name", sorted(POOL_VARIABLES))
def test_engine_refuses_an_odd_variable_of_its_pool(make_engine, name, url, monkeypatch):
    """One line names it, its value and what is allowed."""
    set_odd(monkeypatch, {name})

    with pytest.raises(SettingsError, match=f"^{name} is 'odd': it must be "):
        make_engine(url)


def test_pool_of_a_program_is_that_of_its_environment(make_engine, url, monkeypatch):
    """LEVELPOOL_ENV counts where nobody hands sizes in."""
    monkeypatch.setenv("LEVELPOOL_ENV", "production")
    expected = size(detect_capacity(), environment="production")

    stats = pool_stats(make_engine(url))

    assert (stats.size, stats.max_overflow) == (expected.db_pool_size, expected.db_max_overflow)


def test_engine_with_sizes_of_its_own_does_not_look_at_the_environment(make_engine, url, monkeypatch):
    """Whoever has sizes hands them in, and no variable can be in the way."""
    set_odd(monkeypatch, {each.name for each in Settings.variables()})

    stats = pool_stats(make_engine(url, sizes=SIZES))

    assert (stats.size, stats.max_overflow) == (2, 7)


def test_size_said_by_itself_takes_the_place_of_one_in_the_sizes(make_engine, url):
    """Two engines of one process can share sizes and differ in one of them; an overflow of 0 counts."""
    stats = pool_stats(make_engine(url, sizes=SIZES, max_overflow=0))

    assert (stats.size, stats.max_overflow) == (2, 0)


def test_server_is_shared_with_the_web_workers_that_were_said(make_engine):
    """*web_concurrency* takes the place of that of the sizes, too; nothing connects before the first use."""
    pool = make_engine("postgresql://a@nowhere.example/d", sizes=SIZES, web_concurrency=4).pool

    assert pool.sizes == replace(SIZES, web_concurrency=4)


def test_engine_in_memory_is_one_database():
    """Two connections to :memory: see the same tables."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE items (id INTEGER)"))
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["items"]
    engine.dispose()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://a@h/d", "postgresql+psycopg"),
        ("postgres://a@h/d", "postgresql+psycopg"),
        ("postgresql+asyncpg://a@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg_async://a@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://a@h/d", "postgresql+psycopg2"),
        ("sqlite:///x.db", "sqlite"),
        ("sqlite+aiosqlite:///x.db", "sqlite"),
        ("sqlite+pysqlite:///x.db", "sqlite"),
    ],
)
def test_url_without_a_driver_or_with_one_of_asyncio_gets_ours(given, used):
    """The same address is often given to a program that awaits; another driver that is named stays."""
    assert parse_url(given).drivername == used


def test_encryption_that_asyncpg_is_asked_for_is_asked_of_psycopg():
    """The two call it by another name."""
    url = parse_url("postgresql+asyncpg://a@h/d?ssl=verify-full&application_name=shop")

    assert url.query == {"sslmode": "verify-full", "application_name": "shop"}


def test_option_that_only_asyncpg_knows_is_refused_by_name():
    """Passing it over would be a setting that nobody keeps to."""
    with pytest.raises(DatabaseError, match=r"^cannot use postgresql\+asyncpg://a:\*\*\*@h/d: statement_cache_size in the URL"):
        create_engine("postgresql+asyncpg://a:s3cret@h/d?statement_cache_size=0")


async def test_whoever_awaits_and_names_asyncpg_is_told_that_it_is_missing():
    """It is not replaced behind one's back; no extra brings it."""
    with pytest.raises(DatabaseError, match=r"the package asyncpg is not installed: pip install asyncpg, or name no driver$"):
        create_async_engine("postgresql+asyncpg://a@h/d")


async def test_driver_that_cannot_be_awaited_is_refused_in_one_line():
    """SQLAlchemy's own error speaks of classes of pools."""
    with pytest.raises(
        DatabaseError, match=r"sqlite\+pysqlcipher is not for this kind of engine; name no driver, and the right one is taken$"
    ):
        create_async_engine("sqlite+pysqlcipher:///x.db", module=sqlite3)


@pytest.mark.parametrize("driver", ["aiosqlite", "pysqlite"])
async def test_sqlite_is_reached_whatever_its_url_names(driver, tmp_path):
    """By each way to connect."""
    url = f"sqlite+{driver}:///{tmp_path}/data.db"
    check_connection(url)
    plain = create_engine(url)
    with plain.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    plain.dispose()
    engine = create_async_engine(url)
    async with engine.connect() as awaited:
        assert (await awaited.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
    await engine.dispose()


@pytest.mark.parametrize("bad", ["", "   ", "not a url", "://", "postgresql://u:s3cret@h:port/d", "oracle9://u:s3cret@h/d"])
def test_unusable_url_is_refused_in_one_line_without_its_password(bad):
    """A URL that is none, or of a database nobody knows."""
    with pytest.raises(DatabaseError) as got:
        create_engine(bad)

    assert "s3cret" not in str(got.value)
    assert "\n" not in str(got.value)


def test_missing_folder_is_named(tmp_path):
    """SQLite alone would only say that it is unable to open the file."""
    with pytest.raises(DatabaseError, match=r"the folder .*/absent does not exist"):
        check_connection(f"sqlite:///{tmp_path}/absent/data.db")


def test_file_that_is_no_database_is_said(tmp_path):
    """A spreadsheet in place of the database."""
    (tmp_path / "data.db").write_bytes(b"PK\x03\x04" * 300)

    with pytest.raises(DatabaseError, match="not a database"):
        check_connection(f"sqlite:///{tmp_path}/data.db")


@pytest.mark.parametrize("password", ["s3cret", "s3c:ret/@"])
async def test_unreachable_server_is_said_without_the_password(password):
    """Nobody listens: one sentence with host and database, from every way to connect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = sa.URL.create("postgresql", "me", password, "127.0.0.1", port, "orders")

    with pytest.raises(
        DatabaseError, match=rf"cannot connect to postgresql\+psycopg://me:\*\*\*@127.0.0.1:{port}/orders: .*refused"
    ) as plain:
        check_connection(url)
    with pytest.raises(DatabaseError) as pooled:
        create_engine(url).connect()
    with pytest.raises(DatabaseError) as awaited:
        await create_async_engine(url).connect()

    assert not any(password in str(error.value) for error in (plain, pooled, awaited))


def test_error_of_a_statement_stays_sqlalchemys(engine):
    """Only a connection that fails is renamed; an error of a statement is what SQLAlchemy says."""
    with engine.connect() as connection, pytest.raises(OperationalError, match="no such table"):
        connection.execute(sa.text("SELECT * FROM absent"))


def test_sqlite_has_no_server(engine):
    """There is no limit to read."""
    with engine.connect() as connection:
        assert read_server_connections(connection) is None


def test_many_processes_open_a_new_file_at_once(tmp_path):
    """The switch to the write-ahead log needs the file alone for a moment; nobody is turned away."""
    code = (
        "import sqlalchemy as sa, sys\n"
        "from levelpool.database import open_connection\n"
        "sys.stdin.read()\n"
        "for _ in range(5):\n"
        "    with open_connection(sys.argv[1]) as c, c.begin():\n"
        "        c.execute(sa.text('CREATE TABLE IF NOT EXISTS t (x)'))\n"
        "        c.execute(sa.text('INSERT INTO t VALUES (1)'))\n"
    )
    url = f"sqlite:///{tmp_path}/new.db"
    crowd = [subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for each in crowd:
        each.stdin.close()
        each.stdin = None
    errors = [each.communicate(timeout=50)[1].decode() for each in crowd]

    assert not any(errors)
    with open_connection(url, write=False) as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar() == 15
