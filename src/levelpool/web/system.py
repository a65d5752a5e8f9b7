"""
`/api/system/*` and `/metrics` for anybody's FastAPI app: what is used, what is narrow, who waits, what burns.

They find the `Runtime` on `request.app.state.levelpool`, where `levelpool.web.lifespan` puts it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from levelpool.errors import ExtraMissing
from levelpool.monitoring.metrics import render_metrics
from levelpool.monitoring.stacks import look_at_everything
from levelpool.runtime import Runtime

STREAM_INTERVAL = 1.0
"""Seconds between two snapshots of the stream."""
SERVER_TIMEOUT = 2.0
"""Seconds that the database server has to say how many connections it allows."""
LONGEST_SILENCE = 30 * 86400.0

Check = Callable[..., Awaitable[object] | object]
"""A FastAPI dependency that raises when the caller may not."""


def system_router(*, require_admin: Check) -> APIRouter:
    """All of `/api/system/*`; *require_admin* is a dependency that lets nobody else in."""
    router = APIRouter(prefix="/api/system", tags=["system"], dependencies=[Depends(require_admin)])
    router.add_api_route("/resource-usage", resource_usage, methods=["GET"])
    router.add_api_route("/executor-stats", executor_stats, methods=["GET"])
    router.add_api_route("/db-pool-stats", db_pool_stats, methods=["GET"])
    router.add_api_route("/alerts", alerts, methods=["GET"])
    router.add_api_route("/alerts/test", try_channels, methods=["POST"])
    router.add_api_route("/alerts/{rule}/silence", silence_alert, methods=["POST"])
    router.add_api_route("/stream", stream, methods=["GET"], response_class=EventStream)
    router.add_api_route("/stacks", stacks, methods=["GET"])
    return router


def metrics_router(*, require_scrape: Check) -> APIRouter:
    """`/metrics` for Prometheus; *require_scrape* is a dependency that lets in who may read them."""
    router = APIRouter(tags=["system"], dependencies=[Depends(require_scrape)])
    router.add_api_route("/metrics", metrics, methods=["GET"], response_class=PlainTextResponse)
    return router


class EventStream(StreamingResponse):
    """Server-sent events; as a class, so that the OpenAPI description says so."""

    media_type = "text/event-stream"


class RuntimeMissing(HTTPException):
    """The app was opened without a runtime (503)."""

    code = "no_runtime"

    def __init__(self) -> None:
        super().__init__(503, "This app has no levelpool runtime: open it with lifespan=levelpool.web.lifespan().")


class NotInstalled(HTTPException):
    """What was asked for needs a package that is not installed (501)."""

    code = "not_installed"

    def __init__(self, message: str) -> None:
        super().__init__(501, message)


def runtime_of(request: Request) -> Runtime:
    """The runtime of the app that serves *request*. Raises `RuntimeMissing` when the app was opened without one."""
    runtime = getattr(request.app.state, "levelpool", None)
    if not isinstance(runtime, Runtime):
        raise RuntimeMissing
    return runtime


async def resource_usage(request: Request) -> Response:
    """CPU, memory, process and event loop now, and one sentence that names the narrowest thing."""
    snapshot = await runtime_of(request).monitor.fresh()
    return JSONResponse(snapshot.resource_usage())


async def executor_stats(request: Request) -> Response:
    """The lanes and the tasks that ran in them."""
    return JSONResponse(dict(runtime_of(request).manager.stats().to_dict()))


async def db_pool_stats(request: Request) -> Response:
    """The connection pools, who waits, who holds, and what the server allows."""
    runtime = runtime_of(request)
    answer: dict[str, Any] = {"pools": [pool.to_dict() for pool in runtime.pools()], "server": None}
    try:
        answer["server"] = await asyncio.wait_for(runtime.server_connections(), SERVER_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - whatever keeps the server from answering, the pools' numbers are what is needed then
        answer["server_error"] = str(error) or f"no answer within {SERVER_TIMEOUT:g} s"
    return JSONResponse(answer)


async def alerts(request: Request, limit: Annotated[int, Query(ge=0, le=1000)] = 100, offset: Annotated[int, Query(ge=0)] = 0) -> Response:
    """What burns, what is past (newest first), every rule with its levels, and the channels."""
    answer = runtime_of(request).alerter.to_dict()
    answer["past"] = answer["past"][offset : offset + limit]
    return JSONResponse(answer)


async def try_channels(request: Request) -> Response:
    """Send a test alert through every channel and tell what each really answered."""
    answers = await runtime_of(request).alerter.test()
    return JSONResponse({"channels": [answer.to_dict() for answer in answers]})


async def silence_alert(
    request: Request, rule: str, seconds: Annotated[float, Body(embed=True, ge=0, le=LONGEST_SILENCE)] = 3600.0
) -> Response:
    """Send nothing about this rule for so many seconds; 0 ends a silence."""
    try:
        until = runtime_of(request).alerter.silence(rule, seconds)
    except LookupError as error:
        return JSONResponse({"error": {"code": "unknown_rule", "message": error.args[0]}}, status_code=404)
    return JSONResponse({"rule": rule, "until": until.isoformat()})


async def stream(request: Request) -> Response:
    """Server-sent events: one snapshot a second, until the client leaves or the service stops."""
    # The second header has nginx pass each snapshot on, whatever its configuration says of buffers.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(_events(runtime_of(request)), headers=headers)


async def _events(runtime: Runtime) -> AsyncIterator[str]:
    # One place is enough: a client that reads slowly gets the newest snapshot and not a backlog.
    newest: asyncio.Queue[str] = asyncio.Queue(maxsize=1)

    def offer(snapshot: Any) -> None:
        if newest.full():
            newest.get_nowait()
        event = {**snapshot.to_dict(), "alerts": [alert.to_dict() for alert in runtime.alerter.burning()]}
        newest.put_nowait(f"data: {json.dumps(event)}\n\n")

    leave = runtime.monitor.subscribe(offer, interval=STREAM_INTERVAL)
    stopping = asyncio.ensure_future(runtime.stopping.wait())
    try:
        while not stopping.done():
            following = asyncio.ensure_future(newest.get())
            try:
                await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Also when the client leaves: one that has its snapshot is not cancelled by this.
                following.cancel()
            if following.done():
                yield following.result()
    finally:
        stopping.cancel()
        leave()


async def stacks(request: Request) -> Response:
    """What every thread, every asyncio task and every worker does right now."""
    return JSONResponse(await look_at_everything(runtime_of(request).manager))


async def metrics(request: Request) -> Response:
    """Prometheus text, of all web workers of this host."""
    runtime = runtime_of(request)
    workers, facts = await asyncio.gather(runtime.metrics(), runtime.facts())
    try:
        text, content_type = render_metrics(workers, facts)
    except ExtraMissing as error:
        raise NotInstalled(str(error)) from error
    return Response(text, media_type=content_type)
