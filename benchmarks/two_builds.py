"""
Round trip and throughput of two checkouts of levelpool beside each other: `python -m benchmarks.two_builds BEFORE [AFTER]`, folders of checkouts.

One process for each build, which take turns; of each pair of readings the ratio counts, so a slow minute of the machine is slow for both. The interval is that
of the median ratio, by resampling. `--pin 0` puts everything on one processor, where a message is a switch of processes and the ratio is steadier.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

TRIPS, FLOOD, IN_FLIGHT = 240, 1280, 64
READINGS = ("round trip, us", "no-ops per second, 64 in flight")
RESAMPLED = 2000


def compare(arguments: list[str]) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_builds", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?", default=Path(__file__).parents[1])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--pin", type=int, help="number of the processor for everything")
    asked = parser.parse_args(arguments)
    if asked.pin is not None:
        os.sched_setaffinity(0, {asked.pin})
    builds = [_start(path.resolve()) for path in (asked.before, asked.after)]
    for what in READINGS:
        pairs = []
        for turn in range(asked.pairs):
            order = builds if turn % 2 else builds[::-1]
            seen = {build: _ask(build, what) for build in order}
            pairs.append((seen[builds[0]], seen[builds[1]]))
        ratios = [after / before for before, after in pairs]
        medians = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(RESAMPLED))
        low, high = medians[RESAMPLED // 40], medians[-RESAMPLED // 40]
        before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{what}: before {before:.1f}, after {after:.1f}, ratio {statistics.median(ratios):.3f} (95 % from {low:.3f} to {high:.3f}, {len(pairs)} pairs)"
        )
    for build in builds:
        _pipe(build.stdin).close()
        build.wait()


def _start(checkout: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{checkout / 'src'}{os.pathsep}{checkout}", "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", str(checkout)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _ask(build: subprocess.Popen[str], what: str) -> float:
    _pipe(build.stdin).write(f"{READINGS.index(what)}\n")
    _pipe(build.stdin).flush()
    return float(_pipe(build.stdout).readline())


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("the process has no pipe")
    return pipe


async def serve(checkout: str) -> None:
    """In the process of one build: measure whatever is asked for, line by line."""
    import levelpool
    from benchmarks.lane.tasks import noop

    if not str(levelpool.__file__).startswith(checkout):
        raise SystemExit(f"levelpool came from {levelpool.__file__}, and not from {checkout}")
    async with levelpool.ExecutorManager(cpu_workers=2, io_workers=1) as manager:
        run = manager.run_cpu_intensive

        async def client() -> None:
            for _ in range(FLOOD // IN_FLIGHT):
                await run(noop)

        await asyncio.gather(*[client() for _ in range(IN_FLIGHT)])
        for line in sys.stdin:
            if int(line) == 0:
                times = []
                for _ in range(TRIPS):
                    began = time.perf_counter()
                    await run(noop)
                    times.append(time.perf_counter() - began)
                print(statistics.median(times) * 1e6, flush=True)
            else:
                began = time.perf_counter()
                await asyncio.gather(*[client() for _ in range(IN_FLIGHT)])
                print(FLOOD / (time.perf_counter() - began), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2]))
    else:
        compare(sys.argv[1:])
