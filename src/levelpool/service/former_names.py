"""Addresses with a name that a dataset had before lead to the one that it has now."""

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from levelpool.ingest.ledger.datasets import get_dataset, led_to
from levelpool.service.assembly import Service


async def to_current_name(request: Request, service: Service, name: str) -> Response:
    """The way on for an address with the former *name* of a dataset. Raises `NotFound` when no dataset was ever called that."""
    now_called = await service.ask(led_to, name)
    if now_called is None:
        await service.ask(get_dataset, name)
    path = request.scope["route"].path_format.format(**{**request.path_params, "name": now_called})
    return RedirectResponse(str(request.url.replace(path=path).path) + (f"?{request.url.query}" if request.url.query else ""), 308)
