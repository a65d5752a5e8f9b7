"""
Requests made from the OpenAPI description, against the service on both databases; whatever they find fails it.

`make schemathesis` runs this for minutes, and `acceptance/test_openapi.py` for seconds.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from running import ADMIN_TOKEN, start_service
from servers import PostgresServer

HERE = Path(__file__).parent
FUZZ_FROM = 60
"""Seconds from which on it goes on until they are over; for less it tries each address some times."""
ORDERS = b"Order No,Amount\n000184,12.50\n000185,7.25\n"


SCHEMATHESIS = Path(sys.prefix) / "openapi" / "bin" / "schemathesis"
"""In an environment of its own, which `make test` sets up: it wants other versions than we do."""


def run_against(database: str | None, folder: Path, mode: str, *limits: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis said, with status 0 when it has nothing to report."""
    settings = {} if database is None else {"LEVELPOOL_DATABASE_URL": database}
    service = start_service(folder / "var", **settings)
    try:
        sent = service.client().post("/api/files", files={"file": ("orders.csv", ORDERS)})
        service.settled(sent.json()["id"])
        command = [str(SCHEMATHESIS), "--config-file", str(HERE / "schemathesis.toml"), "--no-color"]
        arguments = [mode, f"{service.url}/openapi.json", "-H", f"Authorization: Bearer {ADMIN_TOKEN}"]
        return subprocess.run([*command, *arguments, *limits], cwd=folder, check=False, capture_output=True, text=True)
    finally:
        service.stop()
        assert "Traceback" not in service.log.read_text(), service.log.read_text()[-4000:]


def main() -> int:
    """Both databases, half of SECONDS each."""
    seconds = int(os.environ.get("SECONDS_OF_ALL", "300")) // 2
    with tempfile.TemporaryDirectory() as made, PostgresServer() as server:
        statuses = []
        for name, database in (("sqlite", None), ("postgresql", server.create_database())):
            print(f"--- {name}", flush=True)
            folder = Path(made, name)
            folder.mkdir()
            mode = ("fuzz", "--max-time", str(seconds)) if seconds > FUZZ_FROM else ("run", "--max-examples", "10")
            done = run_against(database, folder, *mode)
            print(done.stdout, done.stderr, flush=True)
            statuses.append(done.returncode)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
