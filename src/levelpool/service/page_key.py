"""The page's dialog for the key of a dataset: what is proposed, with its proof, and what somebody chose."""

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from levelpool.errors import LevelpoolError
from levelpool.service.assembly import Service, service_of
from levelpool.service.pages import render
from levelpool.web.auth import Identity, require_operator, require_viewer

Of = Annotated[Service, Depends(service_of)]
Json = dict[str, Any]
Viewer = Annotated[Identity, Depends(require_viewer)]


def key_router() -> APIRouter:
    """The dialog, and its answer."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse, dependencies=[Depends(require_operator)])

    @router.get("/datasets/{name}/key")
    async def ask_key(request: Request, service: Of, _: Viewer, name: str) -> Response:
        return await _dialog(request, service, name)

    @router.post("/datasets/{name}/key")
    async def set_key(request: Request, service: Of, who: Viewer, name: str) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", errors="replace"))
        chosen = form.get("other", [""])[0].strip() or form.get("key", [""])[0]
        columns = [column.strip() for column in chosen.split(",") if column.strip()]
        try:
            if columns:
                proof = await service.ingestion.prove_key(name, columns)
                if not (proof["unique"] and not proof["blanks"]) and not form.get("anyway"):
                    return await _dialog(request, service, name, other=chosen, doubt=proof)
            await service.ingestion.set_key(name, columns, actor=who.name)
        except LevelpoolError as problem:
            return await _dialog(request, service, name, other=chosen, problem=str(problem))
        return Response(status_code=204, headers={"HX-Refresh": "true"})

    return router


async def _dialog(
    request: Request, service: Service, name: str, *, other: str = "", doubt: Json | None = None, problem: str | None = None
) -> Response:
    proposals = await service.ingestion.key_proposals(name)
    return render(request, "parts/key.html", name=name, proposals=proposals, other=other, doubt=doubt, problem=problem)
