"""How files are taken in: what the services of one database share, told once."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

from levelpool.database import parse_url
from levelpool.errors import DatabaseError
from levelpool.helper_worker import size_to_share
from levelpool.settings import Settings
from levelpool.sheets.read.limits import Limits
from levelpool.sizing import Sizes

OnProgress = Callable[[int, str, float], None]
"""Told of a file's id, its name, and how far it has come, in percent; called in the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Which database, where its originals lie, and how its files run. None is what the environment says when the session opens."""

    database_url: str
    data_dir: Path | str | None = None  # holds the kept originals, and the working files
    limits: Limits | None = None
    file_timeout: float = 1800.0  # seconds that one file may take
    parallel: int | None = None  # files at once; None: as many as there are worker processes
    share_files_from: int | None = None  # bytes from which a file may have a helper worker; 0: none may
    sizes: Sizes | None = None  # of the pool of connections
    on_progress: OnProgress | None = None

    def left_open(self) -> frozenset[str]:
        """The fields of `Settings` that `filled` takes."""
        folder = set() if self.data_dir else {"data_dir"}
        limits = set() if self.limits else {each.name for each in fields(Limits)}
        sharing = {"share_files_from", "web_concurrency"} if self.share_files_from is None else set()
        return frozenset(folder | limits | sharing)

    def filled(self, settings: Settings) -> Self:
        """With the settings' values where none was said, and an absolute folder."""
        return replace(
            self,
            data_dir=self.folder(settings),
            limits=self.limits or Limits.of(settings),
            share_files_from=size_to_share(settings) if self.share_files_from is None else self.share_files_from,
        )

    def folder(self, settings: Settings) -> Path:
        """Where originals and working files lie."""
        return Path(self.data_dir or settings.data_dir).absolute()


def check_place(database_url: str, *, is_elsewhere: bool) -> None:
    """Raise `DatabaseError` when the database is a file of this machine, and the workers are on others."""
    if is_elsewhere and parse_url(database_url).get_backend_name() == "sqlite":
        raise DatabaseError(
            f"LEVELPOOL_CPU_BACKEND is 'dask', and the database is {database_url}, a file of this machine that the workers of a cluster cannot reach: "
            "set LEVELPOOL_DATABASE_URL to a postgresql:// URL that is right for them too"
        )


def absolute_url(database_url: str) -> str:
    """
    The URL as a worker with another working folder understands it.

    Raises `DatabaseError` for a SQLite database in memory, and for one that is not reached by psycopg 3 or Python's own driver.
    """
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise DatabaseError(
                "a SQLite database in memory cannot be shared with worker processes: use a file, as in sqlite:///data.sqlite"
            )
        url = url.set(database=str(Path(str(url.database)).absolute()))
    elif url.drivername != "postgresql+psycopg":
        raise DatabaseError(
            f"rows are loaded by psycopg 3, or into SQLite: give a postgresql:// or sqlite:/// URL in place of {url.drivername}://"
        )
    return url.render_as_string(hide_password=False)
