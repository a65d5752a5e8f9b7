"""The quarantine of a file as CSV that opens in a spreadsheet without running anything."""

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("sheet", "row", "column", "value", "reason")
_STARTS_FORMULA = tuple("=+-@＝＋－＠\t\r\n")


def guard(text: str) -> str:
    """
    *text* so that no spreadsheet takes it for a formula: an apostrophe goes before what starts like one.

    It also goes before what starts with an apostrophe, so taking one leading apostrophe away gives every value back exactly.
    """
    return "'" + text if text.startswith("'") or text.lstrip().startswith(_STARTS_FORMULA) or text.startswith(_STARTS_FORMULA) else text


def csv_lines(rows: Iterable[Mapping[str, object]], *, head: bool) -> str:
    """*rows* as CSV text; the first piece begins with a byte order mark (Excel needs it to see UTF-8) and the header row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    if head:
        buffer.write("\ufeff")
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([guard(str(value)) if isinstance(value := row[name], str) else value for name in COLUMNS])
    return buffer.getvalue()
