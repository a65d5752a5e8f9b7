"""What is a cluster's own: calls that begin once, workers and schedulers that go and come, callers that die, versions that differ; and the service on it."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

import crash_points
import lane_tasks
from dask_cluster import Cluster
from levelpool import ClusterUnreachable, LaneClosed, TaskNotPicklable, WorkerDied
from levelpool.errors import DatabaseError, SettingsError
from levelpool.ingest import runner
from levelpool.ingest.service import DataIngestionService
from levelpool.lanes import distributed
from processes import begun, is_gone, parent, start, until, wait_until
from running import RunningService, start_service

pytestmark = pytest.mark.timeout(150)

ROWS = 5000


def write_numbers(folder: Path, rows: int = ROWS) -> Path:
    path = folder / "numbers.csv"
    path.write_text("n,text\n" + "".join(f"{number},number {number}\n" for number in range(rows)), encoding="utf-8")
    return path


def dask_worker_of(pid: int, cluster: Cluster) -> int:
    """The Dask worker whose child, or whose fork server's child, this process is."""
    workers = {worker.pid for worker in cluster.workers}
    while pid not in workers:
        pid = parent(pid)
    return pid


@pytest.fixture
def another(cluster):
    """A function that makes a manager of its own on the cluster."""
    made = []

    def make(**limits):
        made.append(cluster.manager(**limits))
        return made[-1]

    yield make
    for manager in made:
        manager.shutdown(timeout=0)


@pytest.fixture
async def dask_service(postgres_url, tmp_path, dask_manager):
    async with DataIngestionService(postgres_url, dask_manager, data_dir=tmp_path / "data") as service:
        yield service


# ---------------------------------------------------------------- workers


async def test_call_of_a_dask_worker_that_dies_is_not_run_again(cluster, dask_manager, tmp_path):
    """Dask would run it once more elsewhere; what had not begun moves on, and the child process goes with its Dask worker."""
    await until(lambda: dask_manager.connect() or dask_manager.stats().cpu.max_workers == 2, 30)
    calls = [asyncio.create_task(dask_manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go"))) for _ in range(2)]
    pids = await begun(tmp_path, 2)
    waiting = asyncio.create_task(dask_manager.run_cpu_intensive(lane_tasks.add, 1))
    victim = dask_worker_of(pids[0], cluster)

    os.kill(victim, signal.SIGKILL)

    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=40)
    with pytest.raises(WorkerDied, match=r"the Dask worker tcp://127.0.0.1:\d+ went away while it ran lane_tasks.wait_for") as raised:
        await done.pop()
    await until(lambda: is_gone(pids[0]))
    (tmp_path / "go").touch()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert (raised.value.cause, raised.value.exit_code, raised.value.signal) == ("exit", None, None)
    assert await waiting == 1
    assert sorted(map(type, outcomes), key=str) == [int, WorkerDied]
    assert len(list(tmp_path.glob("go.*"))) == 2
    assert dask_manager.stats().cpu.deaths["exit"] == 1
    cluster.replace_dead()


async def test_caller_that_dies_takes_its_calls_along(cluster, tmp_path):
    """Nobody is left who wants them: the child processes on the cluster are killed."""
    program = f"""
        from levelpool.executor import ExecutorManager
        if __name__ == "__main__":
            os.environ.update(LEVELPOOL_CPU_BACKEND="dask", LEVELPOOL_DASK_SCHEDULER={cluster.address!r})
            asyncio.run(get_executor_manager().run_cpu_intensive(lane_tasks.wait_for, {str(tmp_path / "go")!r}))
    """
    with start(tmp_path, program) as process:
        (pid,) = await begun(tmp_path)
        process.kill()

    await until(lambda: is_gone(pid), 30)


async def test_programs_end_with_calls_under_way(cluster, tmp_path):
    """A program whose loop has gone ends by itself, and says nothing."""
    program = f"""
        async def main():
            manager = get_executor_manager()
            print(await manager.run_cpu_intensive(lane_tasks.add, 1))
            asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 60))
            await asyncio.sleep(0.2)
        if __name__ == "__main__":
            os.environ.update(LEVELPOOL_CPU_BACKEND="dask", LEVELPOOL_DASK_SCHEDULER={cluster.address!r})
            asyncio.run(main())
    """
    with start(tmp_path, program) as process:
        out, errors = await asyncio.get_running_loop().run_in_executor(None, partial(process.communicate, timeout=40))

    assert (out, errors, process.returncode) == ("1\n", "", 0)


async def test_closing_finishes_what_runs_and_kills_the_rest(another, tmp_path):
    """At the deadline the child process is killed, and what had not begun was not run."""
    manager = another(cpu_workers=1)
    running = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
    (pid,) = await begun(tmp_path)
    waiting = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.noop))
    await until(lambda: manager.stats().cpu.submitted == 2)

    await manager.aclose(timeout=0.1)

    with pytest.raises(WorkerDied, match=r"killed because the call was cancelled, 0\.1 s after the lane was closed"):
        await running
    with pytest.raises(LaneClosed, match=r"lane_tasks\.noop was not run"):
        await waiting
    with pytest.raises(LaneClosed):
        await manager.run_cpu_intensive(lane_tasks.noop)
    await until(lambda: is_gone(pid))


async def test_function_of_the_main_program_is_refused(dask_manager):
    """This program is not on the workers, and the sentence says what to do."""

    def task():
        return None

    task.__module__, task.__qualname__ = "__main__", "task"

    with pytest.raises(TaskNotPicklable, match="put the function into a module"):
        await dask_manager.run_cpu_intensive(task)


def test_other_version_on_a_worker_is_told_at_the_start(cluster, tmp_path):
    """One line names the worker and both versions."""
    found = tmp_path / "levelpool-9.9.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: levelpool\nVersion: 9.9\n")
    worker = cluster.start_worker(PYTHONPATH=str(tmp_path))
    try:
        wait_until(lambda: distributed_refusal(cluster.address), 30)
        refusal = distributed_refusal(cluster.address)
    finally:
        cluster.remove(worker)

    assert "the Dask worker tcp://127.0.0.1:" in refusal
    python = "Python {}.{}".format(*sys.version_info)
    assert f"has {python} and levelpool 9.9, and this process has {python} and levelpool 0." in refusal
    assert "\n" not in refusal


def distributed_refusal(address: str) -> str:
    try:
        distributed.check_scheduler(address)
    except SettingsError as error:
        return str(error)
    return ""


# ---------------------------------------------------------------- files


async def test_file_travels_to_the_cluster_and_becomes_rows(dask_service, tmp_path, cluster):
    """Its bytes go along, it reports how far it is, and nothing of it stays on the workers."""
    heard, before = [], set(folders_of_files(cluster))
    session = dask_service.intake.session
    session.config = replace(session.config, on_progress=lambda _id, _name, percent: heard.append(percent))

    record = await dask_service.ingest_file(write_numbers(tmp_path))

    assert (record["status"], record["rows_loaded"]) == ("loaded", ROWS)
    assert (await dask_service.rows("numbers", limit=1, offset=4999))["rows"][0]["text"] == "number 4999"
    assert heard == sorted(heard)
    assert heard[-1] > 99
    assert set(folders_of_files(cluster)) <= before


async def test_preview_is_made_on_the_cluster(dask_service, tmp_path):
    """The file is on this machine alone."""
    looked = await dask_service.look(write_numbers(tmp_path, 20), name="orders.csv")

    (sheet,) = looked.to_dict()["sheets"]
    assert (sheet["dataset"], sheet["rows"], [column["type"] for column in sheet["columns"]]) == ("orders", 20, ["BIGINT", "TEXT"])


async def test_import_on_a_dask_worker_that_is_killed_is_not_there(dask_service, cluster, tmp_path, monkeypatch):
    """It fails with a sentence, nothing of it is in the tables, and a replay brings it whole."""
    signs, before = tmp_path / "signs", set(folders_of_files(cluster))
    signs.mkdir()
    with monkeypatch.context() as patch:
        pausing = partial(crash_points.ingest_remotely_and_pause, at="in the middle of pass 2", folder=signs)
        patch.setattr(runner, "ingest_remotely", pausing)
        loading = asyncio.create_task(dask_service.ingest_file(write_numbers(tmp_path)))
        await until((signs / "there").exists, 40)
        (folder,) = set(folders_of_files(cluster)) - before
        os.kill(dask_worker_of(int(folder.name.split("-")[1]), cluster), signal.SIGKILL)
        record = await loading
    left = (await dask_service.datasets())["datasets"]

    assert record["status"] == "failed"
    assert "the worker process died while it read numbers.csv (the Dask worker tcp://" in record["error"]
    assert [dataset["rows"] for dataset in left] == [0]
    cluster.replace_dead()
    assert (await dask_service.replay(record["id"]))["rows_loaded"] == ROWS


def folders_of_files(cluster: Cluster) -> list[Path]:
    """Where the workers have files of their calls; `levelpool-PID-...`, each in the scratch folder of its Dask worker."""
    return list(cluster.folder.glob("worker-*/**/levelpool-*-*"))


async def test_import_that_is_cancelled_is_pending_again(dask_service, tmp_path, monkeypatch, cluster):
    """A drain that cannot wait kills the child process, gives the file back, and what the child left is removed."""
    monkeypatch.setattr(
        runner, "ingest_remotely", partial(crash_points.ingest_remotely_and_pause, at="in the middle of pass 2", folder=tmp_path)
    )
    before = set(folders_of_files(cluster))
    record = await dask_service.submit(write_numbers(tmp_path), name="numbers.csv", actor="a test")
    await dask_service.start()
    await until((tmp_path / "there").exists, 40)

    (folder,) = set(folders_of_files(cluster)) - before
    await dask_service.aclose(timeout=0)

    await until(lambda: not folder.exists())
    async with DataIngestionService(
        dask_service.intake.session.url, dask_service.intake.session.manager, data_dir=tmp_path / "data"
    ) as again:
        assert (await again.file(record["id"]))["status"] == "pending"
        assert [dataset["rows"] for dataset in (await again.datasets())["datasets"]] in ([], [0])


async def test_sqlite_is_refused(sqlite_url, tmp_path, dask_manager):
    """The workers could not reach the file, and the sentence says what to set."""
    with pytest.raises(DatabaseError, match=r"LEVELPOOL_CPU_BACKEND is 'dask'.*set LEVELPOOL_DATABASE_URL to a postgresql:// URL"):
        async with DataIngestionService(sqlite_url, dask_manager, data_dir=tmp_path):
            pass


# ---------------------------------------------------------------- the scheduler


async def test_no_scheduler_is_told_in_one_line(monkeypatch, unused_tcp_port):
    """It names the variable, the value and what to do; a call says the same, and does not wait."""
    monkeypatch.setattr(distributed, "CONNECT_TIMEOUT", 0.5)
    address = f"tcp://127.0.0.1:{unused_tcp_port}"
    manager = Cluster.manager_at(address)
    try:
        with pytest.raises(
            ClusterUnreachable, match=f"LEVELPOOL_DASK_SCHEDULER is '{address}', and no Dask scheduler answers there"
        ) as raised:
            await manager.run_cpu_intensive(lane_tasks.noop)
        with pytest.raises(ClusterUnreachable):
            await manager.run_cpu_intensive(lane_tasks.noop)
    finally:
        await manager.aclose()

    assert "LEVELPOOL_CPU_BACKEND to process" in str(raised.value)
    assert "\n" not in str(raised.value)


def readiness(service: RunningService) -> tuple[int, list[str]]:
    """The status of `/readyz` and its reasons."""
    answer = httpx.get(f"{service.url}/readyz")
    return answer.status_code, answer.json()["reasons"]


async def test_lane_and_service_come_back_with_the_scheduler(cluster, dask_manager, postgres_url, tmp_path):
    """While it is away calls fail at once and /readyz says why; a file that was sent in meanwhile is loaded afterwards."""
    settings = {"LEVELPOOL_CPU_BACKEND": "dask", "LEVELPOOL_DASK_SCHEDULER": cluster.address, "LEVELPOOL_DATABASE_URL": postgres_url}
    run = partial(asyncio.get_running_loop().run_in_executor, None)
    service = await run(partial(start_service, tmp_path / "var", **settings))
    try:
        running = asyncio.create_task(dask_manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
        (pid,) = await begun(tmp_path)
        cluster.stop_scheduler()

        with pytest.raises(ClusterUnreachable, match=r"lane_tasks\.wait_for is lost: the Dask scheduler at"):
            await running
        with pytest.raises(ClusterUnreachable):
            await dask_manager.run_cpu_intensive(lane_tasks.noop)
        await until(lambda: is_gone(pid), 30)
        await until(lambda: readiness(service)[0] == 503, 30)
        reasons = readiness(service)[1]
        sent = service.client().post("/api/files", files={"file": ("orders.csv", b"n\n1\n2\n")}).raise_for_status().json()

        for worker in cluster.workers:
            worker.wait(20)
        cluster.start_scheduler()
        cluster.replace_dead()
        await until(lambda: dask_manager.trouble is None, 30)
        assert await dask_manager.run_cpu_intensive(lane_tasks.add, 1) == 1
        await until(lambda: readiness(service)[0] == 200, 40)
        record = await run(service.settled, sent["id"])
    finally:
        status = await run(service.stop)

    assert "LEVELPOOL_DASK_SCHEDULER" in reasons[0]
    assert (record["status"], record["rows_loaded"]) == ("loaded", 2)
    assert status == 0
