"""
Heavy work behind a web request: bounded, limited in time, and gone when the client goes.

Run it:   uvicorn --app-dir examples heavy_requests:app
Try it:   curl "http://127.0.0.1:8000/primes?below=5000000"     (and press Ctrl-C before it ends: the worker process goes with you)
"""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from levelpool import ExecutorManager, LaneFull, TaskTimeout
from levelpool.web import cancel_on_disconnect


def count_primes(below: int) -> int:
    """How many primes there are below a number, counted the slow way."""
    return sum(all(number % divisor for divisor in range(2, int(number**0.5) + 1)) for number in range(2, below))


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with ExecutorManager(cpu_workers=2, cpu_queue_limit=8) as manager:
        app.state.manager = manager
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/primes")
async def primes(request: Request, below: int) -> dict[str, int]:
    manager: ExecutorManager = request.app.state.manager
    async with cancel_on_disconnect(request):
        return {"primes": await manager.with_options(timeout=30, admission_timeout=1).run_cpu_intensive(count_primes, below)}


@app.get("/workers")
async def workers(request: Request) -> dict[str, list[int]]:
    return {"pids": list(request.app.state.manager.worker_pids())}


@app.exception_handler(LaneFull)
async def come_back_later(_: Request, error: LaneFull) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=503, headers={"Retry-After": str(max(1, round(error.retry_after)))})


@app.exception_handler(TaskTimeout)
async def took_too_long(_: Request, error: TaskTimeout) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=504)
