"""The process that `benchmarks.throttling` measures: a runtime with full lanes, and requests of a millisecond in its loop."""

import asyncio
import json
import sys
import time

from levelpool.executor import ExecutorManager
from levelpool.runtime import Runtime
from levelpool.settings import Settings

BEAT = 0.005
REQUEST = 0.001
PAUSE = 0.02


def compute(seconds: float) -> None:
    """Use a processor for so many seconds of its time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


async def measure(manager: ExecutorManager, workers: int, seconds: float) -> dict[str, object]:
    """Lags of the loop, and calls that ended, while twice as many calls as workers are always there."""
    lags: list[float] = []
    calls = 0
    end = time.monotonic() + seconds

    async def beat() -> None:
        while time.monotonic() < end:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            lags.append(time.monotonic() - due)

    async def serve() -> None:
        while time.monotonic() < end:
            compute(REQUEST)
            await asyncio.sleep(PAUSE)

    async def feed() -> None:
        nonlocal calls
        while time.monotonic() < end:
            await manager.run_cpu_intensive(compute, 0.02)
            calls += 1

    await asyncio.gather(beat(), serve(), *(feed() for _ in range(2 * workers)))
    return {"lags": lags, "calls_per_second": calls / seconds, "workers": manager.stats().cpu.max_workers}


async def main(workers: int, give_way: bool, settle: float, seconds: float) -> None:
    """Run under load for *settle* seconds, then measure."""
    settings = Settings(cpu_executor_workers=workers, io_executor_workers=2, give_way=give_way, shutdown_timeout=2.0, monitor_enabled=False)
    async with Runtime(settings) as runtime:
        await measure(runtime.manager, workers, settle)
        print(json.dumps(await measure(runtime.manager, workers, seconds)))


if __name__ == "__main__":
    sys.stdin.readline()
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "gives way", float(sys.argv[3]), float(sys.argv[4])))
