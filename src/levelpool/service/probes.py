"""The probes: whether the process lives, and whether it can do its work."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from levelpool.service import shapes


def probe_router() -> APIRouter:
    """`/livez` and `/readyz`, without credentials."""
    router = APIRouter(tags=["probes"])

    @router.get("/livez", responses={200: {"model": shapes.Alive}}, response_model=None)
    async def livez() -> Response:
        """200 as long as the event loop turns."""
        return JSONResponse({"status": "alive"})

    @router.get("/readyz", responses={200: {"model": shapes.Ready}, 503: {"model": shapes.Ready}}, response_model=None)
    async def readyz(request: Request) -> Response:
        """200 when requests can be served, else 503 with the reasons."""
        readiness = getattr(request.app.state, "readiness", None)
        reasons = await readiness.reasons() if readiness is not None else ["The service is starting."]
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": reasons}, 503)
        return JSONResponse({"status": "ready", "reasons": []})

    return router
