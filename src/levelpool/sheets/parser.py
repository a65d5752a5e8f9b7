"""`ExcelParser`: the tables of one spreadsheet file, for programs; plain and picklable, so that it runs in any lane."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.errors import EmptyFile, OptionsRefused, SheetError
from levelpool.sheets.frames import Table
from levelpool.sheets.inputs import Input, as_file, name_of
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.read.workbook import read_sheet_names
from levelpool.sheets.reading import read_as_asked
from levelpool.sheets.table import Quarantined, Sheet, TablePlan, Value

NAMELESS = "the file"
"""What bytes are called in messages."""

_ROOM_FOR_HEADS = 200  # rows that titles and notes may take beside the rows that were asked for


class ExcelParser:
    """
    Reads spreadsheet files of every format levelpool knows.

    *path* is a path, bytes, or an open binary file, which is read from its beginning; *name* is what messages call it, and its suffix tells kinds of
    text apart (default: its own). All raise `SheetError` (see `levelpool.sheets.errors`) with one sentence, and `FileNotFoundError`. They read in the
    calling process: run them in the process lane, to which paths and bytes can travel.
    """

    @staticmethod
    def read_excel(
        path: Input,
        sheet: str | int | None = None,
        header: int | None = None,
        nrows: int | None = None,
        *,
        name: str | None = None,
        options: TableOptions | None = None,
        limits: Limits | None = None,
    ) -> Table:
        """
        The first table of a sheet, with proved types; cells that cannot be loaded (errors, mostly) are None and stand in `quarantined`.

        *sheet* is a name or a 0-based position (default: the first visible sheet with a cell). *header* is the 0-based row of the
        (last) header row (default: find it). *nrows* is the most rows of data that come back; types are then proved over the rows that were read.
        *options* says more about the file and its table; *sheet* and *header* win over it.
        """
        if nrows is not None and nrows < 0:
            raise OptionsRefused(f"nrows cannot be {nrows}: give the most rows of data, from 0 on")
        options = options or TableOptions()
        if header is not None:
            options = replace(options, header=header)
        if sheet is not None:
            options = replace(options, sheet=sheet)
        most = None if nrows is None else nrows + (options.header or 0) + _ROOM_FOR_HEADS
        shown = name or name_of(path) or NAMELESS
        with _placed(path, shown, limits) as (file, folder):
            workbook = read_as_asked(file, folder, options, name=shown, limits=limits, max_rows=most)
            return _first_table(_choose(workbook.sheets, shown), options, nrows)

    @staticmethod
    def read_tables(
        path: Input, *, name: str | None = None, options: TableOptions | None = None, limits: Limits | None = None
    ) -> list[Table]:
        """
        All tables of all sheets, hidden ones too unless *options* leave them out, in their order; each knows its `sheet`.

        A sheet may hold several, and one without a table gives none. Otherwise as `read_excel`.
        """
        options = options or TableOptions()
        shown = name or name_of(path) or NAMELESS
        with _placed(path, shown, limits) as (file, folder):
            workbook = read_as_asked(file, folder, options, name=shown, limits=limits)
            planned = [pair for sheet in workbook.sheets for pair in plan_sheet(sheet, options)]
            return [_read_table(among, plan, options, None) for among, plan in planned if plan.columns]

    @staticmethod
    def sheet_names(path: Input, *, name: str | None = None, password: str | None = None, limits: Limits | None = None) -> list[str]:
        """The names of the sheets, hidden ones too, in their order; their cells are not read where the format allows it."""
        shown = name or name_of(path) or NAMELESS
        with _placed(path, shown, limits) as (file, folder):
            return read_sheet_names(file, folder, name=shown, limits=limits, password=password)


@contextmanager
def _placed(source: Input, name: str, limits: Limits | None) -> Iterator[tuple[Path, Path]]:
    """Where the file lies, and a private folder for its cells."""
    with tempfile.TemporaryDirectory(prefix="levelpool-read-") as private:
        folder = Path(private) / "cells"
        folder.mkdir()
        yield as_file(source, Path(private) / "input", name=name, limits=limits or Limits()), folder


def _choose(sheets: tuple[Sheet, ...], name: str) -> Sheet:
    filled = [sheet for sheet in sheets if sheet.cell_count]
    if not filled:
        raise EmptyFile(f"{name} has no cell to read")
    return next((sheet for sheet in filled if not sheet.hidden), filled[0])


def _below(sheet: Sheet, options: TableOptions) -> str:
    """What may be the reason: a header was asked for that no row follows."""
    if options.header is None:
        return ""
    return f" with its header in row {options.header + 1} (header={options.header}): of its {sheet.row_count} rows none stands below it"


def _first_table(sheet: Sheet, options: TableOptions, nrows: int | None) -> Table:
    found = next(((among, plan) for among, plan in plan_sheet(sheet, options) if plan.columns), None)
    if found is None:
        raise SheetError(f"sheet {sheet.name!r} has no table{_below(sheet, options)}")
    return _read_table(*found, options, nrows)


def _read_table(among: Sheet, plan: TablePlan, options: TableOptions, nrows: int | None) -> Table:
    values: list[list[Value]] = [[] for _ in plan.columns]
    rows: list[int] = []
    quarantined: list[Quarantined] = []
    for batch in clean_rows(among, plan, plan.columns, policy=options.policy or "cell", blanks=options.blanks):
        for whole, part in zip(values, batch.columns, strict=True):
            whole.extend(part)
        rows.extend(batch.rows)
        quarantined.extend(batch.quarantined)
        if nrows is not None and len(rows) >= nrows:
            break
    if nrows is not None and len(rows) > nrows:
        values, kept = [whole[:nrows] for whole in values], set(rows[:nrows])
        quarantined = [each for each in quarantined if each.row in kept]
    return Table.of(plan, values, quarantined=quarantined)
