"""The application: addresses, gates and error answers put together; what they work with is opened by its lifespan."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

import anyio.lowlevel
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from levelpool._version import __version__
from levelpool.errors import LevelpoolError
from levelpool.service import shapes
from levelpool.service.api import ingestion_router, known_parameters
from levelpool.service.assembly import Readiness, Service, open_service
from levelpool.service.errors import answer_error
from levelpool.service.guard import Guard
from levelpool.service.headers import SecurityHeaders, with_security_headers
from levelpool.service.limits import MULTIPART_ROOM, SMALL_BODY, BodyLimit, Linger
from levelpool.service.page_correct import correction_router
from levelpool.service.page_key import key_router
from levelpool.service.pages import page_router, render
from levelpool.service.probes import probe_router
from levelpool.service.render import Renderer
from levelpool.service.static import StaticFiles
from levelpool.service.stopping import tell_when_asked_to_stop
from levelpool.service.texts import english
from levelpool.settings import Settings
from levelpool.web.auth import require_admin, require_scrape
from levelpool.web.holders import NameHolders
from levelpool.web.system import metrics_router, system_router

logger = logging.getLogger(__name__)

_UPLOADS = frozenset({"/api/files", "/api/preview"})
_CORRECTIONS = ("/replay", "/preview", "/correct")

Opener = Callable[[Settings], AbstractAsyncContextManager[Service]]


def create_app(settings: Settings | None = None, *, open_parts: Opener = open_service) -> FastAPI:
    """
    The service as an ASGI application; without *settings* they are read from the environment.

    Everything is opened when the application starts and closed when it ends. Raises `SettingsError`.
    """
    chosen = settings or Settings.read()
    handlers: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
        HTTPException: _answer,
        RequestValidationError: _answer,
        LevelpoolError: _answer,
        ClientDisconnect: _answer,
        Exception: _answer_unexpected,
    }
    app = FastAPI(
        title="levelpool",
        version=__version__,
        summary="Spreadsheet exports become database tables.",
        lifespan=_lifespan(chosen, open_parts),
        docs_url=None,
        redoc_url=None,
        exception_handlers=handlers,
    )
    app.state.static = StaticFiles()
    app.state.renderer = Renderer(english(), app.state.static)
    # The last one added sees a request first.
    app.add_middleware(BodyLimit, limit_of=lambda path: _limit_of(path, chosen))
    app.add_middleware(Linger)
    app.add_middleware(Guard)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(NameHolders)
    for router in (probe_router(), page_router(), key_router(), correction_router(), ingestion_router()):
        app.include_router(router)
    refusals: dict[int | str, dict[str, Any]] = {status: {"model": shapes.ErrorAnswer} for status in (401, 403)}
    app.include_router(system_router(require_admin=require_admin), dependencies=[Depends(known_parameters)], responses=refusals)
    # Not of a scrape: Prometheus may be told to send parameters of its own.
    app.include_router(metrics_router(require_scrape=require_scrape), responses=refusals)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _lifespan(settings: Settings, open_parts: Opener) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The first request would stop the loop to import what this loads.
        await anyio.lowlevel.checkpoint()
        async with open_parts(settings) as service:
            app.state.service = service
            app.state.levelpool = service.runtime
            app.state.readiness = Readiness(service)
            with tell_when_asked_to_stop(service.runtime.ask_to_stop):
                yield

    return lifespan


def _limit_of(path: str, settings: Settings) -> tuple[int, str | None]:
    if path in _UPLOADS:
        return settings.max_upload_bytes + MULTIPART_ROOM, "LEVELPOOL_MAX_UPLOAD_BYTES"
    return MULTIPART_ROOM if path.endswith(_CORRECTIONS) else SMALL_BODY, None


# ---------------------------------------------------------------- errors


async def _answer(request: Request, error: Exception) -> Response:
    """JSON for programs, a page for somebody who looks at a page."""
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error = HTTPException(error.status_code, error.detail, {"Allow": ", ".join(_methods_of(request))})
    answer = await answer_error(request, error)
    is_page = request.method == "GET" and "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
    if not is_page or "hx-request" in request.headers:
        return answer
    message = error.detail if isinstance(error, HTTPException) else str(error)
    if answer.status_code in {404, 422, 500}:
        message = request.app.state.renderer.texts(f"problem.{answer.status_code}")
    return render(request, "problem.html", status=answer.status_code, message=message)


def _methods_of(request: Request) -> list[str]:
    """All methods that this address takes; Starlette names those of the first route only."""
    allowed: set[str] = set()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = dict(request.scope) | {"method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            allowed.add(method)
    return sorted(allowed)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    # This one runs outside of the middlewares, so it brings the headers itself.
    answer = await _answer(request, error)
    answer.raw_headers = with_security_headers(answer.raw_headers)
    return answer


# ---------------------------------------------------------------- description


_PROBES = frozenset({"/livez", "/readyz"})
_EVERYWHERE = {
    400: "The request is no request: its body is broken.",
    401: "No valid token.",
    403: "The token's role is too low.",
    422: "A value that cannot be used.",
    429: "Too many wrong tokens came from this address.",
    500: "Something went wrong inside the service; its log says what.",
    503: "The service is busy or ends, or the database is away.",
    504: "It took too long.",
    507: "The disk of the service or of the database is full, or cannot be written.",
}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_WITH_BODY = {413: "The body is too large.", 415: "The body is of another kind."}
_MORE = {
    "/api/system/alerts/{rule}/silence": {404: "There is no such rule."},
    "/metrics": {501: "The package that writes metrics is not installed."},
}


def _answers_of(path: str, operation: dict[str, Any]) -> dict[int, str]:
    """What an address may answer instead of its good answer, with its meaning."""
    if path in _PROBES:
        return {}
    return _EVERYWHERE | (_WITH_BODY if "requestBody" in operation else {}) | _MORE.get(path, {})


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description with our error shape everywhere, and with how to send a token."""
    if app.openapi_schema:
        return app.openapi_schema
    described = FastAPI.openapi(app)
    parts = described.setdefault("components", {})
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"token": []}]
    for path, operations in described["paths"].items():
        for operation in operations.values():
            if path in _PROBES:
                operation["security"] = []
            for status, meaning in _answers_of(path, operation).items():
                operation["responses"].setdefault(str(status), {"description": meaning})["content"] = _ERROR
    for unused in ("HTTPValidationError", "ValidationError"):
        parts.get("schemas", {}).pop(unused, None)
    app.openapi_schema = described
    return described
