"""The page: HTML for people, rendered here, kept live by one stream."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from levelpool.errors import LevelpoolError
from levelpool.ingest.drift.differences import lines
from levelpool.runtime import Runtime
from levelpool.service.assembly import Service, service_of
from levelpool.service.errors import Refusal
from levelpool.service.feed import read_counts
from levelpool.service.former_names import to_current_name
from levelpool.service.guard import SESSION_COOKIE, SIGN_IN
from levelpool.service.live import page_events
from levelpool.service.shapes import Status
from levelpool.service.signin import local_target
from levelpool.service.tokens import SESSION_LIFE
from levelpool.service.views import read_dataset, read_dataset_names, read_outside, read_sheets
from levelpool.sheets.errors import NameRefused, NotFound
from levelpool.web.auth import Identity, Role, require_admin, require_operator, require_viewer

PAGE = 50
SERVER_TIMEOUT = 1.0
"""Seconds that the database server has to say how many connections it allows."""
MAX_ID = (1 << 63) - 1
NUMERIC_TYPES = frozenset({"BIGINT", "NUMERIC", "DOUBLE PRECISION"})
_PAGES = (
    ("overview", "/", Role.VIEWER),
    ("files", "/files", Role.VIEWER),
    ("datasets", "/datasets", Role.VIEWER),
    ("system", "/system", Role.ADMIN),
)

Of = Annotated[Service, Depends(service_of)]
Viewer = Annotated[Identity, Depends(require_viewer)]
FileId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
Offset = Annotated[int, Query(ge=0, le=MAX_ID)]
Name = Annotated[str, Query(max_length=200)]


def page_router() -> APIRouter:
    """All pages, the sign-in, the page's files and its stream."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    for add in (_add_sign_in, _add_stream, _add_overview, _add_files, _add_datasets, _add_system):
        add(router)
    return router


def render(request: Request, template: str, *, status: int = 200, **values: object) -> Response:
    """The page *template* for whoever sends *request*."""
    renderer = request.app.state.renderer
    identity: Identity | None = getattr(request.state, "identity", None)
    role = identity.role if identity else Role.SCRAPE
    common: Mapping[str, object] = {
        "me": identity,
        "csrf": getattr(request.state, "csrf", None),
        "pages": [(key, href) for key, href, needed in _PAGES if role.covers(needed)],
        "here": None,
        "can_change": role.covers(Role.OPERATOR),
        "is_admin": role.covers(Role.ADMIN),
        "status": status,
    }
    answer: Response = renderer.page(template, {**common, **values}, status=status)
    return answer


# ---------------------------------------------------------------- sign-in


def _add_sign_in(router: APIRouter) -> None:
    @router.get("/static/{name:path}")
    async def static(request: Request, name: str) -> Response:
        return request.app.state.static.answer(request, name)  # type: ignore[no-any-return]

    @router.get(SIGN_IN)
    async def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name in the address
        return render(request, "sign_in.html", problem=None, next=local_target(next))

    @router.post(SIGN_IN)
    async def sign_in(request: Request, service: Of) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", errors="replace"))
        token, target = form.get("token", [""])[0].strip(), local_target(form.get("next", ["/"])[0])
        texts = request.app.state.renderer.texts
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return render(request, "sign_in.html", status=403, problem=texts("sign_in.elsewhere"), next="/")
        address = request.client.host if request.client else "unknown"
        try:
            service.attempts.check(address)
        except Refusal as refusal:
            answer = render(request, "sign_in.html", status=refusal.status_code, problem=refusal.detail, next=target)
            answer.headers.update(refusal.headers or {})
            return answer
        secret = await service.credentials.sign_in(token) if token else None
        if secret is None:
            service.attempts.failed(address)
            return render(request, "sign_in.html", status=401, problem=texts("sign_in.wrong"), next=target)
        service.attempts.succeeded(address)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            SESSION_COOKIE,
            secret,
            max_age=int(SESSION_LIFE.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/sign-out")
    async def sign_out(request: Request, service: Of, _: Viewer) -> Response:
        secret = request.cookies.get(SESSION_COOKIE)
        if secret:
            await service.credentials.sign_out(secret)
        answer = Response(status_code=204, headers={"HX-Redirect": SIGN_IN})
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return answer


def _add_stream(router: APIRouter) -> None:
    @router.get("/events")
    async def events(service: Of, who: Viewer) -> Response:
        stream = page_events(service, with_system=who.role.covers(Role.ADMIN))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


# ---------------------------------------------------------------- files


async def _file_list(service: Service, *, limit: int, offset: int, status: str = "", name: str = "") -> dict[str, Any]:
    found = await service.ingestion.files(limit=limit, offset=offset, status=status or None, name=name or None)
    said = {key: value for key, value in (("status", status), ("name", name)) if value}
    return {
        "in_state": status,
        "named": name,
        "states": get_args(Status),
        "query": urlencode(said) + "&" if said else "",
        "files": found["files"],
        "total": found["total"],
        "limit": limit,
        "offset": offset,
        "inbox": service.inbox_folder,
        "dataset_names": await service.ask(read_dataset_names),
        "upload_limit": service.settings.max_upload_bytes,
    }


def _add_overview(router: APIRouter) -> None:
    @router.get("/")
    async def overview(request: Request, service: Of, _: Viewer) -> Response:
        recent = await _file_list(service, limit=10, offset=0)
        datasets = await service.ingestion.datasets(limit=1, offset=0)
        return render(
            request,
            "overview.html",
            here="overview",
            counts=await service.ask(read_counts),
            dataset_total=datasets["total"],
            **recent,
            path="/files",
            refresh="/",
            paged=False,
        )


def _add_files(router: APIRouter) -> None:
    @router.get("/files")
    async def files(
        request: Request, service: Of, _: Viewer, offset: Offset = 0, status: Status | Literal[""] = "", name: Name = ""
    ) -> Response:
        found = await _file_list(service, limit=PAGE, offset=offset, status=status, name=name.strip())
        refresh = f"/files?{found['query']}offset={offset}"
        return render(request, "files.html", here="files", **found, path="/files", refresh=refresh, paged=True)

    @router.get("/files/{file_id}")
    async def file(request: Request, service: Of, _: Viewer, file_id: FileId, offset: Offset = 0) -> Response:
        record = await service.ingestion.file(file_id)
        # The page tells the drift by itself, sentence by sentence.
        record["remarks"] = [each for each in record["remarks"] if each not in lines(record["drift"])]
        record["sheets"] = await service.ask(read_sheets, file_id)
        record["outside"] = await service.ask(read_outside, file_id)
        quarantine = await service.ingestion.quarantine(file_id, limit=PAGE, offset=offset)
        # A wide table has thousands of columns: the loop does not wait for their text.
        return await service.run(render, request, "file.html", here="files", file=record, quarantine=quarantine, limit=PAGE, offset=offset)

    @router.get("/files/{file_id}/changes")
    async def changes(request: Request, service: Of, _: Viewer, file_id: FileId) -> Response:
        return render(request, "parts/changes.html", found=await service.ingestion.changes(file_id), file_id=file_id)

    @router.get("/files/{file_id}/undo", dependencies=[Depends(require_operator)])
    async def ask_undo(request: Request, service: Of, who: Viewer, file_id: FileId) -> Response:
        plan = await service.ingestion.undo(file_id, dry_run=True, actor=who.name)
        return render(request, "parts/undo.html", file=await service.ingestion.file(file_id), plan=plan)


# ---------------------------------------------------------------- datasets


def _add_datasets(router: APIRouter) -> None:
    @router.get("/datasets")
    async def datasets(request: Request, service: Of, _: Viewer, offset: Offset = 0) -> Response:
        found = await service.ingestion.datasets(limit=PAGE, offset=offset)
        return render(request, "datasets.html", here="datasets", **found, limit=PAGE, offset=offset)

    @router.get("/datasets/{name}")
    async def dataset(request: Request, service: Of, _: Viewer, name: str, offset: Offset = 0, current: bool = False) -> Response:
        try:
            found = await service.ingestion.rows(name, limit=PAGE, offset=offset, current=current)
        except NotFound:
            return await to_current_name(request, service, name)
        record = await service.ask(read_dataset, name)
        shown = found | {"current": current, "limit": PAGE, "offset": offset, "numeric": NUMERIC_TYPES}
        return render(request, "dataset.html", here="datasets", dataset=record, **shown)

    @router.get("/datasets/{name}/rename", dependencies=[Depends(require_operator)])
    async def ask_new_name(request: Request, _: Viewer, name: str) -> Response:
        return render(request, "parts/rename_dataset.html", name=name, new=name, problem=None)

    @router.post("/datasets/{name}/rename", dependencies=[Depends(require_operator)])
    async def rename(request: Request, service: Of, who: Viewer, name: str) -> Response:
        new = parse_qs((await request.body()).decode("utf-8", errors="replace")).get("name", [""])[0].strip()
        try:
            await service.ingestion.rename_dataset(name, new, actor=who.name)
        except NameRefused as problem:
            return render(request, "parts/rename_dataset.html", name=name, new=new, problem=problem)
        return Response(status_code=204, headers={"HX-Redirect": f"/datasets/{quote(new)}"})

    @router.get("/datasets/{name}/delete", dependencies=[Depends(require_admin)])
    async def ask_delete(request: Request, service: Of, who: Viewer, name: str) -> Response:
        plan = await service.ingestion.delete_dataset(name, dry_run=True, actor=who.name)
        return render(request, "parts/delete_dataset.html", name=name, plan=plan)


# ---------------------------------------------------------------- system


def _add_system(router: APIRouter) -> None:
    @router.get("/system", dependencies=[Depends(require_admin)])
    async def system(request: Request, service: Of) -> Response:
        return render(request, "system.html", here="system", **await _system(service.runtime))


async def _system(runtime: Runtime) -> dict[str, Any]:
    try:
        server = await asyncio.wait_for(runtime.server_connections(), SERVER_TIMEOUT)
    except (TimeoutError, LevelpoolError):
        server = None
    return {
        "now": (await runtime.monitor.fresh()).resource_usage(),
        "lanes": runtime.manager.stats().to_dict(),
        "pools": {"pools": [pool.to_dict() for pool in runtime.pools()], "server": server},
        "alerts": runtime.alerter.to_dict(),
    }
