"""`ExcelParser`: one table of one spreadsheet file, for programs; plain and picklable, so that it runs in any lane."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.errors import EmptyFile, OptionsRefused, SheetError
from levelpool.sheets.frames import Table
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.reading import read_as_asked
from levelpool.sheets.table import Quarantined, Sheet, Value

_ROOM_FOR_HEADS = 200  # rows that titles and notes may take beside the rows that were asked for


class ExcelParser:
    """Reads spreadsheet files of every format levelpool knows."""

    @staticmethod
    def read_excel(
        path: str | os.PathLike[str],
        sheet: str | int | None = None,
        header: int | None = None,
        nrows: int | None = None,
        *,
        options: TableOptions | None = None,
        limits: Limits | None = None,
    ) -> Table:
        """
        The first table of a sheet, with proved types; cells that cannot be loaded (errors, mostly) are None and stand in `quarantined`.

        *sheet* is a name or a 0-based position (default: the first visible sheet with a cell). *header* is the 0-based row of the
        (last) header row (default: find it). *nrows* is the most rows of data that come back; types are then proved over the rows that were read.
        *options* says more about the file and its table; *sheet* and *header* win over it. Raises `SheetError` (see `levelpool.sheets.errors`) with one sentence,
        and `FileNotFoundError`. Reads in the calling process: run it in the process lane.
        """
        if nrows is not None and nrows < 0:
            raise OptionsRefused(f"nrows cannot be {nrows}: give the most rows of data, from 0 on")
        options = options or TableOptions()
        if header is not None:
            options = replace(options, header=header)
        if sheet is not None:
            options = replace(options, sheet=sheet)
        most = None if nrows is None else nrows + (options.header or 0) + _ROOM_FOR_HEADS
        with tempfile.TemporaryDirectory(prefix="levelpool-read-") as folder:
            workbook = read_as_asked(Path(path), Path(folder), options, limits=limits, max_rows=most)
            return _first_table(_choose(workbook.sheets, Path(path).name), options, nrows)


def _choose(sheets: tuple[Sheet, ...], name: str) -> Sheet:
    filled = [sheet for sheet in sheets if sheet.cell_count]
    if not filled:
        raise EmptyFile(f"{name} has no cell to read")
    return next((sheet for sheet in filled if not sheet.hidden), filled[0])


def _first_table(sheet: Sheet, options: TableOptions, nrows: int | None) -> Table:
    found = next(((shown, plan) for shown, plan in plan_sheet(sheet, options) if plan.columns), None)
    if found is None:
        raise SheetError(f"sheet {sheet.name!r} has no table")
    shown, plan = found
    values: list[list[Value]] = [[] for _ in plan.columns]
    rows: list[int] = []
    quarantined: list[Quarantined] = []
    for batch in clean_rows(shown, plan, plan.columns, policy=options.policy or "cell", blanks=options.blanks):
        for whole, part in zip(values, batch.columns, strict=True):
            whole.extend(part)
        rows.extend(batch.rows)
        quarantined.extend(batch.quarantined)
        if nrows is not None and len(rows) >= nrows:
            break
    if nrows is not None and len(rows) > nrows:
        values, kept = [whole[:nrows] for whole in values], set(rows[:nrows])
        quarantined = [each for each in quarantined if each.row in kept]
    return Table.of(plan.columns, values, quarantined=quarantined)
