"""Other people's hosts, those that need nothing beside what the suite has; `make test-hosts` tries all of them."""

import sys

import pytest

import hosts


@pytest.mark.parametrize("name", ["uvicorn", "pytest with xdist", "python -m", "zipapp", "PID 1"])
def test_host_has_both_lanes_and_leaves_nothing(tmp_path, name):
    """A server answers with where its calls ran and ends, a program runs to its end: no process is left, no traceback printed."""
    hosts.HOSTS[name](hosts.Trial(sys.executable, tmp_path))
