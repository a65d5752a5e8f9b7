"""A file read as its correction record asks: the step between the readers, which know bytes, and the finder of tables."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from levelpool.sheets.clean.option_fields import FIELDS
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.read.source import ReadOptions
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Workbook
from levelpool.sheets.wording import counted


def read_as_asked(
    path: Path,
    folder: Path,
    options: TableOptions,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    max_rows: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Workbook:
    """The workbook, with the sheets, the encoding and the dialect that *options* ask for; see `read_workbook` for all else."""
    wanted = ReadOptions(max_rows=max_rows, **{each.name: getattr(options, each.name) for each in FIELDS if each.is_for_reader})
    workbook = read_workbook(path, folder, name=name, limits=limits, options=wanted, progress=progress)
    return workbook if options.hidden_sheets else _without_hidden(workbook)


def _without_hidden(workbook: Workbook) -> Workbook:
    """The visible sheets; what is left out is said."""
    hidden = [sheet for sheet in workbook.sheets if sheet.hidden]
    return replace(
        workbook,
        sheets=tuple(sheet for sheet in workbook.sheets if not sheet.hidden),
        remarks=(
            *workbook.remarks,
            *(f"sheet {sheet.name!r} is hidden and left out with its {counted(sheet.cell_count, 'cell')}, as asked" for sheet in hidden),
        ),
    )
