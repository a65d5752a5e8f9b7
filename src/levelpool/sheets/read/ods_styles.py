"""What the style of an OpenDocument cell says of its number: a day, a moment, a time, a span of time or a truth value."""

from typing import Literal

Look = Literal["", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "h:mm:ss", "[h]:mm:ss", "boolean"]
"""A number format as other workbooks call it; "" says nothing."""

_DATA_STYLES = {"date-style", "time-style", "boolean-style", "number-style", "currency-style", "percentage-style", "text-style"}
_OF_A_CLOCK = {"hours", "minutes", "seconds", "am-pm"}
_OF_A_DAY = {"day", "month", "year", "quarter", "week-of-year", "day-of-week", "era"}
MOST_STYLES = 100_000
"""Further ones are not looked at: no program makes so many."""


class CellStyles:
    """The styles of cells and what they say of numbers, gathered from the elements of a document in their order."""

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}  # of data styles
        self._styles: dict[str, tuple[str, str]] = {}  # of cells: data style, parent
        self._data_style = ""
        self._parts: set[str] = set()
        self._is_elapsed = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Note an element that begins."""
        if tag in _DATA_STYLES:
            self._data_style, self._parts = attributes.get("name", ""), {tag}
            self._is_elapsed = attributes.get("truncate-on-overflow") == "false"
        elif self._data_style:
            self._parts.add(tag)
        elif tag == "style" and attributes.get("family") == "table-cell" and len(self._styles) < MOST_STYLES:
            self._styles[attributes.get("name", "")] = (attributes.get("data-style-name", ""), attributes.get("parent-style-name", ""))

    def end(self, tag: str) -> None:
        """Note an element that ends."""
        if tag in _DATA_STYLES and self._data_style:
            if len(self._looks) < MOST_STYLES:
                self._looks[self._data_style] = self._look(tag)
            self._data_style = ""

    def _look(self, tag: str) -> Look:
        if tag == "boolean-style":
            return "boolean"
        has_clock, has_day = bool(self._parts & _OF_A_CLOCK), bool(self._parts & _OF_A_DAY)
        if tag == "time-style" or (tag == "date-style" and has_clock and not has_day):
            return "[h]:mm:ss" if self._is_elapsed else "h:mm:ss"
        if tag == "date-style" and has_day:
            return "yyyy-mm-dd hh:mm:ss" if has_clock else "yyyy-mm-dd"
        return ""

    def look(self, name: str) -> Look:
        """What the style *name*, or the one that it is made from, says."""
        seen: set[str] = set()
        while name in self._styles and name not in seen:
            seen.add(name)
            data_style, parent = self._styles[name]
            if data_style:
                return self._looks.get(data_style, "")
            name = parent
        return ""
