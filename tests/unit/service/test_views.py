"""What the page reads from the ledger."""

import pytest

from levelpool.database import open_connection
from levelpool.ingest.ledger import queries, recording
from levelpool.ingest.ledger.datasets import add_dataset
from levelpool.ingest.ledger.schema import sheets
from levelpool.ingest.migrations import migrate
from levelpool.service.views import read_sheets

ZEROS = dict.fromkeys(("rows_loaded", "rows_quarantined", "cells_loaded", "cells_quarantined", "cells_outside"), 0)


@pytest.mark.parametrize(
    "plan", [None, [], "later", {"columns": "none", "reasons": {"a": 1}, "scales": [1]}, {"columns": [7], "scales": 3}]
)
def test_plan_in_another_form_breaks_nothing_else(sqlite_url, plan):
    """A newer release, or a hand, wrote it: what it says otherwise is shown."""
    with open_connection(sqlite_url) as connection, connection.begin():
        migrate(connection)
        new = recording.NewFile(name="a.csv", source="upload", actor="ann", sha256="a" * 64, store="here", dataset="orders")
        file_id = recording.record(connection, new).id
        dataset_id = add_dataset(connection, "orders", file_id)
        row = {
            "file_id": file_id,
            "name": "a",
            "position": 0,
            "dataset": "orders",
            "dataset_id": dataset_id,
            "hidden": False,
            "plan": plan,
        } | ZEROS
        connection.execute(sheets.insert(), row)
        if plan == "later":
            connection.exec_driver_sql("UPDATE levelpool_sheets SET plan = 'no JSON at all'")

        [shown] = read_sheets(connection, file_id)
        assert (shown["name"], shown["columns"], shown["reasons"]) == ("a", [], [])
        assert queries.get_file(connection, file_id)["sheets"][0]["name"] == "a"
        assert queries.list_files(connection, 10, 0)["total"] == 1
