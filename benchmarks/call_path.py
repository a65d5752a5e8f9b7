"""How many files and functions of levelpool a warm no-op call touches on its caller's side."""

import asyncio
import os
import sys
from pathlib import Path
from types import FrameType

import levelpool
from benchmarks.lane.tasks import noop
from levelpool import ExecutorManager

MOST_FILES = 10
"""The goal."""

WARM_UP = 50

_HERE = str(Path(levelpool.__file__).parent) + os.sep


def main() -> None:
    """Print the functions, file by file, and the goal."""
    functions = asyncio.run(touched())
    files = sorted({file for file, _ in functions})
    for file in files:
        print(f"  {file:32}  {', '.join(sorted(name for where, name in functions if where == file))}")
    print(
        f"{len(functions)} functions in {len(files)} files; the goal is {MOST_FILES} files at most: {'met' if len(files) <= MOST_FILES else 'NOT MET'}"
    )


async def touched() -> set[tuple[str, str]]:
    """File and name of every function of levelpool that ran in this thread while one call ran, warm."""
    found: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_HERE):
            found.add((code.co_filename.removeprefix(_HERE), code.co_qualname))

    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        for _ in range(WARM_UP):
            await manager.run_cpu_intensive(noop)
        sys.setprofile(note)
        try:
            await manager.run_cpu_intensive(noop)
        finally:
            sys.setprofile(None)
    return found


if __name__ == "__main__":
    main()
