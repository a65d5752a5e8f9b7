"""The whole service on PostgreSQL, as in production: several web workers, one inbox."""

import time

import pytest

from running import start_service

pytestmark = pytest.mark.postgres

ORDERS = b"Order No,Placed,Amount\n000184,2026-11-01,12.50\n000185,2026-11-02,7.25\n"


def test_two_web_workers_on_postgresql_load_the_inbox_once(postgres_url, tmp_path):
    """Each file once, its rows with their types, the pools within what the server allows, and no traceback in the log."""
    service = start_service(tmp_path / "var", "--workers", "2", LEVELPOOL_DATABASE_URL=postgres_url, LEVELPOOL_ENV="production")
    (service.inbox / "orders_2026-11-01.csv").write_bytes(ORDERS)
    client = service.client()
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        listed = client.get("/api/files").raise_for_status().json()
        if listed["files"] and listed["files"][0]["status"] == "loaded":
            break
        time.sleep(0.2)
    rows = client.get("/api/datasets/orders/rows").raise_for_status().json()
    pools = client.get("/api/system/db-pool-stats").raise_for_status().json()

    assert [file["status"] for file in listed["files"]] == ["loaded"]
    assert [(row["order_no"], row["placed"], row["amount"]) for row in rows["rows"]] == [
        ("000184", "2026-11-01", "12.50"),
        ("000185", "2026-11-02", "7.25"),
    ]
    assert pools["server"]["in_use"] < pools["server"]["max_connections"]
    assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()
