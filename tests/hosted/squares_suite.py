"""A suite for pytest with xdist: each of its processes has workers of its own."""

import os

import pytest

from levelpool import ExecutorManager


@pytest.fixture(scope="session")
def manager():
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    yield manager
    manager.shutdown()


@pytest.mark.parametrize("number", range(20))
def test_call(manager, number):
    assert manager.cpu_executor.submit(pow, number, 2).result(30) == number * number
    assert manager.cpu_executor.submit(os.getppid).result(30) != os.getppid()
