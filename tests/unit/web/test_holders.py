"""A connection is held by the request that took it, and a pool that is exhausted says so."""

import asyncio

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from levelpool.database import create_async_engine, create_engine
from levelpool.errors import PoolExhausted
from levelpool.executor import ExecutorManager
from levelpool.web.holders import NameHolders


@pytest.fixture
async def app(tmp_path):
    """Two kinds of requests that hold a connection: awaited, and in the thread lane; each pool has only one."""
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}
    sync_engine = create_engine(f"sqlite:///{tmp_path}/a.db", **options)
    async_engine = create_async_engine(f"sqlite:///{tmp_path}/b.db", **options)
    app = FastAPI(exception_handlers={PoolExhausted: lambda _request, error: JSONResponse({"error": str(error)}, 503)})
    app.add_middleware(NameHolders)
    app.state.held, app.state.go_on = asyncio.Event(), asyncio.Event()

    def hold(loop):
        with sync_engine.connect():
            loop.call_soon_threadsafe(app.state.held.set)
            asyncio.run_coroutine_threadsafe(app.state.go_on.wait(), loop).result(10)

    @app.get("/threads/{number}")
    async def threads(number: int) -> None:
        await manager.run_io_intensive(hold, asyncio.get_running_loop())

    @app.get("/awaits/{number}")
    async def awaits(number: int) -> None:
        async with async_engine.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))
            app.state.held.set()
            await app.state.go_on.wait()

    async with ExecutorManager(cpu_workers=1, io_workers=3) as manager:
        yield app
    sync_engine.dispose()
    await async_engine.dispose()


@pytest.mark.parametrize("kind", ["threads", "awaits"])
async def test_exhausted_pool_names_the_request_that_holds_its_connection(app, kind):
    """The second request is answered in time, with 503, and the first one is named as the holder."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        first = asyncio.create_task(client.get(f"/{kind}/1"))
        await app.state.held.wait()
        second = await client.get(f"/{kind}/2")
        app.state.go_on.set()
        await first

    assert second.status_code == 503
    assert f"1 are in use (held longest by GET /{kind}/1 for" in second.json()["error"]
    assert first.result().status_code == 200
