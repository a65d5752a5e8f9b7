"""Background tasks that have to run as long as their service does: one that ends by an error is said, and started again."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
"""Seconds before a task that ended is started again; twice as many each time, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 30.0
RECOVERED_AFTER = 10.0
"""Seconds that a task has to run until it counts as well again."""


@dataclass(slots=True)
class _Supervised:
    """One task, and how it has fared."""

    runs_since: float  # monotonic, in seconds; 0.0 while it waits to be started again
    pause: float  # seconds
    restarts: int = 0
    trouble: str = ""  # how it ended the last time, until it has recovered


class Supervisor:
    """
    Keeps background tasks running, by their names; belongs to one event loop.

    A task that returns has ended in peace, and one that is cancelled is ended by whoever started it. One that raises is said in the log with
    its traceback, and started again after a pause; `reasons` tells of it until it has run for `RECOVERED_AFTER` seconds, `restarts` counts.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, _Supervised] = {}

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None]":
        """Run `work()` in a task called `levelpool NAME`, and once more whenever it raises; cancel what is returned to end it."""
        before = self._tasks.get(name)
        self._tasks[name] = supervised = _Supervised(time.monotonic(), FIRST_PAUSE, before.restarts if before is not None else 0)
        return asyncio.create_task(self._keep(name, work, supervised), name=f"levelpool {name}")

    async def _keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]], supervised: _Supervised) -> None:
        while True:
            try:
                await work()
            except Exception as error:
                if self._is_well(supervised):
                    supervised.pause = FIRST_PAUSE
                supervised.trouble = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                supervised.runs_since = 0.0
                logger.exception("the background task %s has ended; it is started again in %g s", name, supervised.pause)
            else:
                supervised.trouble = ""
                return
            await asyncio.sleep(supervised.pause)
            supervised.pause = min(LONGEST_PAUSE, supervised.pause * 2)
            supervised.restarts += 1
            supervised.runs_since = time.monotonic()

    @staticmethod
    def _is_well(supervised: _Supervised) -> bool:
        return supervised.runs_since > 0.0 and time.monotonic() - supervised.runs_since >= RECOVERED_AFTER

    def restarts(self) -> dict[str, int]:
        """How often each task was started again."""
        return {name: each.restarts for name, each in list(self._tasks.items())}

    def reasons(self) -> list[str]:
        """One sentence for each task that is not well."""
        return [
            f"The background task {name} has ended ({each.trouble}) and is started again; the log has more."
            for name, each in list(self._tasks.items())
            if each.trouble and not self._is_well(each)
        ]
