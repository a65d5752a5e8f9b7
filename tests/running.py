"""`levelpool serve` and other commands as processes of their own, for the acceptance tests."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from levelpool.service.tokens import make_token

ADMIN_TOKEN = "admin-token-of-the-acceptance-tests"


@dataclass
class RunningService:
    """A started `levelpool serve`."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    log: Path
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def client(self, token: str | None = ADMIN_TOKEN, *, address: str = "127.0.0.1") -> httpx.Client:
        """A client with *token*, which connects from *address*; None sends no credentials."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=20, transport=httpx.HTTPTransport(local_address=address))
        self.clients.append(client)
        return client

    def token(self, role: str) -> str:
        """A new token of *role*."""
        return make_token(f"sqlite:///{self.folder / 'levelpool.sqlite'}", role=role, name=role)

    def settled(self, file_id: int) -> dict[str, object]:
        """The record of a file once it has ended."""
        client = self.client()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            record = client.get(f"/api/files/{file_id}").raise_for_status().json()
            if record["status"] not in {"pending", "running"}:
                return record
            time.sleep(0.1)
        pytest.fail(f"file {file_id} is still {record['status']}\n{self.log.read_text()}")

    def stop(self, number: int = signal.SIGINT) -> int:
        """The exit status after the signal *number*."""
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the service did not end\n{self.log.read_text()}")
        finally:
            self.process.stdout.close()


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """What a process of ours gets: this Python's environment without anybody's settings, and *settings*."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEVELPOOL_", "WEB_CONCURRENCY"))}
    return {**clean, "LEVELPOOL_DATA_DIR": str(data_dir), "LEVELPOOL_PORT": "0", "PYTHONUNBUFFERED": "1", **settings}


def run_levelpool(
    *arguments: str, data_dir: Path, timeout: float = 50, prefix: tuple[str, ...] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """`levelpool ...` run to its end."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "levelpool", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment(data_dir, **settings),
    )


def start_service(folder: Path, *arguments: str, prefix: tuple[str, ...] = (), **settings: str) -> RunningService:
    """`levelpool serve` on a free port, ready to be asked; *prefix* stands before the command."""
    log = folder.parent / f"{folder.name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "levelpool", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment(folder, **{"LEVELPOOL_ADMIN_TOKEN": ADMIN_TOKEN, **settings}),
        )
    first = process.stdout.readline()
    found = re.search(r"http://\S+", first)
    if not found:
        process.wait(timeout=10)
        process.stdout.close()
        pytest.fail(f"the service did not start: {first}{log.read_text()}")
    service = RunningService(process, found[0], folder, log)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{service.url}/readyz", timeout=10).status_code == 200:
                return service
        except httpx.TransportError:
            time.sleep(0.1)
    service.stop()
    pytest.fail(f"the service did not become ready\n{log.read_text()}")


async def sign_in(page, token: str = ADMIN_TOKEN, path: str = "/") -> None:
    """Sign *page* in and go to *path*."""
    await page.goto("/sign-in")
    await page.fill("#token", token)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/")
    if path != "/":
        await page.goto(path)
