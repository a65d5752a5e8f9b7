"""Which format a file has: by its content; the suffix only decides among kinds of text."""

import re
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from levelpool.sheets.errors import DamagedFile, EmptyFile, NotASpreadsheet
from levelpool.sheets.read.dialect import detect_delimiter
from levelpool.sheets.read.encoding import Encoding, decode, detect_encoding
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.locked import no_password
from levelpool.sheets.read.ole import SIGNATURE as OLE_SIGNATURE
from levelpool.sheets.read.ole import stream_names
from levelpool.sheets.read.other_texts import other_text
from levelpool.sheets.read.package import open_zip


class Format(StrEnum):
    """The formats there is a reader for."""

    XLSX = "xlsx"
    XLSB = "xlsb"
    XLS = "xls"
    ODS = "ods"
    FODS = "fods"  # read like .ods
    XML2003 = "xml2003"
    HTML = "html"
    MHT = "mht"  # web archives
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"  # IPC files, which Feather is


HEAD = 1 << 16

_TEXT_SUFFIXES = {".csv", ".tsv", ".tab", ".psv", ".txt", ".asc", ".dat", ".prn"}

_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"BM", "a picture (BMP)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"{\\rtf", "a rich-text document"),
    (b"PARE", "an encrypted Parquet file: write it without encryption"),
    (b"FEA1", "a Feather file of the first version: write it anew"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)

FOREIGN = tuple(beginning for beginning, _ in _FOREIGN)
"""How files begin that are no spreadsheets."""

_TAR = slice(257, 262), b"ustar"

_COLUMNAR = ((b"PAR1", Format.PARQUET), (b"ARROW1\0\0", Format.ARROW))

_BIFF_BEGINNINGS = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"\x09\x08\x10\x00", b"\x09\x08\x08\x00")


@dataclass(frozen=True, slots=True)
class Found:
    """The format of a file, and the encoding of a text: it takes a look at all of it, and one is enough."""

    format: Format
    encoding: Encoding | None = None


def detect_format(path: Path, meter: Meter) -> Found:
    """
    The format of the file at *path*.

    Raises `EmptyFile`, `EncryptedFile`, `NotASpreadsheet` (which says what the file is instead), `DamagedFile` or `LimitExceeded`.
    """
    name = meter.name
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise EmptyFile(f"{name} is empty: it has no bytes; export it again")
    if head.startswith(b"PK\x03\x04"):
        return Found(_zipped(path, meter))
    if head.startswith(OLE_SIGNATURE):
        return Found(_compound(path, name))
    if head.startswith(_BIFF_BEGINNINGS):
        return Found(Format.XLS)
    for beginning, format_ in _COLUMNAR:
        if head.startswith(beginning):
            return Found(format_)
    for beginning, kind in _FOREIGN:
        if head.startswith(beginning):
            raise NotASpreadsheet(f"{name} is not a spreadsheet: it is {kind}")
    if head[_TAR[0]] == _TAR[1]:
        raise NotASpreadsheet(f"{name} is not a spreadsheet: it is a tar archive; unpack it and send the files in it")
    if _is_web_archive(head):
        return Found(Format.MHT)
    marked_up = _marked_up(head)
    return Found(marked_up) if marked_up else _text(path, meter)


def _zipped(path: Path, meter: Meter) -> Format:
    name = meter.name
    with open_zip(path, meter) as package:
        names = {entry.replace("\\", "/").lstrip("/").lower(): entry for entry in package.namelist()}
        mimetype = _beginning(package, names.get("mimetype"), 100, name)
        manifest = _beginning(package, names.get("meta-inf/manifest.xml"), 1 << 20, name)
    if b"encryption-data" in manifest:
        raise no_password(name)
    if b"opendocument.spreadsheet" in mimetype:
        return Format.ODS
    if b"opendocument" in mimetype:
        raise NotASpreadsheet(f"{name} is not a spreadsheet: it is another kind of OpenDocument file")
    return _zipped_by_parts(set(names), name)


def _beginning(package: zipfile.ZipFile, part: str | None, size: int, name: str) -> bytes:
    if part is None:
        return b""
    try:
        with package.open(part) as file:
            return file.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DamagedFile(f"{name} is damaged: its part {part!r} cannot be unpacked; export it again") from error


def _zipped_by_parts(names: set[str], name: str) -> Format:
    if any(part.endswith("workbook.bin") for part in names):
        return Format.XLSB
    if any(part.startswith("word/") for part in names):
        raise NotASpreadsheet(f"{name} is not a spreadsheet: it is a Word document")
    if any(part.startswith("ppt/") for part in names):
        raise NotASpreadsheet(f"{name} is not a spreadsheet: it is a PowerPoint presentation")
    if any(part.endswith(".iwa") for part in names) or "index.zip" in names:
        raise NotASpreadsheet(f"{name} is an Apple Numbers document: export it as .xlsx and send that")
    if "[content_types].xml" in names or any(part.endswith("workbook.xml") for part in names):
        return Format.XLSX
    if "content.xml" in names:
        return Format.ODS
    raise NotASpreadsheet(f"{name} is not a spreadsheet: it is a zip archive; unpack it and send the files in it")


def _compound(path: Path, name: str) -> Format:
    streams = stream_names(path, name)
    if "encryptedpackage" in streams or "encryptioninfo" in streams:
        raise no_password(name)
    if streams & {"workbook", "book"}:
        return Format.XLS
    if "worddocument" in streams:
        raise NotASpreadsheet(f"{name} is not a spreadsheet: it is a Word document")
    raise NotASpreadsheet(f"{name} is not a spreadsheet: it is an Office file of another kind")


_MAIL_HEAD = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*:[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+\r?\n)++")
_PACKED_PAGES = re.compile(rb"^content-type:\s*(?:multipart/(?:related|mixed|alternative)|text/html)", re.IGNORECASE | re.MULTILINE)


def _is_web_archive(head: bytes) -> bool:
    """Whether the file begins like a mail that holds pages: the head has its version, and says what follows."""
    found = _MAIL_HEAD.match(head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))
    return found is not None and b"mime-version:" in found[0].lower() and _PACKED_PAGES.search(found[0]) is not None


_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|table|meta|style)\b", re.IGNORECASE)


def _marked_up(head: bytes) -> Format | None:
    # Zero bytes go, so that UTF-16 reads like ASCII here.
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not plain.startswith(b"<"):
        return None
    if b"urn:schemas-microsoft-com:office:spreadsheet" in plain and b"Workbook" in plain and not _HTML.match(plain):
        return Format.XML2003
    if b"opendocument:xmlns:office" in plain and b"office:document" in plain:
        return Format.FODS
    return Format.HTML if _HTML.search(plain) else None


def _text(path: Path, meter: Meter) -> Found:
    name = meter.name
    encoding = detect_encoding(path, meter.tick)
    if encoding is None:
        raise NotASpreadsheet(f"{name} is not a spreadsheet: its content is neither a workbook nor readable text")
    sample = next(decode(path, encoding.name))[:HEAD]
    other = other_text(sample)
    if other is not None:
        raise NotASpreadsheet(f"{name} is not a spreadsheet: it is {other}; export it as .csv or .xlsx and send that")
    if Path(name).suffix.lower() in _TEXT_SUFFIXES:
        return Found(Format.CSV, encoding)
    lines = [line for line in sample.splitlines() if line.strip()]
    if len(lines) >= 2 and detect_delimiter(lines).share >= 0.8:
        return Found(Format.CSV, encoding)
    what = "a page or an XML file without a table" if sample.lstrip("\ufeff \t\r\n").startswith("<") else "text without columns"
    raise NotASpreadsheet(f"{name} is not a spreadsheet: it is {what}")
