"""The service with a heartbeat of our own in its event loop: `python -m benchmarks.lag_probe FILE` writes one "instant lag" line a beat."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI

from levelpool.service import server
from levelpool.settings import Settings

BEAT = 0.005  # seconds


async def heartbeat(path: Path) -> None:
    """Sleep a beat, write down how much later than that the loop came back; seconds, on the clock that all processes share."""
    with path.open("w", encoding="ascii", buffering=1 << 16) as out:
        while True:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            now = time.monotonic()
            out.write(f"{now:.6f} {max(0.0, now - due):.6f}\n")


def _with_heartbeat(app: FastAPI, path: Path) -> FastAPI:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[object]:
        async with inner(app) as state:
            beating = asyncio.create_task(heartbeat(path))
            yield state
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    app.router.lifespan_context = lifespan
    return app


def main() -> None:
    """Serve as `levelpool serve` does; with "control" as second argument only beat, in a loop that does nothing else."""
    path = Path(sys.argv[1])
    if sys.argv[2:] == ["control"]:
        with suppress(KeyboardInterrupt):
            asyncio.run(heartbeat(path))
        return
    create_app = server.create_app
    server.create_app = lambda *args, **options: _with_heartbeat(create_app(*args, **options), path)
    server.serve(Settings.read())


if __name__ == "__main__":
    main()
