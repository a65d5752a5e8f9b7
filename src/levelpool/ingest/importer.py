"""`RawDataImporter`: rows that a program already has become rows in a table, with the same ledger, undo and replay as files."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from levelpool.executor import ExecutorManager
from levelpool.ingest.arrivals import Submission
from levelpool.ingest.config import IngestConfig, OnProgress
from levelpool.ingest.intake import Intake
from levelpool.ingest.ledger.queries import Json
from levelpool.ingest.room import remove_if_there, writing_in
from levelpool.ingest.rows_file import write_rows
from levelpool.ingest.store import Kept
from levelpool.sheets.errors import SheetError
from levelpool.sheets.frames import FrameColumn, arrow_rows, polars_rows
from levelpool.sheets.read.limits import Limits


class RawDataImporter:
    """Imports rows: dictionaries, DataFrames of pandas or polars, or anything with the Arrow stream interface."""

    def __init__(
        self,
        database_url: str,
        manager: ExecutorManager | None = None,
        *,
        data_dir: Path | str | None = None,
        limits: Limits | None = None,
        intake: Intake | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.intake = intake or Intake.of(
            IngestConfig(database_url=database_url, data_dir=data_dir, limits=limits, on_progress=on_progress), manager
        )
        self._owns_intake = intake is None

    async def __aenter__(self) -> Self:
        await self.intake.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what this opened."""
        if self._owns_intake:
            await self.intake.aclose()

    async def import_rows(self, rows: object, *, dataset: str, source: str, actor: str = "program") -> Json:
        """
        Load *rows* into *dataset* and return the record, as `DataIngestionService.ingest_file` does; *source* says where they come from.

        The columns have the types of their values. The same rows once more are a duplicate. *rows* are walked once, in a thread.
        Raises `NameRefused` for a dataset that cannot be, and `SheetError` for a value of another kind.
        """
        kept = await self.intake.session.do("keep", self._keep, rows)
        submission = Submission(name=source, source="import", actor=actor, dataset=dataset)
        recorded = await self.intake.arrivals.record(submission, kept)
        if recorded.status == "pending":
            await self.intake.runner.ingest([recorded.id])
        return await self.intake.runner.get_file(recorded.id)

    def _keep(self, rows: object) -> Kept:
        folder = self.intake.session.work
        path = folder / self.intake.session.own_name("rows")
        try:
            with writing_in(folder):
                folder.mkdir(parents=True, exist_ok=True)
                write_rows(as_mappings(rows), path)
            return self.intake.session.store.take(path)
        finally:
            remove_if_there(path)


def as_mappings(rows: Any) -> Iterator[Mapping[Any, object]]:
    """One mapping per row, whatever *rows* are."""
    if hasattr(rows, "itertuples"):  # pandas
        names = [FrameColumn(name) for name in rows.columns]
        return (dict(zip(names, row, strict=True)) for row in rows.itertuples(index=False, name=None))
    if hasattr(rows, "iter_rows"):  # polars
        return polars_rows(rows)
    if hasattr(rows, "__arrow_c_stream__"):
        return arrow_rows(rows)
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes | Mapping):
        return _checked(rows)
    raise SheetError(f"rows are of type {type(rows).__name__}: give a list of dictionaries, a DataFrame, or an Arrow stream")


def _checked(rows: Iterable[object]) -> Iterator[Mapping[str, object]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise SheetError(
                f"row {number} is of type {type(row).__name__}: give a dictionary for each row, a DataFrame, or an Arrow stream"
            )
        yield row
