"""What importing the library loads, and what it does not."""

import subprocess
import sys

import pytest

OPTIONAL = "aiosqlite alembic apprise click dask distributed fastapi jinja2 lxml numpy opentelemetry pandas polars prometheus_client psutil psycopg pyarrow pydantic rich sqlalchemy starlette uvicorn uvloop xlrd"

LOADED = "import sys; import {face}; print(*sys.modules)"


def loaded_by(face: str) -> set[str]:
    """The modules of a new process after importing *face*."""
    done = subprocess.run([sys.executable, "-c", LOADED.format(face=face)], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_of_the_library_loads_no_optional_package():
    """Three lines of code must not cost a web framework, a database toolkit or psutil."""
    assert not loaded_by("levelpool") & set(OPTIONAL.split())


@pytest.mark.parametrize("face", ["levelpool.monitoring", "levelpool.sheets", "levelpool.web"])
def test_no_face_loads_data_frames(face):
    """pandas, polars and pyarrow are loaded by the one who asks for a frame, not by the service."""
    assert not loaded_by(face) & {"numpy", "pandas", "polars", "pyarrow"}


def test_the_library_stands_without_the_service_and_the_sheets():
    """The library loads nothing of the wing that is built on it."""
    loaded = loaded_by("levelpool, levelpool.runtime, levelpool.web, levelpool.testing, levelpool.database")

    assert not [name for name in loaded if name.startswith(("levelpool.sheets", "levelpool.service", "levelpool.cli"))]
