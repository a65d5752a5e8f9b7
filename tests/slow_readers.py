"""Workbooks read with expat alone: the references that the faster ways are held against."""

from collections.abc import Iterable, Sequence

from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.shared_texts import SharedTexts, TextCollector, _TextParser
from levelpool.sheets.read.source import SheetBuilder
from levelpool.sheets.read.xlsx_rows import SheetParser


def read_rows_slowly(blocks: Iterable[bytes], builder: SheetBuilder, texts: SharedTexts, styles: Sequence[str], meter: Meter) -> None:
    """Parse the whole part of a sheet and hand its rows, merged areas and hidden rows and columns to *builder*."""
    sheet = SheetParser(builder, texts, styles, meter)
    for block in blocks:
        sheet.feeder.feed(block)
        if builder.full:
            builder.complete = False
            return
    sheet.feeder.close()


def read_shared_texts_slowly(blocks: Iterable[bytes], meter: Meter) -> SharedTexts:
    """The shared texts of a workbook."""
    collector = TextCollector(meter)
    parser = _TextParser(collector, meter)
    for block in blocks:
        parser.feeder.feed(block)
    parser.feeder.close()
    return collector.texts()
