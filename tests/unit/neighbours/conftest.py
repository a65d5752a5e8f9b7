"""A folder that several processes share, and one of them."""

import contextlib
import subprocess
import sys

import pytest

NEIGHBOUR = """
import asyncio, os, sys
from pathlib import Path
from levelpool.neighbours.membership import Neighbours
from levelpool.neighbours.share import CpuShare

async def main():
    folder = Path(sys.argv[1])
    async with Neighbours(folder, {"who": lambda: os.getpid()}) as us:
        share = CpuShare(folder, int(sys.argv[2]))
        print(us.number, us.leads, share.allow(1), flush=True)
        await us.lead()
        print("leads", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path):
    """A private folder that is not there yet."""
    return tmp_path / "run"


@pytest.fixture
def start(folder):
    """A function that starts a neighbour in a process of its own; returns the process and its first line."""
    with contextlib.ExitStack() as stack:

        def begin(slots=2):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(folder), str(slots)], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return process, process.stdout.readline().split()

        yield begin
