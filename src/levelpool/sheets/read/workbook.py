"""Read one spreadsheet file, whatever its format: the door to all readers."""

import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from xml.parsers.expat import ExpatError

from levelpool.sheets.errors import DamagedFile, EmptyFile, EncryptedFile, SheetError
from levelpool.sheets.read.columnar import read_arrow, read_parquet
from levelpool.sheets.read.delimited import read_delimited
from levelpool.sheets.read.encrypted_ods import open_encrypted_ods
from levelpool.sheets.read.encrypted_office import open_encrypted_office
from levelpool.sheets.read.formats import Format, detect_format
from levelpool.sheets.read.framed import cut_out, find_workbook
from levelpool.sheets.read.html import read_html
from levelpool.sheets.read.limits import Limits, Meter
from levelpool.sheets.read.ods import read_fods, read_ods
from levelpool.sheets.read.source import ReadOptions, Source
from levelpool.sheets.read.web_archive import read_web_archive
from levelpool.sheets.read.xls import read_xls
from levelpool.sheets.read.xlsb import read_xlsb
from levelpool.sheets.read.xlsx import read_xlsx
from levelpool.sheets.read.xml2003 import read_xml2003
from levelpool.sheets.table import Workbook

_READERS: dict[Format, Callable[[Source], Workbook]] = {
    Format.XLSX: read_xlsx,
    Format.XLSB: read_xlsb,
    Format.XLS: read_xls,
    Format.ODS: read_ods,
    Format.FODS: read_fods,
    Format.XML2003: read_xml2003,
    Format.HTML: read_html,
    Format.MHT: read_web_archive,
    Format.CSV: read_delimited,
    Format.PARQUET: read_parquet,
    Format.ARROW: read_arrow,
}

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ExpatError,
    EOFError,
    struct.error,
    ValueError,
    LookupError,
    NotImplementedError,
    RecursionError,
    OverflowError,
)
"""What the standard library raises on bytes that are not what they claim to be."""

_NONE = -1
"""The position of a sheet that no workbook has."""
_MOST_NAMES = 20


def read_workbook(
    path: Path,
    folder: Path,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    options: ReadOptions | None = None,
    progress: Callable[[float], None] | None = None,
) -> Workbook:
    """
    Read the file at *path* to its end; its cells wait in *folder* (private, and empty of other readings) as long as it exists.

    *name* is the file's original name, for messages and for telling kinds of text apart. *progress* is called with a fraction, 0 to 1.
    Raises `NotASpreadsheet`, `EmptyFile`, `EncryptedFile`, `DamagedFile` or `LimitExceeded`, each with one sentence for the sender.
    Run it in a worker process with a memory limit: some formats are read by libraries that know no limits of their own.
    """
    with ExitStack() as opened:
        source = _source(path, folder, opened, name=name, limits=limits, options=options, progress=progress)
        workbook = _read(source)
    _refuse_empty(workbook, source)
    source.progress(1.0)
    return workbook


def read_sheet_names(
    path: Path, folder: Path, *, name: str | None = None, limits: Limits | None = None, password: str | None = None
) -> list[str]:
    """The names of the sheets, hidden ones too, in their order; where the format allows it, no cell is read. Otherwise as `read_workbook`."""
    with ExitStack() as opened:
        source = _source(path, folder, opened, name=name, limits=limits, options=ReadOptions(sheet=_NONE, password=password))
        workbook = _read(source)
    return list(dict.fromkeys(source.passed)) or [sheet.name for sheet in workbook.sheets]


def _source(
    path: Path,
    folder: Path,
    opened: ExitStack,
    *,
    name: str | None,
    limits: Limits | None,
    options: ReadOptions | None,
    progress: Callable[[float], None] | None = None,
) -> Source:
    shown = name or path.name
    meter = Meter(shown, limits or Limits())
    meter.file(path.stat().st_size)
    return Source(path, shown, folder, meter, options or ReadOptions(), progress or _ignore, opened)


def _read(source: Source) -> Workbook:
    try:
        span = find_workbook(source.path)
        return _read_alone(source) if span is None else _read_framed(source, span)
    except _BROKEN as error:
        raise _damaged(source.name, error) from error


def _read_framed(source: Source, span: tuple[int, int]) -> Workbook:
    """Read the workbook without what stands before and behind it: its readers want it alone."""
    alone = source.folder / "alone"
    source.meter.spooled(span[1] - span[0])
    remarks = cut_out(source.path, span, alone)
    workbook = _read_alone(replace(source, path=alone))
    return replace(workbook, remarks=(*remarks, *workbook.remarks))


def _read_alone(source: Source) -> Workbook:
    with suppress(EncryptedFile):
        return _read_plain(source)
    return _read_encrypted(source)


def _read_plain(source: Source) -> Workbook:
    found = detect_format(source.path, source.meter)
    return _READERS[found.format](replace(source, encoding=found.encoding))


def _read_encrypted(source: Source) -> Workbook:
    """Open the file beside its spool, where nobody else can look, and read what comes out."""
    opened = source.folder / "opened"
    open_ = open_encrypted_ods if zipfile.is_zipfile(source.path) else open_encrypted_office
    remark = open_(source, opened)
    source.meter.file(opened.stat().st_size)
    source.meter.spooled(opened.stat().st_size)
    workbook = _read_plain(replace(source, path=opened))
    return replace(workbook, remarks=(remark, *workbook.remarks))


def _damaged(name: str, error: BaseException) -> DamagedFile:
    return DamagedFile(f"{name} is damaged ({_reason(error)}): export it again")


def _refuse_empty(workbook: Workbook, source: Source) -> None:
    asked = source.options.sheet
    if asked is not None and not workbook.sheets:
        raise SheetError(f"{source.name} has no sheet {asked!r}{_there_is(list(dict.fromkeys(source.passed)), asked)}")
    if not any(sheet.cell_count for sheet in workbook.sheets):
        seen = "".join(f"; {remark}" for remark in workbook.remarks)
        raise EmptyFile(f"{source.name} is empty: none of its sheets has a cell{seen}")


def _there_is(sheets: list[str], asked: str | int) -> str:
    """The sheets to choose from."""
    if not sheets:
        return ""
    names = ", ".join(map(repr, sheets[:_MOST_NAMES]))
    more = f" and {len(sheets) - _MOST_NAMES} more" if len(sheets) > _MOST_NAMES else ""
    return f": it has {names}{more}{'; positions count from 0' if isinstance(asked, int) else ''}"


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text[:200]


def _ignore(_fraction: float) -> None:
    pass
