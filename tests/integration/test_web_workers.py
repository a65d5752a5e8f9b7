"""Four real web workers on one host: one budget, one leader, and nobody's share is lost when one is killed."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time

import httpx
import pytest

APP = """
import os
from fastapi import FastAPI, Request
from levelpool.web import lifespan, metrics_router
from some_work import hold

app = FastAPI(lifespan=lifespan())
app.include_router(metrics_router(require_scrape=lambda: None))

@app.get("/who")
async def who(request: Request):
    return {"pid": os.getpid(), "leads": request.app.state.levelpool.leads}

@app.get("/work")
async def work(request: Request, seconds: float):
    began, ended, worker = await request.app.state.levelpool.manager.run_cpu_intensive(hold, seconds)
    return {"pid": os.getpid(), "began": began, "ended": ended, "worker": worker}

@app.get("/ask")
async def ask(request: Request):
    return await request.app.state.levelpool.ask_neighbours("snapshot")
"""

WORK = """
import os, time

def hold(seconds):
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic(), os.getpid()
"""

BUDGET = 2


SERVER = """
import asyncio, uvicorn

async def main():
    server = uvicorn.Server(uvicorn.Config("some_app:app", port=0, log_level="error", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving

asyncio.run(main())
"""


@contextlib.contextmanager
def web_workers(folder):
    """Four uvicorn workers with a budget of two worker processes; yields process to address."""
    (folder / "some_app.py").write_text(APP)
    (folder / "some_work.py").write_text(WORK)
    environment = os.environ | {
        "WEB_CONCURRENCY": "4",
        "CPU_EXECUTOR_WORKERS": str(BUDGET),
        "LEVELPOOL_DATA_DIR": str(folder / "var"),
        "LEVELPOOL_SHUTDOWN_TIMEOUT": "2",
        "PYTHONPATH": str(folder),
    }
    with contextlib.ExitStack() as stack:
        workers = []
        for _ in range(4):
            workers.append(stack.enter_context(subprocess.Popen([sys.executable, "-c", SERVER], env=environment, stdout=subprocess.PIPE)))
            stack.callback(workers[-1].kill)
        yield {worker: f"http://127.0.0.1:{int(worker.stdout.readline())}" for worker in workers}
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(20)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """Four web workers for the tests that leave them alive."""
    with web_workers(tmp_path_factory.mktemp("web")) as workers:
        yield workers


@pytest.fixture
def mortal_web(tmp_path):
    """Four web workers for the test that kills one."""
    with web_workers(tmp_path) as workers:
        yield workers


@pytest.fixture
async def client():
    """Patient, with room for many requests."""
    async with httpx.AsyncClient(timeout=40, limits=httpx.Limits(max_connections=100)) as client:
        yield client


async def work(client, address, seconds):
    answer = await client.get(f"{address}/work", params={"seconds": seconds})
    return answer.json()


def most_at_once(calls):
    """How many of the calls ran at the same moment, at most."""
    events = sorted([(call["began"], 1) for call in calls] + [(call["ended"], -1) for call in calls])
    running = most = 0
    for _moment, change in events:
        running += change
        most = max(most, running)
    return most


async def test_calls_of_all_web_workers_stay_within_one_budget(web, client):
    """Eight calls through each of four web workers: never more than two run, all of them finish, and every web worker gets its turn."""
    # Each has had its first call: what follows is about turns, not about who starts first.
    await asyncio.gather(*(work(client, address, 0.0) for address in web.values()))

    calls = await asyncio.gather(*(work(client, address, 0.12) for address in web.values() for _ in range(8)))

    assert most_at_once(calls) == BUDGET
    assert {call["pid"] for call in calls} == {process.pid for process in web}
    first_half = sorted(calls, key=lambda call: call["began"])[: len(calls) // 2]
    assert len({call["pid"] for call in first_half}) >= 3


async def test_one_busy_web_worker_uses_what_the_idle_ones_leave(web, client):
    """With the others idle, one web worker has the whole budget."""
    busy = next(iter(web.values()))

    calls = await asyncio.gather(*(work(client, busy, 0.3) for _ in range(4)))

    assert most_at_once(calls) == BUDGET


async def test_every_web_worker_tells_of_itself(web, client):
    """One of them asks the others; each answers with a snapshot of its own process."""
    answers = (await client.get(f"{next(iter(web.values()))}/ask")).json()

    assert {answer["pid"] for answer in answers.values()} == {worker.pid for worker in web}
    assert json.dumps(answers)


async def test_any_web_worker_answers_a_scrape_for_all(web, client):
    """Prometheus reaches one of them by chance, and must see the counters of every one."""
    texts = [(await client.get(f"{address}/metrics")).text for address in web.values()]

    for text in texts:
        assert {line.split('"')[1] for line in text.splitlines() if line.startswith("levelpool_process_rss_bytes{")} == {"0", "1", "2", "3"}


async def leaders(client, web, workers):
    """The process ids of those that say they lead."""
    said = [(await client.get(f"{web[worker]}/who")).json() for worker in workers]
    return [each["pid"] for each in said if each["leads"]]


async def test_killed_leader_gives_its_share_and_its_office_back(mortal_web, client):
    """The leader holds the whole budget and is killed: another web worker runs calls at once, and exactly one of them leads soon."""
    async with asyncio.timeout(5):
        while not (first := await leaders(client, mortal_web, mortal_web)):
            await asyncio.sleep(0.1)
    (victim,) = [worker for worker in mortal_web if worker.pid == first[0]]
    others = [worker for worker in mortal_web if worker is not victim]
    await work(client, mortal_web[others[0]], 0.01)  # a worker process is there: its birth is not what is measured
    doomed = [asyncio.create_task(work(client, mortal_web[victim], 30)) for _ in range(BUDGET)]
    async with asyncio.timeout(20):
        while await busy_workers(client, mortal_web[victim]) < BUDGET:
            await asyncio.sleep(0.1)
    waiting = asyncio.create_task(work(client, mortal_web[others[0]], 0.01))
    await asyncio.sleep(0.3)
    waited = not waiting.done()

    victim.kill()
    killed = time.monotonic()
    call = await asyncio.wait_for(waiting, 10)
    async with asyncio.timeout(5):
        while not (second := await leaders(client, mortal_web, others)):
            await asyncio.sleep(0.1)
    outcomes = await asyncio.gather(*doomed, return_exceptions=True)

    assert waited
    assert call["began"] - killed < 1.0
    assert (len(first), len(second)) == (1, 1)
    assert second != first
    assert all(isinstance(outcome, httpx.HTTPError) for outcome in outcomes)


async def busy_workers(client, address):
    """How many worker processes of this web worker run a call."""
    answers = (await client.get(f"{address}/ask")).json()
    own = (await client.get(f"{address}/who")).json()["pid"]
    return next(answer["lanes"]["cpu"]["busy"] for answer in answers.values() if answer["pid"] == own)
