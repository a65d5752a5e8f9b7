"""Web archives (.mht, .mhtml): pages packed like mail, as Excel, reporting services and browsers save them; each page with a table is a sheet."""

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from html import unescape
from posixpath import basename

from levelpool.sheets.errors import DamagedFile, NotASpreadsheet
from levelpool.sheets.read.encoding import Encoding
from levelpool.sheets.read.html import decodes, page_encoding, read_page
from levelpool.sheets.read.source import Source
from levelpool.sheets.table import Sheet, Workbook

_MOST_NESTED = 20
_PAGES = {"text/html", "application/xhtml+xml"}
_TABS = "tabstrip.htm"  # Excel's own list of the sheets
_SHEET_NAME = re.compile(r"<x:Name>([^<]{1,200})</x:Name>(?:\s*<x:WorksheetSource\s+HRef=(?:3D)?\"([^\"]{1,500})\"|)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Part:
    """One page of an archive."""

    content: bytes
    charset: str | None
    location: str

    @property
    def has_table(self) -> bool:
        """Whether it seems to have one."""
        return b"<table" in self.content.lower()


def read_web_archive(source: Source) -> Workbook:
    """Read each page that has a table; a name that Excel gave a sheet is its name."""
    parts = list(_pages(source))
    names = {place: name for part in parts for place, name in _sheet_names(part.content).items()}
    own_name = names.get("") if len(parts) == 1 else None
    sheets: list[Sheet] = []
    remarks: dict[str, None] = {}
    first_text, encoding = "", None
    for number, part in enumerate(parts):
        position = len(sheets) + len(source.passed)
        name = names.get(part.location) or own_name or f"Sheet{position + 1}"
        if part.has_table and not source.wants(name, position):
            continue
        inner = replace(source, path=source.folder / f"page-{number}.html")
        inner.path.write_bytes(part.content)
        found = _encoding(inner, part.charset)
        page = read_page(inner, found, name, position)
        first_text = first_text or page.first_text
        if page.sheet is not None:
            encoding = encoding or found.name
            sheets.append(page.sheet)
            remarks.update(dict.fromkeys(page.remarks))
    if not sheets and not source.passed:
        raise NotASpreadsheet(_without_table(source.name, first_text))
    return Workbook(format="mht", sheets=tuple(sheets), reader="levelpool html", encoding=encoding, remarks=tuple(remarks))


def _without_table(name: str, text: str) -> str:
    said = f", which says {text[:80]!r}" if text else ""
    return f"{name} is not a spreadsheet: it is a web archive (.mht) or a mail without a table{said}; export it again"


def _pages(source: Source) -> Iterator[_Part]:
    """The pages as they were before they were packed, but for Excel's list of the sheets."""
    data = source.path.read_bytes()
    if data.lower().count(b"boundary=") > _MOST_NESTED:
        raise DamagedFile(f"{source.name} is damaged: its parts stand within each other more than {_MOST_NESTED} deep")
    for part in email.message_from_bytes(data).walk():
        location = basename(str(part.get("Content-Location", "")).replace("\\", "/")).lower()
        if part.get_content_type() not in _PAGES or location == _TABS:
            continue
        content = _decoded(part)
        source.meter.inflated(len(content), len(data))
        source.meter.spooled(len(content))
        yield _Part(content, part.get_content_charset(), location)


def _decoded(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _encoding(source: Source, charset: str | None) -> Encoding:
    """What the part says, where that decodes it; "us-ascii" says nothing, because Excel writes it whatever the page is."""
    if charset and charset.lower() not in {"us-ascii", "ascii"} and not source.options.encoding and decodes(source, charset):
        return Encoding(charset, certain=True)
    return page_encoding(source)


def _sheet_names(content: bytes) -> dict[str, str]:
    """The names of the sheets by the file of each; "" for the sheet of the page itself."""
    found = _SHEET_NAME.findall(content.decode("utf-8", "replace"))
    return {basename(place.replace("\\", "/")).lower(): unescape(name) for name, place in found}
