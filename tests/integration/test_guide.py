"""Every example of the executor guide, run as it stands there."""

import ast
import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import guide_tasks
from levelpool import Bulkhead, ExecutorManager, LaneFull

PAGE = Path(__file__).parents[2] / "docs/howto/executor.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
PROGRAMS = [text for text in EXAMPLES if "__main__" in text]
PIECES = [text for text in EXAMPLES if "__main__" not in text]


def first_line(text):
    return next(line for line in text.splitlines() if line and not line.startswith(("from", "import")))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("one\ntwo\nthree\nfour\nfive\n")
    return path


@pytest.fixture
async def names(path):
    """What stands around the examples in a reader's program."""
    seen = []

    async def store(batch):
        seen.append(batch)

    async with ExecutorManager(cpu_workers=2, io_workers=2) as manager:
        yield {
            **vars(guide_tasks),
            **{kind.__name__: kind for kind in (Bulkhead, ExecutorManager, LaneFull, JSONResponse, Request)},
            "app": FastAPI(),
            "loop": asyncio.get_running_loop(),
            "manager": manager,
            "path": path,
            "paths": [path, path],
            "seen": seen,
            "show": lambda *_: None,
            "store": store,
        }


async def run(text, names):
    """Run *text*, in which `await` may stand anywhere, and close the manager that it made."""
    mine = names["manager"]
    code = compile(text, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(code, names)
    if waiting is not None:
        await waiting
    if names["manager"] is not mine:
        await names["manager"].aclose()


@pytest.mark.parametrize("text", PIECES, ids=first_line)
async def test_example_runs(text, names):
    """A piece of a program runs inside one."""
    await run(text, names)

    for future in names.get("futures", ()):
        assert await asyncio.wrap_future(future) == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("text", PROGRAMS, ids=["the first program"])
def test_program_runs(text, path):
    """A whole program does what the guide says."""
    (path.parent / "program.py").write_text(text)

    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=dict(os.environ),
    )

    assert (done.stdout, done.stderr, done.returncode) == ("5\n", "", 0)


async def test_web_example_answers(names):
    """The handlers of the web example answer as they say: with the report, and with 503 when the lane is full."""
    (text,) = [text for text in PIECES if "cancel_on_disconnect" in text]
    await run(text, names)

    async def refuse():
        raise LaneFull("full", retry_after=7.2)

    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://guide") as client:
        report = await client.get("/report")
        names["app"].get("/full")(refuse)
        full = await client.get("/full")

    assert report.json() == "a report"
    assert (full.status_code, full.headers["Retry-After"]) == (503, "7")


async def test_stream_example_stores_everything(names):
    """Each batch of the stream example reaches `store`."""
    (text,) = [text for text in PIECES if "stream_cpu_intensive" in text]
    await run(text, names)

    assert names["seen"] == [["one", "two"], ["three", "four"], ["five"]]
