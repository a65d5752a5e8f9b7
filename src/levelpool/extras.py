"""The optional packages: which extra brings which, and what is said when one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from levelpool.errors import ExtraMissing

EXTRA_OF = {
    "aiosqlite": "service",
    "alembic": "ingest",
    "apprise": "alerts",
    "cryptography": "encrypted",
    "dask": "dask",
    "distributed": "dask",
    "fastapi": "fastapi",
    "greenlet": "sqlalchemy",
    "httptools": "service",
    "jinja2": "service",
    "lxml": "sheets",
    "msoffcrypto": "encrypted",
    "olefile": "encrypted",
    "opentelemetry": "otel",
    "prometheus_client": "prometheus",
    "psycopg": "ingest",
    "psycopg_binary": "ingest",
    "pyarrow": "arrow",
    "python_calamine": "sheets",
    "python_multipart": "fastapi",
    "rapidfuzz": "ingest",
    "rich": "sheets",
    "sqlalchemy": "sqlalchemy",
    "starlette": "fastapi",
    "uvicorn": "service",
    "uvloop": "service",
    "xlrd": "sheets",
}
"""A module that is imported where it is needed -> the smallest extra that brings it."""


def missing(package: str, needed_for: str, *, extra: str | None = None) -> ExtraMissing:
    """The error for *needed_for*, such as "/metrics", when *package* is not installed; it names the command that installs it."""
    extra = extra or EXTRA_OF.get(package)
    what = f"'levelpool[{extra}]'" if extra else package
    return ExtraMissing(
        f"{needed_for} needs the package {package}, which is not installed: pip install {what}", package=package, extra=extra
    )


@contextmanager
def needed_for(what: str, *, extra: str | None = None) -> Iterator[None]:
    """
    Around imports: a package that is missing is named in one sentence, with the extra that brings it.

    *extra* is said in place of the smallest one where what is done needs more than this one package.
    Raises `ExtraMissing`. An import that fails for another reason, or a part of levelpool that is missing, is left as it is.
    """
    try:
        yield
    except ExtraMissing:
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "levelpool"}:
            raise
        raise missing(package, what, extra=extra if package in EXTRA_OF else None) from error
