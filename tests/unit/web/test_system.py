"""`/api/system/*` in somebody else's app."""

import asyncio
import json
import sys
import threading
import time
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Header, HTTPException

from levelpool.database import create_engine
from levelpool.runtime import Runtime
from levelpool.settings import Settings
from levelpool.web.lifespan import lifespan
from levelpool.web.system import metrics_router, system_router


def require_password(password: str = Header("")):
    """Somebody's own way to check."""
    if password != "open sesame":
        raise HTTPException(403)


def make_app(settings):
    app = FastAPI(lifespan=lifespan(settings))
    app.include_router(system_router(require_admin=require_password))
    app.include_router(metrics_router(require_scrape=require_password))
    return app


@pytest.fixture
async def app():
    """An app with the system endpoints, opened."""
    app = make_app(Settings(cpu_executor_workers=1, io_executor_workers=2, shutdown_timeout=2.0))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app):
    """Somebody who knows the password."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers={"password": "open sesame"}) as client:
        yield client


ENDPOINTS = [
    ("GET", "/api/system/resource-usage"),
    ("GET", "/api/system/executor-stats"),
    ("GET", "/api/system/db-pool-stats"),
    ("GET", "/api/system/alerts"),
    ("POST", "/api/system/alerts/test"),
    ("POST", "/api/system/alerts/cpu/silence"),
    ("GET", "/api/system/stream"),
    ("GET", "/api/system/stacks"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_every_endpoint_asks_the_check(client, method, path):
    """Nothing is told to somebody whom the app's own check turns away."""
    assert (await client.request(method, path, headers={"password": "wrong"})).status_code == 403


@pytest.mark.parametrize(("method", "path"), [each for each in ENDPOINTS if "stream" not in each[1]])
async def test_app_without_a_runtime_says_how_to_get_one(method, path):
    """The endpoints need the lifespan."""
    app = FastAPI()
    app.include_router(system_router(require_admin=lambda: None))
    app.include_router(metrics_router(require_scrape=lambda: None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.request(method, path)

    assert answer.status_code == 503
    assert "lifespan" in answer.text


async def test_resource_usage_has_real_numbers(client):
    """Every field that dashboards rely on, filled from this machine."""
    usage = (await client.get("/api/system/resource-usage")).json()

    assert set(usage) >= {"cpu", "memory", "process", "loop", "at", "diagnosis"}
    assert set(usage["cpu"]) >= {"percent", "cpus", "source", "throttled_percent"}
    assert set(usage["memory"]) >= {"used", "limit", "percent", "source"}
    assert set(usage["process"]) >= {"rss", "pss", "threads", "fds", "children"}
    assert set(usage["loop"]) >= {"lag_p50", "lag_p99", "lag_max", "blocks"}
    assert usage["process"]["rss"] > 10 << 20
    assert 0 < usage["memory"]["used"] < usage["memory"]["limit"]
    assert usage["at"].endswith("+00:00")
    assert usage["diagnosis"].endswith(".")


async def test_executor_stats_count_a_call(app, client):
    """A call in a lane appears under its lane and its name."""
    await app.state.levelpool.manager.run_io_intensive(time.sleep, 0.01)

    stats = (await client.get("/api/system/executor-stats")).json()

    assert set(stats["lanes"]) == {"cpu", "io"}
    assert stats["lanes"]["io"]["succeeded"] == 1
    assert [(task["name"], task["lane"], task["count"]) for task in stats["tasks"]] == [("time.sleep", "io", 1)]


async def test_pool_stats_without_and_with_a_pool(app, client, tmp_path):
    """No pool at first; a watched engine appears with its numbers; SQLite has no server."""
    empty = (await client.get("/api/system/db-pool-stats")).json()
    engine = create_engine(f"sqlite:///{tmp_path}/data.db", pool_size=3, max_overflow=1)
    app.state.levelpool.add_pool("main", engine)
    with engine.connect():
        answer = (await client.get("/api/system/db-pool-stats")).json()
    engine.dispose()

    assert empty == {"pools": [], "server": None}
    assert answer["server"] is None
    pool = answer["pools"][0]
    assert {name: pool[name] for name in ("name", "size", "max_overflow", "checked_out", "overflow", "waiting")} == {
        "name": "main",
        "size": 3,
        "max_overflow": 1,
        "checked_out": 1,
        "overflow": 0,
        "waiting": 0,
    }


async def test_alerts_are_listed_and_silenced(app, client, snapshot):
    """What burns is shown with its figures; a silence says until when, and an unknown rule is named."""
    app.state.levelpool.alerter.observe(snapshot(memory=99.0))
    answer = (await client.get("/api/system/alerts")).json()
    silence = await client.post("/api/system/alerts/memory/silence", json={"seconds": 60})
    unknown = await client.post("/api/system/alerts/nosuch/silence")

    assert [(alert["rule"], alert["value"]) for alert in answer["burning"]] == [("memory", 99.0)]
    assert (answer["past"], answer["total"], answer["channels"]) == ([], 1, ["log"])
    assert silence.json()["rule"] == "memory"
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "unknown_rule"


async def test_test_alert_says_what_each_channel_answered(client):
    """The log is always there and takes everything."""
    (channel,) = (await client.post("/api/system/alerts/test")).json()["channels"]

    assert (channel["name"], channel["ok"], channel["answer"]) == ("log", True, "written")


async def test_stacks_show_threads_and_tasks(client):
    """A thread and a task that wait are shown where they wait."""

    def wait_in_a_thread():
        gate.wait(10)

    async def wait_in_a_task():
        await asyncio.sleep(10)

    gate = threading.Event()
    thread = threading.Thread(target=wait_in_a_thread, name="waiting thread")
    thread.start()
    task = asyncio.create_task(wait_in_a_task(), name="waiting task")
    await asyncio.sleep(0)
    answer = (await client.get("/api/system/stacks")).json()
    gate.set()
    task.cancel()
    thread.join()

    (found,) = [each for each in answer["threads"] if each["name"] == "waiting thread"]
    assert any("wait_in_a_thread" in line for line in found["stack"])
    (found,) = [each for each in answer["tasks"] if each["name"] == "waiting task"]
    assert any("wait_in_a_task" in line for line in found["stack"])


async def test_metrics_without_their_package_say_what_to_install(client, monkeypatch):
    """Not a failure of the server: something of it is not there."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    answer = await client.get("/metrics")

    assert answer.status_code == 501
    assert answer.json()["detail"].endswith(
        "needs the package prometheus_client, which is not installed: pip install 'levelpool[prometheus]'"
    )


async def test_metrics_are_prometheus_text(client):
    """Names start with levelpool_."""
    answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert '\nlevelpool_cpus{web_worker="0"} ' in answer.text


@asynccontextmanager
async def serve(app):
    """A real server for *app*; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=5))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


async def test_stream_sends_a_snapshot_each_second_and_ends_with_the_service():
    """Two snapshots of different moments come; when the service is asked to stop, the stream ends by itself."""
    app = make_app(Settings(cpu_executor_workers=1, io_executor_workers=2, shutdown_timeout=2.0))
    events = []
    async with (
        serve(app) as address,
        httpx.AsyncClient(headers={"password": "open sesame"}) as client,
        client.stream("GET", f"{address}/api/system/stream") as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
            if len(events) == 2:
                app.state.levelpool.stopping.set()

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events[0]["at"] < events[1]["at"]
    assert set(events[0]) >= {"cpu", "memory", "process", "loop", "lanes", "pools", "alerts", "diagnosis"}


async def test_stream_forgets_a_client_that_leaves():
    """Nobody watches any more: the monitor goes back to its own pace, and no task waits for the next snapshot."""
    app = make_app(Settings(cpu_executor_workers=1, io_executor_workers=2, shutdown_timeout=2.0))
    async with serve(app) as address, httpx.AsyncClient(headers={"password": "open sesame"}) as client:
        runtime: Runtime = app.state.levelpool
        before = len(runtime.monitor._subscriptions)
        async with client.stream("GET", f"{address}/api/system/stream") as answer:
            await anext(answer.aiter_lines())
            during = len(runtime.monitor._subscriptions)
        async with asyncio.timeout(5):
            while len(runtime.monitor._subscriptions) > before or any("Queue.get" in repr(task) for task in asyncio.all_tasks()):
                await asyncio.sleep(0.02)

    assert during == before + 1


async def test_the_usual_three_lines_work(monkeypatch):
    """The app of the quickstart: the lifespan without arguments watches the manager that handlers get by themselves."""
    from levelpool import get_executor_manager
    from levelpool.web import lifespan as usual
    from levelpool.web import require_admin
    from levelpool.web import system_router as router

    monkeypatch.setenv("LEVELPOOL_ADMIN_TOKEN", "t" * 32)
    app = FastAPI(lifespan=usual())
    app.include_router(router(require_admin=require_admin))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        assert await get_executor_manager().run_cpu_intensive(pow, 7, 3) == 343
        without = await client.get("/api/system/executor-stats")
        answer = await client.get("/api/system/executor-stats", headers={"Authorization": "Bearer " + "t" * 32})

    assert without.status_code == 401
    assert answer.json()["lanes"]["cpu"]["succeeded"] == 1
