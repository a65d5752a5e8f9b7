"""Who holds a connection, in words for an operator: the request that took it."""

from starlette.types import ASGIApp, Receive, Scope, Send

from levelpool.pools import connection_holder


class NameHolders:
    """
    Middleware: connections that are taken while a request is answered are held by its method and path, such as `GET /orders/7`.

    `app.add_middleware(NameHolders)`. `pool_stats`, `/api/system/db-pool-stats` and `PoolExhausted` name them so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = connection_holder.set(f"{scope['method']} {scope['path']}")
        try:
            await self._app(scope, receive, send)
        finally:
            connection_holder.reset(token)
