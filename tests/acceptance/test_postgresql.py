"""The whole service on PostgreSQL, as in production: several web workers, one inbox."""

import re
import threading
import time

import pytest
import sqlalchemy as sa

from levelpool.database import POOL_TIMEOUT, open_connection
from running import run_levelpool

pytestmark = pytest.mark.postgres

ORDERS = b"Order No,Placed,Amount\n000184,2026-11-01,12.50\n000185,2026-11-02,7.25\n"


def test_two_web_workers_on_postgresql_load_the_inbox_once(postgres_url, tmp_path, start):
    """Each file once, its rows with their types, the pools within what the server allows, and no traceback in the log."""
    service = start(tmp_path / "var", "--workers", "2", LEVELPOOL_DATABASE_URL=postgres_url, LEVELPOOL_ENV="production")
    (service.inbox / "orders_2026-11-01.csv").write_bytes(ORDERS)
    client = service.client()
    files = wait_for_files(client, 1)
    rows = client.get("/api/datasets/orders/rows").raise_for_status().json()
    pools = client.get("/api/system/db-pool-stats").raise_for_status().json()

    assert [file["status"] for file in files] == ["loaded"]
    assert [(row["order_no"], row["placed"], row["amount"]) for row in rows["rows"]] == [
        ("000184", "2026-11-01", "12.50"),
        ("000185", "2026-11-02", "7.25"),
    ]
    assert pools["server"]["in_use"] < pools["server"]["max_connections"]
    assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


def ask_again_and_again(service, path, until, answers):
    """Write down the status and the duration of every answer, until the moment *until*, and of five at least."""
    client = service.client()
    count = 0
    while time.monotonic() < until or count < 5:
        count += 1
        asked = time.monotonic()
        answer = client.get(path)
        answers.append((answer.status_code, time.monotonic() - asked, answer.text[:200]))


@pytest.mark.timeout(150)
def test_four_web_workers_under_load_never_ask_a_small_server_for_too_much(start_postgres, tmp_path, start):
    """
    PostgreSQL with 20 connections, an ordinary role, four web workers, files that are loaded, and a crowd that asks.

    Never more connections than the server allows less its reserved slots and 3; every request is answered, in time; every file is loaded.
    """
    server = start_postgres(max_connections="20")
    service = start(
        tmp_path / "var",
        "--workers",
        "4",
        LEVELPOOL_DATABASE_URL=server.create_database(),
        LEVELPOOL_ENV="production",
        CPU_EXECUTOR_WORKERS="2",
    )
    rows = b"".join(b"%d,2026-11-01,%d.50\n" % (number, number) for number in range(500))
    answers: list[tuple[int, float, str]] = []
    with server.count_connections() as counted:
        for number in range(4):
            (service.inbox / f"part_{number}.csv").write_bytes(b"Part,Made,Price\n%d,2026-11-02,1.00\n" % number + rows)
        until = time.monotonic() + 2
        paths = ["/api/files", "/api/datasets", "/api/system/db-pool-stats", "/api/files"] * 3
        crowd = [threading.Thread(target=ask_again_and_again, args=(service, path, until, answers)) for path in paths]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()
        files = wait_for_files(service.client(), 4)

    assert {status for status, _, _ in answers} == {200}
    assert len(answers) > 50
    assert max(seconds for _, seconds, _ in answers) < POOL_TIMEOUT
    assert {file["status"] for file in files} == {"loaded"}
    assert max(counted) <= 20 - 3 - 3
    assert service.stop() == 0
    assert not re.search("too many|connection slots", server.log())
    assert (
        "max_connections 20 - reserved 3 - other programs 0 - reserve 3 - loading workers 2 = 12, for 4 web workers: 3 each"
        in service.log.read_text()
    )


@pytest.mark.parametrize("workers", ["1", "3"])
def test_server_with_too_few_connections_stops_the_start_with_the_sum(start_postgres, tmp_path, workers):
    """One sentence, status 2, and no traceback, however many web workers there would be."""
    url = start_postgres(max_connections="8").create_database()
    done = run_levelpool("serve", "--workers", workers, data_dir=tmp_path / "var", LEVELPOOL_DATABASE_URL=url, CPU_EXECUTOR_WORKERS="2")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("levelpool: the database server does not allow enough connections: max_connections 8 - reserved 3 -")
    assert done.stderr.count("\n") == 1


def wait_for_files(client, count):
    """The records of *count* files once all of them have ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        files = client.get("/api/files").raise_for_status().json()["files"]
        if len(files) == count and all(file["status"] not in {"pending", "running"} for file in files):
            return files
        time.sleep(0.1)
    raise AssertionError(f"not all {count} files have ended: {files}")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_database_that_cannot_hold_every_text_is_refused_before_anything_is_made(postgres, tmp_path, encoding):
    """The encoding is named, and how to make a database that does; a server set up without a locale gives SQL_ASCII."""
    url = postgres.create_database(encoding=encoding)
    (tmp_path / "orders.csv").write_bytes(ORDERS)
    done = run_levelpool("sync", str(tmp_path / "orders.csv"), "--database", url, data_dir=tmp_path / "var")
    with open_connection(f"{url}&client_encoding=latin1") as connection:
        tables = sa.inspect(connection).get_table_names()
    postgres.drop_database(url)

    assert (done.returncode, tables) == (2, [])
    assert re.fullmatch(rf"levelpool: the database '\w+' has the encoding {encoding}, .*ENCODING 'UTF8'\n", done.stderr)
