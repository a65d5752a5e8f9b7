"""calamine, its only door: the way out for binary workbooks that nothing else reads. It loses more than our other routes, and we say what."""

from datetime import date, datetime, time, timedelta
from typing import Any

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.number_formats import number_text
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.table import BOOLEAN, DATE, NUMBER, TEXT, Kind, Sheet, Workbook

LOSSES = (
    "error cells (#N/A and the like) read as blank by this route",
    "number formats, merged areas, hidden rows and columns are not seen by this route",
    "numbers keep at most 15 to 17 digits by this route",
)


def read_with_calamine(source: Source, format_: str, why: str) -> Workbook:
    """Read every sheet to its end; *why* says which better route was not open. Raises `DamagedFile` when calamine cannot read it either."""
    try:
        import python_calamine  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        raise DamagedFile(
            f"{source.name} cannot be read ({why}), and no other reader for it is installed: pip install 'levelpool[sheets]'"
        ) from None
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(source.path))
        sheets = tuple(
            _read_sheet(book, meta, position, source)
            for position, meta in enumerate(book.sheets_metadata)
            if source.wants(meta.name, position)
        )
    except BaseException as error:
        # A panic of the library is no Exception, but it is one by name; everything else that is none goes on its way.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise DamagedFile(
                f"{source.name} is damaged ({why}): open it in a spreadsheet program, save it as .xlsx and send that"
            ) from error
        raise
    return Workbook(format=format_, sheets=sheets, reader="calamine", remarks=(why, *LOSSES))


def _read_sheet(book: Any, meta: Any, position: int, source: Source) -> Sheet:
    builder = SheetBuilder(source, meta.name, position)
    sheet = book.get_sheet_by_index(position)
    _, first_column = sheet.start or (0, 0)  # iter_rows begins at row 1, but at the first used column
    for number, values in enumerate(sheet.iter_rows(), start=1):
        content = [*[_BLANK] * first_column, *map(_content, values)]
        builder.add(number, [text for text, _ in content], [kind for _, kind in content])
    return builder.finish(hidden="Visible" not in str(meta.visible).rpartition(".")[2])


_BLANK: tuple[str | None, Kind | None] = (None, None)


def _content(value: object) -> tuple[str | None, Kind | None]:
    if value is None or value == "":
        return _BLANK
    if isinstance(value, str):
        return value, TEXT
    if isinstance(value, bool):
        return ("true" if value else "false"), BOOLEAN
    if isinstance(value, int | float):
        return number_text(value), NUMBER
    if isinstance(value, datetime | date | time):
        return value.isoformat(), DATE
    if isinstance(value, timedelta):
        return number_text(value.total_seconds() / 86_400), NUMBER + "[h]:mm:ss"
    return str(value), TEXT
