"""`FastAPI(lifespan=lifespan())`: opens the runtime with the app and closes it with the app."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette

from levelpool.executor import get_executor_manager
from levelpool.runtime import Engine, Runtime
from levelpool.settings import Settings


def lifespan(
    settings: Settings | None = None, *, pools: Mapping[str, Engine] | None = None
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """
    A lifespan for any FastAPI or Starlette app: while the app runs, its runtime is on `app.state.levelpool`.

    *settings* None reads the environment and watches the process-wide manager, the one that `get_executor_manager()` returns;
    with settings of your own the runtime has a manager of its own (`app.state.levelpool.manager`). The connection pools of the
    engines in *pools*, sync or async, are watched under their names.
    When the app ends, running calls have `shutdown_timeout` seconds. Raises `SettingsError` at start for a setting that cannot be used.
    """

    @asynccontextmanager
    async def open_runtime(app: Starlette) -> AsyncIterator[None]:
        runtime = Runtime(manager=get_executor_manager()) if settings is None else Runtime(settings)
        async with runtime:
            for name, engine in (pools or {}).items():
                runtime.add_pool(name, engine)
            app.state.levelpool = runtime
            try:
                yield
            finally:
                del app.state.levelpool

    return open_runtime
