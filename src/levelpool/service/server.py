"""`levelpool serve`: everything checked first, then uvicorn; with `patience` the one door to uvicorn."""

import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from levelpool.alerts.channels import open_services
from levelpool.capacity.detect import detect_capacity
from levelpool.database import check_room, open_connection
from levelpool.errors import SettingsError
from levelpool.executor import reach_cluster
from levelpool.ingest.config import check_place
from levelpool.ingest.inbox_scan import scan
from levelpool.ingest.migrations import migrate
from levelpool.neighbours.locks import open_folder
from levelpool.runtime import size_for
from levelpool.service.app import create_app
from levelpool.service.assets import FILES
from levelpool.service.patience import PatientProtocol
from levelpool.service.static import StaticFiles
from levelpool.service.tokens import ensure_admin_token
from levelpool.service.web_workers import AppOfEach, LifeLines, interrupts_held
from levelpool.settings import Settings

logger = logging.getLogger(__name__)

END_TIME = 5.0
"""Seconds beyond `LEVELPOOL_SHUTDOWN_TIMEOUT` after which a web worker that was asked to end hangs."""
ANSWER_TIME = 15
"""Seconds without an answer of its threads after which a web worker is killed and replaced; a loaded machine takes some to start Python."""
INTERRUPTS = 2
"""So many times Ctrl-C, and web workers are not waited for any longer."""
APP = "levelpool.service.server:create_lasting_app"

_NO_SCRIPTS = (
    "levelpool: the page's scripts are missing, so it is not live and draws no charts: 'make assets' builds them in a clone, "
    "'make wheel' a wheel that holds them"
)


def serve(settings: Settings) -> None:
    """
    Run the service until Ctrl-C or SIGTERM, drain, and return.

    Raises `LevelpoolError` with one sentence when it cannot start: a port that is taken, a folder that cannot be used, a
    database out of reach.
    """
    set_up_logging()
    token = prepare(settings)
    with open_socket(settings.host, settings.port) as listener:
        _greet(listener, token)
        if settings.web_concurrency > 1:
            _serve_many(settings, listener)
        else:
            _serve_one(settings, listener)


def set_up_logging() -> None:
    """Log to stderr, one line each, without the chatter of libraries."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    # SQLAlchemy names the logger of a pool after its class; what a pool may have is said by levelpool.database.
    for chatty in ("alembic", "levelpool.connections"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def prepare(settings: Settings) -> str | None:
    """
    Make the folders, reach the database, bring its tables to their newest form, and see to it that somebody can sign in.

    Returns the first admin token when it was made now. Raises `LevelpoolError` with one sentence for whatever keeps the service from starting.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.inbox is None:
            settings.inbox_folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the folder {settings.data_dir} cannot be made or used ({error.strerror}): give this user the right, or set LEVELPOOL_DATA_DIR"
        ) from None
    scan(settings.inbox_folder)
    if settings.runtime_folder is not None:
        open_folder(settings.runtime_folder)
    open_services(settings.alert_urls)
    sizes = size_for(settings, detect_capacity())
    if settings.cpu_backend == "dask":
        check_place(settings.database, is_elsewhere=True)
        sizes = replace(sizes, cpu_workers=max(1, reach_cluster(settings)))
    with open_connection(settings.database) as connection:
        with connection.begin():
            check_room(connection, sizes)
        with connection.begin():
            migrate(connection)
            return ensure_admin_token(connection, settings.admin_token)


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `SettingsError` when the address or port cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} of {host} is taken: stop what listens there, or set LEVELPOOL_PORT to another port (0 takes any free one)"
            ) from None
        raise SettingsError(
            f"cannot listen on {host} port {port} ({error.strerror or error}): check LEVELPOOL_HOST and LEVELPOOL_PORT"
        ) from None
    listener.set_inheritable(True)
    return listener


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "http": PatientProtocol,
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": int(settings.shutdown_timeout) + 1,
        "timeout_keep_alive": 75,
    }


def create_lasting_app(settings: Settings | None = None) -> FastAPI:
    """The application for a process that does nothing else: what is loaded by now is never looked through for garbage again."""
    set_up_logging()
    app = create_app(settings)
    # A full collection that walks through every loaded module stops the event loop for a tenth of a second.
    gc.collect()
    gc.freeze()
    return app


def _serve_one(settings: Settings, listener: socket.socket) -> None:
    server = uvicorn.Server(uvicorn.Config(create_lasting_app(settings), **_options(settings)))
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is ignored, and stays so
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    # uvicorn raises the signal again after it has drained; by then there is nothing left to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn has its own status for a start that failed
        raise SettingsError("the service could not start; the lines above say why") from None


class _Supervisor(Multiprocess):
    """
    uvicorn's supervisor of web workers, which says whom it has replaced, and does not wait for ever for one that hangs.

    Asked to end by SIGINT, SIGTERM, or a terminal that is closed, it asks the web workers at once; *patience* seconds later it kills
    those that are left, and with a second SIGINT (Ctrl-C) now.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, *, patience: float) -> None:
        hangup = signal.getsignal(signal.SIGHUP)
        super().__init__(config, sockets=[listener])
        self._patience = patience
        self._asked_at: float | None = None
        self._interrupts = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)
        if hangup is signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self.signal_queue.append(number)
        self._asked_at = self._asked_at or time.monotonic()
        self._interrupts += number == signal.SIGINT
        # Now, and not when uvicorn comes to it: it may just be waiting for the answer of a web worker that hangs.
        self._tell_all(signal.SIGTERM if self._interrupts < INTERRUPTS else signal.SIGKILL)

    def _tell_all(self, number: int) -> None:
        for worker in self.processes:
            if worker.exitcode is None and worker.pid is not None:
                os.kill(worker.pid, number)

    def init_processes(self) -> None:
        with interrupts_held():
            super().init_processes()

    def handle_hup(self) -> None:
        self.should_exit.set()

    def keep_subprocess_alive(self) -> None:
        for index, worker in enumerate(self.processes):
            if self._answers(worker):
                continue
            if self._asked_at is not None:
                return
            hangs = worker.exitcode is None
            worker.kill()
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                self.should_exit.set()
                return
            new = self.processes[index] = Process(self.config, self.sockets)
            with interrupts_held():
                new.start()
            why = f"did not answer for {ANSWER_TIME} s and was killed" if hangs else f"died (exit code {worker.exitcode})"
            logger.warning("web worker %d %s: web worker %d takes its place", worker.pid, why, new.pid)

    def _answers(self, worker: Process) -> bool:
        # Second by second, so that whoever asks us to end does not wait for a web worker that hangs.
        for _ in range(ANSWER_TIME):
            if worker.is_alive(timeout=1):
                return True
            if self._asked_at is not None or worker.exitcode is not None:
                break
        return False

    def join_all(self) -> None:
        deadline = (self._asked_at or time.monotonic()) + self._patience
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
        self._tell_all(signal.SIGKILL)
        super().join_all()
        for worker in self.processes:
            if worker.exitcode == -signal.SIGKILL:
                logger.warning("web worker %d did not end and was killed; what it was loading is pending again", worker.pid)


def _serve_many(settings: Settings, listener: socket.socket) -> None:
    # The web workers are new processes, which read their settings from the environment.
    os.environ["WEB_CONCURRENCY"] = str(settings.web_concurrency)
    with LifeLines() as lines:
        config = uvicorn.Config(AppOfEach(lines, APP), factory=True, workers=settings.web_concurrency, **_options(settings))  # type: ignore[arg-type]
        supervisor = _Supervisor(config, listener, patience=settings.shutdown_timeout + END_TIME)
        supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        raise SettingsError("a web worker could not start; the lines above say why")


def _greet(listener: socket.socket, token: str | None) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"levelpool serves http://{shown}:{port}", flush=True)
    if token:
        print(f"admin token, shown this once: {token}", flush=True)
    page = StaticFiles()
    if not all(f"vendor/{name}" in page for name in FILES):
        print(_NO_SCRIPTS, file=sys.stderr, flush=True)
