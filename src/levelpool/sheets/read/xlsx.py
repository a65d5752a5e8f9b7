"""The .xlsx family (.xlsx, .xlsm, .xltx, .xltm; transitional and strict): the workbook around its sheets."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from xml.parsers.expat import ExpatError

from levelpool.sheets.read.markup import Element
from levelpool.sheets.read.number_formats import number_kind
from levelpool.sheets.read.package import Package, Relation, SheetsProgress
from levelpool.sheets.read.rich_values import Rich, RichValues, read_rich_values
from levelpool.sheets.read.shared_texts import SharedTexts, read_shared_texts
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.read.uncalculated import ZeroResults, uncalculated, wants_calculation
from levelpool.sheets.read.xlsx_fast import read_rows
from levelpool.sheets.read.xlsx_rows import parse_box
from levelpool.sheets.table import NamedTable, Sheet, Workbook

READABLE_SHEETS = {"worksheet", "xlMacrosheet", "xlIntlMacrosheet"}
"""Types of parts that hold cells; charts and dialogues hold none."""

_WORKBOOK = "xl/workbook.xml"


@dataclass(frozen=True, slots=True)
class _SheetEntry:
    name: str
    part: str | None  # None: the package does not hold it
    type: str  # "worksheet", "chartsheet", ...
    hidden: bool


def read_xlsx(source: Source) -> Workbook:
    """Read every sheet to its end; loses nothing but looks, formulas that have a value, comments and drawings."""
    with Package(source) as package:
        part = workbook_part(package)
        tree = package.tree(part)
        relations = package.relations(part)
        date1904, is_uncalculated = _is_1904(tree), wants_calculation(tree)
        texts = _shared_texts(package, relations, source)
        sheets: list[Sheet] = []
        remarks: list[str] = []
        try:
            styles = _styles(package, relations)
        except ExpatError as error:
            # The cells do not depend on it.
            styles = []
            remarks.append(f"the number formats could not be read, dates are numbers: their part is damaged ({error})")
        entries = _sheet_entries(tree, relations)
        rich = cache(lambda: _rich_values(package, relations, remarks))

        def behind(mark: str) -> Rich:
            return rich().of(mark)

        progress = SheetsProgress(source, package, [entry.part for entry in entries if entry.part])
        for position, entry in enumerate(entries):
            if entry.type not in READABLE_SHEETS:
                remarks.append(f"sheet {entry.name!r} ({entry.type}) holds no table and is not read")
            elif not source.wants(entry.name, position):
                continue
            elif entry.part is None:
                remarks.append(f"sheet {entry.name!r} is listed, but the file does not hold it")
            else:
                builder = SheetBuilder(source, entry.name, position)
                zeros = ZeroResults()
                blocks = progress.watch(entry.part)
                read_rows(zeros.watch(blocks) if is_uncalculated else blocks, builder, texts, styles, source.meter, rich=behind)
                if zeros.has_some and (sentence := uncalculated(package.stream(entry.part))):
                    builder.remark(sentence)
                tables = tuple(_tables(package, entry, remarks))
                sheets.append(builder.finish(hidden=entry.hidden, date1904=date1904, tables=tables))
    return Workbook(format="xlsx", sheets=tuple(sheets), reader="levelpool xlsx", remarks=tuple(remarks))


def workbook_part(package: Package) -> str:
    """The part that lists the sheets; also where a program left out the relations that lead there."""
    # A damaged list of relations says nothing, and where the workbook lies is known all the same.
    with contextlib.suppress(ExpatError):
        for relation in package.relations(""):
            if relation.type == "officeDocument" and relation.target:
                return relation.target
    return _WORKBOOK


def _sheet_entries(tree: Element, relations: tuple[Relation, ...]) -> list[_SheetEntry]:
    by_id = {relation.id: relation for relation in relations}
    entries = []
    for element in tree.walk():
        if element.tag != "sheet":
            continue
        relation = by_id.get(element.attributes.get("id", ""))
        entries.append(
            _SheetEntry(
                name=element.attributes.get("name", ""),
                part=relation.target if relation else None,
                type=relation.type if relation else "worksheet",
                hidden=element.attributes.get("state", "visible") != "visible",
            )
        )
    return entries


def _rich_values(package: Package, relations: tuple[Relation, ...], remarks: list[str]) -> RichValues:
    """What stands behind the marks of error cells."""
    try:
        return read_rich_values(package, relations)
    except ExpatError as error:
        # Then they are the errors that they say.
        remarks.append(f"what stands behind some error cells could not be read: that part is damaged ({error})")
        return RichValues({}, has_parts=True)


def _tables(package: Package, entry: _SheetEntry, remarks: list[str]) -> Iterator[NamedTable]:
    """What the workbook says of tables in a sheet."""
    try:
        parts = [each.target for each in package.relations(entry.part or "") if each.type == "table" and each.target]
        for tree in map(package.tree, parts[:MOST_TABLES]):
            box = parse_box(tree.attributes.get("ref", ""))
            columns = tree.find("tableColumns")
            if box is not None:
                yield NamedTable(
                    name=tree.attributes.get("displayName", ""),
                    box=box,
                    names=tuple(each.attributes.get("name", "") for each in (columns.children if columns else ())),
                    header_rows=min(_whole(tree.attributes.get("headerRowCount", "1")), 1),
                    total_rows=min(_whole(tree.attributes.get("totalsRowCount")), 1),
                )
    except ExpatError as error:
        # The cells do not depend on it.
        remarks.append(f"sheet {entry.name!r}: what the workbook says of its tables could not be read: that part is damaged ({error})")


MOST_TABLES = 1000
"""Tables of one sheet that are looked at."""


def _is_1904(tree: Element) -> bool:
    properties = tree.find("workbookPr")
    return properties is not None and properties.attributes.get("date1904") in {"1", "true", "on"}


def _styles(package: Package, relations: tuple[Relation, ...]) -> list[str]:
    """The kind of a number cell for each style number."""
    part = next((relation.target for relation in relations if relation.type == "styles" and relation.target), None)
    if part is None:
        return []
    tree = package.tree(part)
    custom: dict[int, str] = {}
    for element in tree.walk():
        if element.tag == "numFmt":
            custom[_whole(element.attributes.get("numFmtId"))] = element.attributes.get("formatCode", "")
    formats = tree.find("cellXfs")
    return [number_kind(_whole(style.attributes.get("numFmtId")), custom) for style in (formats.children if formats else ())]


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _shared_texts(package: Package, relations: tuple[Relation, ...], source: Source) -> SharedTexts:
    part = next((relation.target for relation in relations if relation.type == "sharedStrings" and relation.target), None)
    return SharedTexts() if part is None else read_shared_texts(package.stream(part), source.meter)
