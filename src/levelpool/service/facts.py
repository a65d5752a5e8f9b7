"""What Prometheus is told of the database and its disk: read when it asks."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from levelpool.ingest.ledger.evidence import LOADED
from levelpool.ingest.ledger.schema import datasets, files, sheets
from levelpool.monitoring.metrics import Samples

_LAST_FILE = "levelpool_dataset_last_file_timestamp_seconds"
DISK = "levelpool_disk_bytes"


def disk_samples(data_dir: Path) -> list[tuple[Sequence[str], float]]:
    """The room that is free where originals and working files lie."""
    return [(("free",), float(shutil.disk_usage(data_dir).free))]


def database_samples(connection: sa.Connection, store: str) -> Samples:
    """When the newest loaded file of each dataset came, and the room that the originals of *store* and the database take."""
    kept = sa.select(files.c.sha256, sa.func.max(files.c.size).label("size")).where(files.c.kept, files.c.store == store)
    originals = connection.execute(sa.select(sa.func.sum(kept.group_by(files.c.sha256).subquery().c.size))).scalar() or 0
    newest = (
        sa.select(datasets.c.name, sa.func.max(files.c.received_at).label("at"))
        .join(sheets, sheets.c.dataset_id == datasets.c.id)
        .join(files, files.c.id == sheets.c.file_id)
        .where(files.c.status.in_(LOADED))
        .group_by(datasets.c.name)
    )
    return {
        DISK: [(("originals",), float(originals)), (("database",), float(_size(connection)))],
        _LAST_FILE: [((row.name,), row.at.timestamp()) for row in connection.execute(newest)],
    }


def _size(connection: sa.Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())
    file = Path(str(connection.engine.url.database))
    return sum(each.stat().st_size for each in (file, file.with_name(f"{file.name}-wal")) if each.exists())
