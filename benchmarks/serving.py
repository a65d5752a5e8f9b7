"""The real service, started for a benchmark in a folder of its own and ended afterwards."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import AS_INSTALLED, python

TOKEN = "benchmark-token-benchmark-token-benchmark"


@dataclass(frozen=True, slots=True)
class Serving:
    """A running service."""

    url: str
    pid: int
    folder: Path

    def get(self, path: str) -> dict[str, object]:
        """The JSON answer to an admin's GET."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def serving(command: Sequence[str] = (), *, environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Start `levelpool serve` (or *command*), wait until it is ready, and end it with Ctrl-C's signal."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="levelpool-bench-") as name:
        folder = Path(name)
        (folder / "inbox").mkdir()
        settings = {"LEVELPOOL_DATA_DIR": str(folder), "LEVELPOOL_PORT": str(port), "LEVELPOOL_ADMIN_TOKEN": TOKEN, **(environment or {})}
        process = subprocess.Popen(
            command or python("-m", "levelpool", "serve"), env={**os.environ, **AS_INSTALLED, **settings}, stdout=subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, process)
            yield Serving(url, process.pid, folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with status {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"the service was not ready within {limit:.0f} s")
