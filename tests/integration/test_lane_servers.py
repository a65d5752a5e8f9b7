"""Servers and terminals around the lanes: a reload, a prefork, Ctrl-C; workers come and go with the process that serves."""

import contextlib
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time

import httpx
import pytest

from processes import FORKS, PROLOGUE, TESTS, children, is_gone, wait_until, wait_until_gone

APP = """
import os
import lane_tasks
from levelpool import ExecutorManager

VERSION = "one"
manager = ExecutorManager(cpu_workers=2, io_workers=1)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await manager.aclose(5)
        await send({"type": "lifespan.shutdown.complete"})
        return
    pid = await manager.run_cpu_intensive(lane_tasks.pid)
    body = f"{VERSION} {os.getpid()} {pid}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
"""The smallest web app around a manager, as ASGI."""


@contextlib.contextmanager
def uvicorn(folder, *options):
    """`uvicorn app:app` in *folder*, on a socket of ours; yields its process and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--fd", str(listener.fileno()), "--log-level", "warning", *options, "app:app"],
            cwd=folder,
            pass_fds=(listener.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.terminate()
            _, errors = server.communicate(timeout=20)
            assert "Traceback" not in errors, errors


def answer(url):
    """Version, process and worker that answered."""
    version, server, worker = httpx.get(url, timeout=20).text.split()
    return version, int(server), int(worker)


def test_reload_leaves_no_old_worker(tmp_path):
    """`uvicorn --reload`: when a file changes, the old server's workers are gone, and those of the new one run the new code."""
    path = tmp_path / "app.py"
    path.write_text(APP)
    with uvicorn(tmp_path, "--reload") as (_, url):
        version, server, worker = answer(url)
        everybody = {server, worker, *children(server)}
        path.write_text(APP.replace('"one"', '"two"'))
        # A change before the reloader's first look is none to it: the file is touched until it has looked.
        wait_until(lambda: is_gone(server) or path.touch(), 20, "the old server still serves")
        wait_until_gone(everybody, 2)
        new_version, new_server, new_worker = answer(url)
        assert (version, new_version) == ("one", "two")
        assert not {new_server, new_worker} & everybody
    wait_until_gone([new_server, new_worker], 2)


def test_several_web_workers_have_workers_of_their_own(tmp_path):
    """`uvicorn --workers 2`: each web worker that is killed by -9 takes its worker processes along, and nobody else's."""
    (tmp_path / "app.py").write_text(APP)
    with uvicorn(tmp_path, "--workers", "2") as (server, url):
        owners = {}
        wait_until(lambda: owners.update([answer(url)[1:]]) or len(owners) == 2, 30, "only one web worker answers")
        (killed, its_worker), (spared, other_worker) = owners.items()
        os.kill(killed, 9)
        wait_until_gone([its_worker], 2)

        assert not is_gone(other_worker)
        assert server.poll() is None
    wait_until_gone([spared, other_worker], 2)


PREFORK = """
manager = ExecutorManager(cpu_workers=2, io_workers=2)

def serve(number):
    async def main():
        results = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, number, i) for i in range(20)])
        assert results == [number + i for i in range(20)]
        assert await manager.run_io_intensive(lambda: number) == number
        assert await manager.run_cpu_intensive(lane_tasks.pid) not in theirs
        await manager.aclose(10)
    asyncio.run(main())

# The master warms the lane up and has a call under way when it forks, as a preloaded gunicorn application may.
theirs = {manager.cpu_executor.submit(lane_tasks.pid).result(10)}
under_way = manager.cpu_executor.submit(lane_tasks.sleep, 1.0, "slept")
web_workers = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        serve(number)
        os._exit(0)
    web_workers.append(pid)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in web_workers], flush=True)
print(under_way.result(10), manager.cpu_executor.submit(lane_tasks.add, 5).result(10), manager.stats().cpu.died)
manager.shutdown()
"""


def test_prefork_while_calls_are_under_way(tmp_path):
    """After a fork each child has a lane of its own, and the master's calls end well."""
    path = tmp_path / "program.py"
    path.write_text(PROLOGUE + PREFORK)

    done = subprocess.run(
        [sys.executable, "-W", FORKS, str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=False,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("[0, 0, 0]\nslept 5 0\n", "", 0)


TERMINAL = """
async def main():
    async with ExecutorManager(cpu_workers=2, io_workers=1) as manager:
        await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.{task}, 60) for _ in range(2)], announce(manager))

async def announce(manager):
    await workers(manager, 2)
    print("workers", *manager.worker_pids(), flush=True)

if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.filterwarnings(FORKS)
@pytest.mark.parametrize("task", ["sleep", "sleep_in_c"])
def test_ctrl_c_in_a_terminal_ends_cleanly(tmp_path, task):
    """The key pressed in a real terminal: one KeyboardInterrupt, no traceback of a worker, nobody left."""
    path = tmp_path / "program.py"
    path.write_text(PROLOGUE + TERMINAL.replace("{task}", task))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, str(path)], {**os.environ, "PYTHONPATH": str(TESTS)})
    seen = _read_until(terminal, "workers .*\n")
    pids = [int(word) for word in seen.split() if word.isdigit()]

    os.write(terminal, b"\x03")
    seen += _read_until(terminal, None)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == 0
    assert seen.replace("\r", "").split("\n", 1)[1] == "^Cinterrupted\n"
    assert len(pids) == 2
    wait_until_gone(pids, 1)


def _read_until(terminal, pattern, seconds=20):
    """What the terminal shows until *pattern* is there; with None, until nobody writes any more."""
    text, deadline = "", time.monotonic() + seconds
    while pattern is None or not re.search(pattern, text):
        assert time.monotonic() < deadline, text
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                # That is how Linux says that the last process has let go of the terminal.
                break
            text += data.decode()
    return text
