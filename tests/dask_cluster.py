"""A real Dask cluster for tests: a scheduler and workers, each a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from levelpool.executor import ExecutorManager
from processes import TESTS, wait_until

# No dashboard, nothing but loopback, and no process that lives on when its starter has gone.
QUIET = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__DAEMON": "false",
    "PYTHONPATH": str(TESTS),
}


class Cluster:
    """A scheduler on loopback and its workers, started and killed one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None
        self._number = 0

    def start_scheduler(self) -> None:
        """Start it, always at the same address; it is there a little later, and workers wait for it."""
        arguments = ("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show")
        self.scheduler = self._start(self.folder / "scheduler.log", *arguments)

    def answers(self) -> bool:
        """Whether the scheduler is there."""
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def start_worker(self, **environment: str) -> "subprocess.Popen[bytes]":
        """Start one with a single thread; it is there a little later."""
        self._number += 1
        scratch = self.folder / f"worker-{self._number}"
        worker = self._start(
            self.folder / f"worker-{self._number}.log",
            *("worker", self.address, "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard"),
            *("--memory-limit", "2GB", "--local-directory", str(scratch), "--name", f"worker-{self._number}", "--death-timeout", "30"),
            **environment,
        )
        self.workers.append(worker)
        return worker

    def manager(self, **limits: object) -> ExecutorManager:
        """A manager whose CPU lane runs here, as soon as it is used."""
        return self.manager_at(self.address, **limits)

    @staticmethod
    def manager_at(address: str, **limits: object) -> ExecutorManager:
        """The same for any address."""
        return ExecutorManager(dask_scheduler=address, io_workers=4, **limits)

    def replace_dead(self) -> None:
        """Start a worker for each that has gone; it is there a little later."""
        for worker in [worker for worker in self.workers if worker.poll() is not None]:
            self.remove(worker)
            self.start_worker()

    def remove(self, worker: "subprocess.Popen[bytes]") -> None:
        """Kill a worker, if it lives."""
        self.workers.remove(worker)
        _end(worker)

    def stop_scheduler(self) -> None:
        """Kill it."""
        if self.scheduler is not None:
            _end(self.scheduler)
            self.scheduler = None

    def stop(self) -> None:
        """Kill what is left."""
        for worker in list(self.workers):
            self.remove(worker)
        self.stop_scheduler()

    def _start(self, log: Path, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--preload", str(TESTS / "ends_with_its_starter.py")],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={**os.environ, **QUIET, **environment},
            )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    process.stdin.close()


@contextlib.contextmanager
def cluster_of(workers: int, folder: Path) -> Iterator[Cluster]:
    """A cluster with so many workers, of one thread each."""
    cluster = Cluster(folder)
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker()
        wait_until(cluster.answers, 50, "no scheduler")
        yield cluster
    finally:
        cluster.stop()
