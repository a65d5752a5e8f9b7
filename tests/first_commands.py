"""
The first thing that somebody does with each extra, in an environment that holds that extra alone.

Each runs the Python of that environment as a process of its own and fails with what it said. A new extra needs one here: `FIRST`.
"""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from handmade import encrypted_workbook
from wheels import clean_environment

ORDERS = b"order,amount\n000184,12.50\n000185,3.00\n"
PATIENCE = 60.0
"""Seconds that a command may take on a machine that does much else."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with one extra, and a folder to work in."""

    python: Path
    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """`levelpool ...` there, whatever this process has in its path."""
        return [str(self.python), "-I", "-m", "levelpool", *arguments]

    @property
    def log(self) -> Path:
        """What `serving` has logged."""
        return self.folder / "serve.log"

    def environment(self, **settings: str) -> dict[str, str]:
        """Nothing of ours, and *settings*."""
        return clean_environment(LEVELPOOL_DATA_DIR=str(self.folder / "var"), LEVELPOOL_PORT="0", **settings)

    def levelpool(self, *arguments: str, status: int = 0, **settings: str) -> str:
        """What the command printed; it must end with *status*."""
        return self._run(self.command(*arguments), status, settings)

    def program(self, text: str, *arguments: str, status: int = 0, **settings: str) -> str:
        """What a program of this text printed; it must end with *status*."""
        path = self.folder / "program.py"
        path.write_text(text)
        return self._run([str(self.python), "-I", str(path), *arguments], status, settings)

    def _run(self, command: list[str], status: int, settings: dict[str, str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def file(self, name: str, content: bytes = ORDERS) -> str:
        """A file in the folder."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


def _expect(part: str, said: str) -> None:
    # With a message of its own: `try_installs` runs this without pytest.
    assert part in said, f"{part!r} is not in what was said: {said}"


# ---------------------------------------------------------------- the library

BASE = """
import asyncio
from levelpool import get_executor_manager

async def main():
    manager = get_executor_manager()
    print(await manager.run_cpu_intensive(pow, 3, 4), await manager.run_io_intensive(pow, 2, 5))
    await manager.aclose()

if __name__ == "__main__":
    asyncio.run(main())
    for face in ("levelpool.web", "levelpool.database", "levelpool.ingest"):
        try:
            __import__(face)
        except ImportError as error:
            print(error)
"""


def run_base(at: Installed) -> None:
    """The executor runs, the command line answers, and what is not there is named."""
    said = at.program(BASE)
    _expect("81 32\n", said)
    _expect("levelpool.web needs the package", said)
    _expect("pip install 'levelpool[fastapi]'", said)
    _expect("levelpool.database needs the package sqlalchemy, which is not installed: pip install 'levelpool[sqlalchemy]'", said)
    _expect("levelpool.ingest needs the package sqlalchemy, which is not installed: pip install 'levelpool[", said)
    assert json.loads(at.levelpool("capacity", "--json"))["cpus"] > 0
    _expect("pip install 'levelpool[ingest]'", at.levelpool("sync", at.file("orders.csv"), status=2))
    _expect("pip install 'levelpool[sheets]'", at.levelpool("inspect", at.file("orders.csv"), status=2))
    _expect("pip install 'levelpool[service]'", at.levelpool("serve", status=2))


FASTAPI = """
import asyncio
from fastapi import FastAPI
from levelpool.web import lifespan, metrics_router, system_router

app = FastAPI(lifespan=lifespan())
app.include_router(system_router(require_admin=lambda: None))
app.include_router(metrics_router(require_scrape=lambda: None))

async def get(path):
    sent = []
    async def receive():
        await asyncio.sleep(3600)
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
             "raw_path": path.encode(), "query_string": b"", "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    await app(scope, receive, send)
    print(sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:]).decode()[:300])

async def main():
    async with app.router.lifespan_context(app):
        await get("/api/system/resource-usage")
        await get("/metrics")

if __name__ == "__main__":
    asyncio.run(main())
"""


def run_fastapi(at: Installed) -> None:
    """An app of one's own answers; its metrics need another extra, and say which."""
    usage, metrics = at.program(FASTAPI).splitlines()[:2]
    _expect("200 {", usage)
    _expect("501 ", metrics)
    _expect("pip install 'levelpool[prometheus]'", metrics)


SQLALCHEMY = """
import asyncio
from levelpool.database import create_async_engine, create_engine
from levelpool.errors import LevelpoolError

async def main():
    import sqlalchemy.ext.asyncio
    try:
        create_async_engine("sqlite+aiosqlite:///awaited.sqlite")
    except LevelpoolError as error:
        print(error)

with create_engine("sqlite:///plain.sqlite").connect() as connection:
    print(connection.exec_driver_sql("SELECT 42").scalar())
try:
    create_engine("postgresql://localhost/sales")
except LevelpoolError as error:
    print(error)
asyncio.run(main())
"""


def run_sqlalchemy(at: Installed) -> None:
    """An engine works, SQLAlchemy's asyncio part is complete, and a driver that is not there is named."""
    value, plain, awaited = at.program(SQLALCHEMY).splitlines()
    _expect("42", value)
    _expect("the package psycopg is not installed: pip install 'levelpool[", plain)
    _expect("the package aiosqlite is not installed: pip install 'levelpool[service]'", awaited)


PROMETHEUS = """
import asyncio
from levelpool.monitoring.metrics import render_metrics
from levelpool.runtime import Runtime

async def main():
    async with Runtime() as runtime:
        text, _ = render_metrics(await runtime.metrics())
        print(text.decode())

if __name__ == "__main__":
    asyncio.run(main())
"""


def run_prometheus(at: Installed) -> None:
    """A page of metrics of the library alone."""
    _expect('levelpool_cpus{web_worker="0"}', at.program(PROMETHEUS))


ALERTS = """
import asyncio
from levelpool.runtime import Runtime

async def main():
    async with Runtime() as runtime:
        for answer in await runtime.alerter.test():
            print(answer)

if __name__ == "__main__":
    asyncio.run(main())
"""


def run_alerts(at: Installed) -> None:
    """A test alert reaches a hook."""
    with hook() as (address, bodies):
        at.program(ALERTS, LEVELPOOL_ALERT_URLS=f"json://{address}")
    _expect("levelpool", *bodies)


OTEL = """
import asyncio
from opentelemetry import context, trace
from levelpool import get_executor_manager

OURS = 0x5CA1AB1E

class Tracer(trace.NoOpTracer):
    def start_span(self, name, context=None, **_options):
        return trace.NonRecordingSpan(trace.get_current_span(context).get_span_context())

class Provider(trace.TracerProvider):
    def get_tracer(self, *_arguments, **_options):
        return Tracer()

def trace_of_the_call():
    return trace.get_current_span().get_span_context().trace_id

async def main():
    trace.set_tracer_provider(Provider())
    parent = trace.SpanContext(OURS, 7, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    manager = get_executor_manager()
    print("the same" if await manager.run_cpu_intensive(trace_of_the_call) == OURS else "another")
    await manager.aclose()

if __name__ == "__main__":
    asyncio.run(main())
"""


def run_otel(at: Installed) -> None:
    """The caller's trace goes with the call to its worker process, whatever implementation the program has chosen."""
    _expect("the same", at.program(OTEL))


DASK = """
import asyncio, math
from distributed import LocalCluster
from levelpool import ExecutorManager

async def main(address):
    async with ExecutorManager(dask_scheduler=address) as manager:
        print(await manager.run_cpu_intensive(math.factorial, 10))

if __name__ == "__main__":
    with LocalCluster(1, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None) as cluster:
        asyncio.run(main(cluster.scheduler_address))
"""


def run_dask(at: Installed) -> None:
    """A call runs on a cluster."""
    _expect("3628800", at.program(DASK, DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES="[]", DASK_DISTRIBUTED__WORKER__HTTP__ROUTES="[]"))


# ---------------------------------------------------------------- sheets


def run_inspect(at: Installed) -> None:
    """A file is understood, without a database."""
    _expect("000184", at.levelpool("inspect", at.file("orders.csv")))


READ = """
import importlib.util
from levelpool.sheets import ExcelParser

table = ExcelParser.read_excel("orders.csv")
print(len(table), [column.name for column in table.columns])
print([name for name in ("sqlalchemy", "alembic", "psycopg", "greenlet") if importlib.util.find_spec(name)])
try:
    from levelpool.sheets import DataIngestionService
except ImportError as error:
    print(error)
"""


def run_read(at: Installed) -> None:
    """A program reads a file where no database package is; what loads into one says what to install."""
    at.file("orders.csv")
    said = at.program(READ)
    _expect("2 ['order', 'amount']\n[]\n", said)
    _expect("levelpool.ingest needs the package sqlalchemy, which is not installed: pip install 'levelpool[ingest]'", said)
    _expect("pip install 'levelpool[ingest]'", at.levelpool("sync", "orders.csv", status=2))


def run_sync(at: Installed) -> None:
    """A file becomes a table."""
    _expect("1 loaded", at.levelpool("sync", at.file("orders.csv")))


ARROW = """
from levelpool.sheets import ExcelParser

table = ExcelParser.read_excel("orders.parquet").to_arrow()
print(table.num_rows, table.column_names)
"""


def run_arrow(at: Installed) -> None:
    """A Parquet file is understood, and a table becomes an Arrow one."""
    pq.write_table(pa.table({"order": ["000184"], "amount": [12.5]}), at.folder / "orders.parquet")
    _expect("1 ['order', 'amount']", at.program(ARROW))


def run_encrypted(at: Installed) -> None:
    """A workbook with a password is understood."""
    encrypted_workbook(at.folder / "stock.xlsx", "open sesame")
    _expect("00001", at.levelpool("inspect", "stock.xlsx", LEVELPOOL_FILE_PASSWORD="open sesame"))


# ---------------------------------------------------------------- the service


def run_service(at: Installed) -> None:
    """A token is made; the service takes an upload, answers with its page, its scripts and its metrics, and sends an alert; `top` shows it."""
    token = at.levelpool("token", "create", "--role", "admin").strip()
    with hook() as (address, bodies), serving(at, LEVELPOOL_ALERT_URLS=f"json://{address}") as url:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE) as client:
            number = client.post("/api/files", files={"file": ("orders.csv", ORDERS)}).raise_for_status().json()["id"]
            _check_page(client)
            _expect("levelpool_cpus", client.get("/metrics").raise_for_status().text)
            answers = client.post("/api/system/alerts/test").raise_for_status().json()["channels"]
            assert len(answers) == 2 and len(bodies) == 1, answers
            record = _ended(client, number)
            assert record["rows_loaded"] == 2, record
        _watch_top(at, {"LEVELPOOL_URL": url, "LEVELPOOL_TOKEN": token})


def _check_page(client: httpx.Client) -> None:
    """Each file that the pages name is there, the scripts that come from npm among them."""
    pages = client.get("/").raise_for_status().text + client.get("/system").raise_for_status().text
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', pages))
    assert {"htmx.min.js", "uplot.min.js", "uplot.min.css"} <= {Path(each.partition("?")[0]).name for each in named}, named
    for each in named:
        assert client.get(each).raise_for_status().content, each


def _ended(client: httpx.Client, number: int) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        record = client.get(f"/api/files/{number}").raise_for_status().json()
        if record["status"] not in {"pending", "running"}:
            return record
        time.sleep(0.05)
    raise AssertionError(f"file {number} is still {record['status']}")


def _watch_top(at: Installed, settings: dict[str, str]) -> None:
    """`levelpool top` draws on a terminal; Ctrl-C ends it with status 0."""
    ours, its = pty.openpty()
    top = subprocess.Popen(at.command("top"), env=at.environment(TERM="xterm", **settings), stdin=its, stdout=its, stderr=its)
    os.close(its)
    drawn = b""
    try:
        while b"loop lag" not in drawn:
            drawn += os.read(ours, 65536)  # raises when it ends before that
        top.send_signal(signal.SIGINT)
        # Whoever does not read lets it wait.
        with contextlib.suppress(OSError):
            while os.read(ours, 65536):
                pass
        assert top.wait(PATIENCE) == 0
    except OSError as error:
        raise AssertionError(f"levelpool top ended: {drawn.decode(errors='replace')}") from error
    finally:
        top.kill()
        top.wait()
        os.close(ours)


@contextlib.contextmanager
def serving(at: Installed, **settings: str) -> Iterator[str]:
    """The address of `levelpool serve`, which must end with status 0 and without a traceback."""
    with at.log.open("w") as errors:
        process = subprocess.Popen(
            at.command("serve"),
            env=at.environment(PYTHONUNBUFFERED="1", **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, at.log.read_text()
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(PATIENCE)
        process.stdout.close()
    assert status == 0 and "Traceback" not in at.log.read_text(), at.log.read_text()


@contextlib.contextmanager
def hook() -> Iterator[tuple[str, list[str]]]:
    """(address, bodies of the requests so far) of a small web server."""
    bodies: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


# ---------------------------------------------------------------- which is for which

EVERYTHING = """
import importlib, pkgutil
import levelpool

for module in pkgutil.walk_packages(levelpool.__path__, "levelpool."):
    if not module.name.endswith("__main__") and ".migrations." not in module.name:
        importlib.import_module(module.name)
print("imported")
"""


def run_all(at: Installed) -> None:
    """Every module of the wheel can be imported."""
    _expect("imported", at.program(EVERYTHING))


FIRST: dict[str, tuple[Callable[[Installed], None], ...]] = {
    "": (run_base,),
    "alerts": (run_alerts,),
    "all": (run_all,),
    "arrow": (run_arrow,),
    "dask": (run_dask,),
    "encrypted": (run_encrypted,),
    "fastapi": (run_fastapi,),
    "ingest": (run_sync,),
    "otel": (run_otel,),
    "prometheus": (run_prometheus,),
    "service": (run_service,),
    "sheets": (run_inspect, run_read),
    "sqlalchemy": (run_sqlalchemy,),
}
"""Extra ("": none) -> what is done with it first."""
