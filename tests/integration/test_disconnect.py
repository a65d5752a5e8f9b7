"""The example of heavy work behind a request, served by a real server to clients that go away."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def address():
    """Where the example listens; the listening socket is ours, so that no port is guessed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", "examples", "--fd", str(listener.fileno()), "heavy_requests:app"]
        server = subprocess.Popen(
            [*command, "--log-level", "warning"],
            cwd=ROOT,
            pass_fds=(listener.fileno(),),
            stderr=subprocess.PIPE,
            env=dict(os.environ),
            text=True,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield url
        finally:
            server.terminate()
            _, errors = server.communicate(timeout=20)
            assert "Traceback" not in errors, errors


async def pids(client):
    return (await client.get("/workers")).json()["pids"]


async def test_client_that_goes_takes_its_worker_along(address):
    """When the client closes its connection, the worker under its request is gone within half a second, and the next request is served."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        request = asyncio.create_task(client.get("/primes", params={"below": 10**9}))
        while not (await pids(client)):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        request.cancel()
        began = time.monotonic()
        while await pids(client):
            assert time.monotonic() - began < 0.5
            await asyncio.sleep(0.01)

        assert (await client.get("/primes", params={"below": 10})).json() == {"primes": 4}


async def test_full_lane_answers_come_back_later(address):
    """A full waiting room becomes 503 with Retry-After."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        requests = [asyncio.create_task(client.get("/primes", params={"below": 10**9})) for _ in range(11)]
        done, waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        for request in waiting:
            request.cancel()
        await asyncio.wait(waiting)

        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
