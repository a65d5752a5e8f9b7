"""What importing the library loads, and what it does not."""

import subprocess
import sys
from importlib import import_module

import pytest

OPTIONAL = "aiosqlite alembic apprise click dask distributed fastapi jinja2 lxml numpy opentelemetry pandas polars prometheus_client psutil psycopg pyarrow pydantic rapidfuzz rich sqlalchemy starlette uvicorn uvloop xlrd"

LOADED = "import sys; import {face}; print(*sys.modules)"


def loaded_by(face: str) -> set[str]:
    """The modules of a new process after importing *face*."""
    done = subprocess.run([sys.executable, "-c", LOADED.format(face=face)], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_of_the_library_loads_no_optional_package():
    """Three lines of code must not cost a web framework, a database toolkit or psutil."""
    assert not loaded_by("levelpool, levelpool.executor") & set(OPTIONAL.split())


def test_import_of_the_executor_loads_no_lane():
    """Dispatcher, fork server, threads and cluster are loaded by the manager that needs them: the import stays near that of asyncio."""
    loaded = {name for name in loaded_by("levelpool.executor") - loaded_by("asyncio") if name.startswith("levelpool.lanes.")}

    assert loaded == {
        f"levelpool.lanes.{each}" for each in ("arguments", "bulkheads", "lane", "place", "progress", "task_stats", "waiting_line")
    }


def test_reading_sheets_loads_nothing_from_outside():
    """Readers, cleaning and types are on the standard library; no database, no executor; 493 modules it were when it brought both along."""
    loaded = loaded_by("levelpool.sheets") - loaded_by("sys")

    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"levelpool"}
    assert len(loaded) <= 493 // 2
    assert not loaded & {"levelpool.executor", "levelpool.database", "levelpool.ingest", "asyncio"}


@pytest.mark.parametrize("name", ["DataIngestionService", "DataSyncService", "RawDataImporter", "SyncReport"])
def test_what_lives_in_ingest_is_still_found_in_sheets(name):
    """Where it once was; it is one and the same."""
    assert getattr(import_module("levelpool.sheets"), name) is getattr(import_module("levelpool.ingest"), name)
    with pytest.raises(AttributeError, match="has no attribute 'DataExportService'"):
        import_module("levelpool.sheets").DataExportService  # noqa: B018


@pytest.mark.parametrize("face", ["levelpool.ingest", "levelpool.monitoring", "levelpool.sheets", "levelpool.web"])
def test_no_face_loads_data_frames(face):
    """pandas, polars and pyarrow are loaded by the one who asks for a frame, not by the service."""
    assert not loaded_by(face) & {"numpy", "pandas", "polars", "pyarrow"}


def test_the_library_stands_without_the_service_and_the_sheets():
    """The library loads nothing of what is built on it."""
    loaded = loaded_by("levelpool, levelpool.executor, levelpool.runtime, levelpool.web, levelpool.testing, levelpool.database")

    assert not [name for name in loaded if name.startswith(("levelpool.sheets", "levelpool.ingest", "levelpool.service", "levelpool.cli"))]
