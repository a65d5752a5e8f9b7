"""Who holds a claim, and whether it still lives."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from levelpool.ingest.ledger.holder import LEASE, has_died, new_holder

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def test_own_process_lives():
    """However long ago the last sign of life was: on the same host the process itself is looked up."""
    assert not has_died(new_holder(), NOW - timedelta(days=1), NOW)


def test_ended_process_is_dead_at_once():
    """No lease has to run out on the same host."""
    code = "from levelpool.ingest.ledger.holder import new_holder; print(new_holder())"
    holder = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    assert has_died(holder, NOW, NOW)


def test_process_id_that_is_used_again_is_told_apart():
    """Another process with the same id is not the holder."""
    place, _, _, service = new_holder().split("|")

    assert has_died(f"{place}|{os.getpid()}|1|{service}", NOW, NOW)


def test_process_elsewhere_lives_as_long_as_it_gives_signs():
    """Another host's processes cannot be looked up: the age of the last sign decides."""
    holder = "elsewhere boot pid:[1]|7|100|abcd"

    assert not has_died(holder, NOW - LEASE, NOW)
    assert has_died(holder, NOW - LEASE - timedelta(seconds=1), NOW)
