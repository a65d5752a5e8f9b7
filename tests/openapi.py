"""`make schemathesis`: requests made from the OpenAPI description, against the service on both databases; whatever they find fails it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from running import ADMIN_TOKEN, start_service
from servers import PostgresServer

HERE = Path(__file__).parent
ORDERS = b"Order No,Amount\n000184,12.50\n000185,7.25\n"


def run_against(database: str | None, folder: Path, seconds: int) -> int:
    """The exit status of schemathesis; 0 when it has nothing to report within *seconds*."""
    settings = {} if database is None else {"LEVELPOOL_DATABASE_URL": database}
    service = start_service(folder / "var", **settings)
    try:
        sent = service.client().post("/api/files", files={"file": ("orders.csv", ORDERS)})
        service.settled(sent.json()["id"])
        command = [os.environ["SCHEMATHESIS"], "--config-file", str(HERE / "schemathesis.toml"), "--no-color"]
        arguments = ["fuzz" if seconds > 60 else "run", f"{service.url}/openapi.json", "-H", f"Authorization: Bearer {ADMIN_TOKEN}"]
        limits = ["--max-time", str(seconds)] if seconds > 60 else ["--max-examples", "10"]
        return subprocess.run([*command, *arguments, *limits], cwd=folder, check=False).returncode
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
            statuses.append(run_against(database, folder, seconds))
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
