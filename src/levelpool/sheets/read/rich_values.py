"""What stands behind an error cell with a mark: Excel keeps pictures in cells, linked data and the like in parts of their own."""

from collections.abc import Mapping
from typing import Literal

from levelpool.sheets.read.markup import Element
from levelpool.sheets.read.package import Package, Relation

Rich = tuple[Literal["picture", "text", "error"], str]
"""What it is, and the text that a person sees."""


def plain_error(mark: str) -> Rich:  # noqa: ARG001 - where nothing is known of marks
    """An error is what it says."""
    return "error", ""


_PICTURES = {"_localimage", "_webimage"}
_SHOWN = "_DisplayString"
_NAME = "XLRICHVALUE"
MOST_VALUES = 1_000_000


class RichValues:
    """The values behind the marks of a workbook; `of` answers for the attribute `vm` of a cell."""

    def __init__(self, by_mark: Mapping[int, Rich], *, has_parts: bool) -> None:
        self._by_mark = by_mark
        self._has_parts = has_parts

    def of(self, mark: str) -> Rich:
        """What the mark stands for. Where the file has none of those parts, the mark alone says that there was something else than an error."""
        if not self._has_parts:
            return "picture", ""
        return self._by_mark.get(int(mark) if mark.isdecimal() else 0, ("error", ""))


def read_rich_values(package: Package, relations: tuple[Relation, ...]) -> RichValues:
    """The rich values of a workbook, whose parts are few and small in all that have any."""
    parts = {each.type: each.target for each in relations if each.target}
    metadata, values, structures = (parts.get(name) for name in ("sheetMetadata", "rdRichValue", "rdRichValueStructure"))
    if metadata is None or values is None or structures is None:
        return RichValues({}, has_parts=False)
    kinds = [_Structure(each) for each in package.tree(structures).children if each.tag == "s"]
    riches = [_rich(each, kinds) for each in package.tree(values, texts=True).children[:MOST_VALUES] if each.tag == "rv"]
    by_mark = {}
    for mark, number in _numbers(package.tree(metadata)).items():
        if 0 <= number < len(riches):
            by_mark[mark] = riches[number]
    return RichValues(by_mark, has_parts=True)


class _Structure:
    """What the places of a rich value mean."""

    def __init__(self, element: Element) -> None:
        self.kind = element.attributes.get("t", "").lower()
        keys = [each.attributes.get("n", "") for each in element.children if each.tag == "k"]
        self.shown_at = keys.index(_SHOWN) if _SHOWN in keys else None


def _rich(element: Element, structures: list[_Structure]) -> Rich:
    number = _whole(element.attributes.get("s"))
    if not 0 <= number < len(structures):
        return "error", ""
    structure = structures[number]
    if structure.kind in _PICTURES:
        return "picture", ""
    values = [each.text for each in element.children if each.tag == "v"]
    if structure.shown_at is not None and structure.shown_at < len(values) and values[structure.shown_at]:
        return "text", values[structure.shown_at]
    return "error", ""


def _numbers(metadata: Element) -> dict[int, int]:
    """The number of the rich value for each mark, which counts from 1."""
    names = [each.attributes.get("name") for each in _below(metadata, "metadataTypes")]
    future = next((each for each in metadata.children if each.tag == "futureMetadata" and each.attributes.get("name") == _NAME), None)
    values = [each.find("rvb") for each in (future.children if future else ())]
    numbers = [-1 if each is None else _whole(each.attributes.get("i")) for each in values]
    return {
        mark: numbers[at]
        for mark, block in enumerate(_below(metadata, "valueMetadata"), 1)
        for kind, at in ((_whole(each.attributes.get("t")), _whole(each.attributes.get("v"))) for each in block.children)
        if names[kind - 1 : kind] == [_NAME] and 0 <= at < len(numbers)
    }


def _below(element: Element, tag: str) -> list[Element]:
    found = element.find(tag)
    return found.children if found else []


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else -1
