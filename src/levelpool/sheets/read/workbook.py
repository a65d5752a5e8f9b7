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
from levelpool.sheets.read.html import read_html
from levelpool.sheets.read.limits import Limits, Meter
from levelpool.sheets.read.ods import read_fods, read_ods
from levelpool.sheets.read.source import ReadOptions, Source
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
    shown = name or path.name
    meter = Meter(shown, limits or Limits())
    meter.file(path.stat().st_size)
    with ExitStack() as opened:
        source = Source(path, shown, folder, meter, options or ReadOptions(), progress or _ignore, opened)
        try:
            workbook = _read(source)
        except _BROKEN as error:
            raise _damaged(shown, error) from error
    _refuse_empty(workbook, source)
    source.progress(1.0)
    return workbook


def _read(source: Source) -> Workbook:
    with suppress(EncryptedFile):
        return _read_plain(source)
    return _read_encrypted(source)


def _read_plain(source: Source) -> Workbook:
    return _READERS[detect_format(source.path, source.meter)](source)


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
        raise SheetError(f"{source.name} has no sheet {asked!r}")
    if not any(sheet.cell_count for sheet in workbook.sheets):
        raise EmptyFile(f"{source.name} is empty: none of its sheets has a cell")


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text[:200]


def _ignore(_fraction: float) -> None:
    pass
