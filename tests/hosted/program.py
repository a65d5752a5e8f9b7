"""A program that says where its calls ran, one of its own functions among them."""

import asyncio
import json
import multiprocessing
import os

from levelpool import ExecutorManager


def square(number):
    return number * number, os.getpid()


async def main():
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        squared, cpu = await manager.run_cpu_intensive(square, 7)
        io = await manager.run_io_intensive(os.getpid)
    print(json.dumps({"server": os.getpid(), "cpu": cpu, "io": io, "squared": squared}))


if __name__ == "__main__":
    multiprocessing.freeze_support()
    asyncio.run(main())
