"""An ASGI app of a few lines, which answers with where its calls ran."""

import json
import os

from levelpool import get_executor_manager


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in ("startup", "shutdown"):
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    manager = get_executor_manager()
    ran = {"server": os.getpid(), "cpu": await manager.run_cpu_intensive(os.getpid), "io": await manager.run_io_intensive(os.getpid)}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(ran).encode()})
