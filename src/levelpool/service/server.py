"""`levelpool serve`: everything checked first, then uvicorn; the one door to uvicorn."""

import errno
import gc
import logging
import os
import signal
import socket
import sys
from dataclasses import replace
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

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
from levelpool.service.static import StaticFiles
from levelpool.service.tokens import ensure_admin_token
from levelpool.settings import Settings

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
    # uvicorn raises the signal again after it has drained; by then there is nothing left to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn has its own status for a start that failed
        raise SettingsError("the service could not start; the lines above say why") from None


def _serve_many(settings: Settings, listener: socket.socket) -> None:
    # The web workers are new processes, which read their settings from the environment.
    os.environ["WEB_CONCURRENCY"] = str(settings.web_concurrency)
    config = uvicorn.Config(
        "levelpool.service.server:create_lasting_app", factory=True, workers=settings.web_concurrency, **_options(settings)
    )
    supervisor = Multiprocess(config, sockets=[listener])
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
