"""An inbox, a data folder and a manager with real worker processes, for tests of files on their way into tables."""

import asyncio
from pathlib import Path

import pytest
import uvloop

from dask_cluster import cluster_of
from levelpool.executor import ExecutorManager
from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.service import DataIngestionService
from levelpool.lanes.bulkheads import Bulkhead

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(config, item):
    """A file that names several `LOOPS` is run on each; the others on asyncio's own."""
    return {name: LOOPS[name] for name in getattr(item.module, "LOOPS", ["asyncio"])}


@pytest.fixture
def inbox(tmp_path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def manager():
    """One manager for all: its workers are warm after the first file."""
    manager = ExecutorManager(cpu_workers=2, io_workers=4, preload=["levelpool.ingest.job"])
    yield manager
    manager.shutdown(timeout=10.0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A real Dask cluster of two workers."""
    with cluster_of(2, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def dask_manager(cluster):
    """A manager whose CPU lane runs there."""
    manager = cluster.manager(cpu_bulkheads={"narrow": Bulkhead(workers=1)})
    yield manager
    manager.shutdown(timeout=10.0)


@pytest.fixture
async def service(database_url, tmp_path, manager):
    """An open service without a background worker."""
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "data") as service:
        yield service


@pytest.fixture
async def sync(database_url, inbox, service):
    """The inbox of that service."""
    async with DataSyncService(database_url, inbox, rest=0.1, intake=service.intake) as sync:
        yield sync


@pytest.fixture
def ended():
    """A function that waits until a file has ended, and returns its record."""

    async def wait(service: DataIngestionService, file_id: int) -> dict:
        async with asyncio.timeout(30):
            while (record := await service.file(file_id))["status"] in {"pending", "running"}:
                await asyncio.sleep(0.02)
        return record

    return wait


@pytest.fixture
async def postgres_service(postgres_url, tmp_path, manager):
    """The same on PostgreSQL alone."""
    async with DataIngestionService(postgres_url, manager, data_dir=tmp_path / "data") as service:
        yield service
