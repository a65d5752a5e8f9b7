"""Where a table begins: which rows name its columns, which stand above as titles, and which hold units."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from levelpool.sheets.clean.cell_group import kind_class
from levelpool.sheets.clean.dates import shown_text
from levelpool.sheets.clean.labels import is_header_word, is_unit
from levelpool.sheets.clean.row import Row, is_ruler
from levelpool.sheets.clean.shapes import shapes_of
from levelpool.sheets.clean.values import number_text_or_raw
from levelpool.sheets.table import NUMBER, Box

_LOOK = 30  # rows of a block that may be the header
_BENEATH = 50  # rows under it that are looked at, ...
_MOST_BENEATH = 100_000  # ... fewer where they have so many cells, ...
_FEWEST_BENEATH = 6  # ... but these
_MOST_LOOKS = 100_000  # cells that are looked at to find one header
_MOSTLY = 0.8
_FORMAT_LINES = {"EXTF", "DTVF"}
"""What a first row begins with that describes the file itself: the exchange format of the bookkeeping programs of DATEV."""
_MOST_PREAMBLE = 15  # rows that may say more than one thing each
_FEWEST_RECORDS = 3  # rows of several numbers that are no notes
_MOST_WORDS = 5  # of the name of a column
_MOST_HEADERS = 3  # rows of a header above its surest one
_WITH_POINT = re.compile(r"(?<=[0-9])\.0+$")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first row of data."""

    titles: tuple[Row, ...] = ()
    header: tuple[Row, ...] = ()
    units: tuple[Row, ...] = ()
    why: str = ""
    spread: frozenset[int] = frozenset()  # header rows whose texts reach to the right over blanks
    length: int = 0  # rows it takes in all


class _Beneath:
    """What the columns look like under a row; each is looked at when it is asked for, because a sheet may be wide."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows: list[Row] = []
        self.columns: set[int] = set()
        self._data: list[Row] = []
        cells = 0
        for row in islice(rows, _BENEATH):
            if not is_ruler(row) and (self.rows or not all(is_unit(row.cells[column]) for column in row.filled())):
                self._data.append(row)
                self.columns.update(row.filled())
            self.rows.append(row)
            cells += len(row.cells)
            if cells > _MOST_BENEATH and len(self.rows) >= _FEWEST_BENEATH:
                break

    def solid(self, column: int) -> bool:
        """Whether what stands in this column is mostly numbers, dates or booleans."""
        seen = Counter(row.looks(column) for row in self._data if not (row.cells.get(column) or " ").isspace())
        solid = seen["number"] + seen["date"] + seen["boolean"]
        texts = seen["text"]
        return solid > texts if solid + texts >= 5 else solid >= _MOSTLY * (solid + texts) and solid > 0

    def texts(self, column: int) -> list[str]:
        return [text for row in self.rows if (text := row.cells.get(column))]


def find_head(rows: Sequence[Row], merges: "Merges") -> Head:
    """
    What stands before the data that begins somewhere in *rows* (the first rows of a sheet, or of a block behind blank rows).

    A header is taken only when it is certain; otherwise the first row is data. Blank rows are not among *rows*: their numbers tell.
    """
    if len(rows) > 1 and (first := rows[0].cells.get(0)) in _FORMAT_LINES:
        return _with_header(
            rows, 1, 1, f"row {rows[0].number} begins with {first}: it describes the format, and the next row the columns", merges
        )
    runs = _runs(rows)
    start = 0
    for number, run in enumerate(runs):
        found = _header_in(run, runs[number + 1] if number + 1 < len(runs) else [], merges)
        if found is None:
            start += len(run)
            continue
        place, why = found
        wider = _next_table(runs[number:], place, merges)
        if wider and _is_key_value(run):
            start += len(run)
            continue
        if not all(_is_preamble(earlier, run[place].filled()) for earlier in runs[:number]):
            return _without_header(runs)
        return _with_header(rows, start + place, start, why, merges)
    return _without_header(runs)


def given_head(rows: Sequence[Row], header_row: int, merges: "Merges", first_row: int | None = None) -> Head:
    """The head when the 1-based number of the (last) header row is given, and perhaps that of the first one."""
    place = next((index for index, row in enumerate(rows) if row.number == header_row), None)
    if place is None:
        above = tuple(row for row in rows if row.number < header_row)
        return Head(titles=above, why=f"row {header_row} was given as the header and is blank", length=len(above))
    if first_row is None:
        return _with_header(rows, place, 0, f"row {header_row} was given as the header", merges)
    first = next(index for index, row in enumerate(rows) if row.number >= first_row)
    return Head(
        titles=tuple(rows[:first]),
        header=tuple(rows[first : place + 1]),
        why=f"the rows {first_row} to {header_row} were given as the header",
        spread=frozenset(row.number for row in rows[first:place]),
        length=place + 1,
    )


def _runs(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in groups that no blank row parts."""
    runs: list[list[Row]] = []
    for row in rows:
        if runs and row.number - runs[-1][-1].number == 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _without_header(runs: list[list[Row]]) -> Head:
    """No header is certain: only rows with a single text that a blank row parts from a wider table are titles."""
    titles: list[Row] = []
    for number, run in enumerate(runs[:-1]):
        following = {column for row in runs[number + 1][:_BENEATH] for column in row.filled()}
        if len(run) > 10 or len(following) < 2 or not all(len(row.filled()) == 1 and row.looks(row.filled()[0]) == "text" for row in run):
            break
        titles.extend(run)
    return Head(titles=tuple(titles), why="no header is certain: the first row is data", length=len(titles))


def _with_header(rows: Sequence[Row], place: int, start: int, why: str, merges: "Merges") -> Head:
    last = _last_header(rows, place, merges)
    first, spread = _first_header(rows, place, start, merges)
    units = [row for row in rows[last + 1 : last + 2] if is_ruler(row)]
    under = last + 1 + len(units)
    units += [row for row in rows[under : under + 1] if _is_units(row, rows[under + 1 :])]
    return Head(
        titles=tuple(rows[:first]),
        header=tuple(rows[first : last + 1]),
        units=tuple(units),
        why=why,
        spread=frozenset(spread),
        length=last + 1 + len(units),
    )


# ---------------------------------------------------------------- one row


def _header_in(run: list[Row], following: list[Row], merges: "Merges") -> tuple[int, str] | None:
    """The place of the header in a run of rows and why it is certain; *following* is the next run, for a header that a blank row follows."""
    best: tuple[int, str, float] | None = None
    looks = 0
    for place, row in enumerate(run[:_LOOK]):
        if looks > _MOST_LOOKS or (best is not None and (best[2] >= 0.7 or place - best[0] > 5)):
            break
        beneath = _Beneath(islice(run, place + 1, None) if place + 1 < len(run) else following)
        looks += len(row.cells) * len(beneath.rows)
        if best is None and _is_data(row, beneath) and len(run) > 1 and not merges.join(row.number, row.number + 1):
            return None
        why = _certain(row, beneath)
        if why is not None:
            coverage = len(beneath.columns.intersection(row.filled())) / max(1, len(beneath.columns))
            if best is None or coverage > best[2]:
                best = place, why, coverage
    if best is None or _hold_records(run[: best[0]]) or not all(_may_stand_above(run, place, best[0], merges) for place in range(best[0])):
        return None
    return best[:2]


def _may_stand_above(run: list[Row], place: int, header: int, merges: "Merges") -> bool:
    """Whether a row above the header is a title or part of the header, and no record."""
    filled, names = run[place].filled(), [run[header].cells[column] for column in run[header].filled()]
    if any(box.last_column > box.first_column for box in merges.at(run[place].number)):
        return True
    if merges.join(run[place].number, run[header].number):
        return True
    if place == header - 1 and len(set(names)) < len(names):
        return True
    return len(filled) < len(names) and (len(filled) <= 2 or len(filled) * 2 <= len(names))


def _is_data(row: Row, beneath: _Beneath) -> bool:
    """Whether a row looks like those under it: wide, with a number where numbers stand."""
    filled = row.filled()
    if len(beneath.columns) < 2 and len(beneath.rows) < 2:
        return False
    if len(filled) < 0.6 * len(beneath.columns) or _is_years(row, filled):
        return False
    typed = {column for column in filled if row.looks(column) not in {"text", "error"}}
    if not typed:
        return False
    solid = [column for column in filled if beneath.solid(column)]
    return len(typed.intersection(solid)) * 2 > len(solid)


def _certain(row: Row, beneath: _Beneath) -> str | None:
    """Why this row names the columns of the rows beneath it; None when that is not certain."""
    filled = row.filled()
    named = [column for column in filled if row.looks(column) == "text"]
    if not named or (len(named) != len(filled) and not _is_years(row, filled)):
        return None
    if len(filled) <= 2 and any(_is_key(row.cells[column]) for column in filled):
        return None
    if not beneath.rows:
        return _certain_alone(row, filled)
    shared = beneath.columns.intersection(filled)
    if (
        len(shared) < 0.5 * len(beneath.columns)
        or (len(beneath.columns) > 1 and len(filled) < 2)
        or (len(filled) > 2 and len({row.cells[column] for column in filled}) < 2)
    ):
        return None
    solid = next((column for column in named if beneath.solid(column) and not _recurs(row, column, beneath)), None)
    if solid is not None:
        return f"row {row.number} holds texts above numbers and dates, such as {row.cells[solid]!r}"
    return _certain_among_texts(row, named, beneath)


def _certain_alone(row: Row, filled: list[int]) -> str | None:
    """A sheet of one row is a header without data when every text in it reads like the name of a column."""
    if len(filled) > 1 and all(is_header_word(row.cells[column]) for column in filled):
        return f"row {row.number} holds nothing but names of columns"
    return None


def _certain_among_texts(row: Row, named: list[int], beneath: _Beneath) -> str | None:
    """All is text: what the texts look like has to decide."""
    texts = {column: row.cells[column] for column in named}
    if any(texts[column] in beneath.texts(column) or _recurs(row, column, beneath) for column in named):
        return None
    if sum(map(is_header_word, texts.values())) * 2 >= len(texts):
        if all(sum(map(is_header_word, beneath.texts(column))) * 2 > len(beneath.texts(column)) > 0 for column in named):
            return None
        return f"row {row.number} holds names of columns, such as {next(filter(is_header_word, texts.values()))!r}"
    for column, text in texts.items():
        under = beneath.texts(column)
        if len(text.split()) > _MOST_WORDS:
            continue  # a sentence names no column
        if len(under) >= 2 and not _has_digit(text) and sum(map(_has_digit, under)) >= _MOSTLY * len(under):
            return f"row {row.number} has no digit in {text!r}, and the texts under it do"
    if len(beneath.rows) >= 6 and len(set(texts.values())) == len(texts):
        repeating = [column for column in named if len(set(beneath.texts(column))) * 2 <= len(beneath.texts(column))]
        if repeating:
            return f"row {row.number} holds {texts[repeating[0]]!r} above texts that come again and again"
    return None


def _recurs(row: Row, column: int, beneath: _Beneath) -> bool:
    """Whether a text is one of a series that goes on beneath it, such as "Table 1" and "1.1a": the first of them names no column."""
    text = row.cells[column]
    return _has_digit(text) and shapes_of(text)[0] in {shapes_of(other)[0] for other in beneath.texts(column) if "\n" not in other}


def _is_key(text: str) -> bool:
    """Whether a text asks for a value beside it ("Customer:") or brings it along ("Unit: EUR")."""
    return ":" in text or "：" in text


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _is_years(row: Row, filled: Iterable[int]) -> bool:
    """Whether the cells that are no text are years or dates that rise or fall from left to right, as over the columns of a report."""
    others = [column for column in filled if row.looks(column) != "text"]
    named = [column for column in filled if row.looks(column) == "text"]
    if not others or not named or any(row.looks(column) not in {"number", "date"} for column in others):
        return False
    values = [_without_point(row.cells[column]) for column in others]
    dates = all(row.looks(column) == "date" for column in others)
    years = all(value.isdecimal() and 1900 <= int(value) <= 2100 for value in values)
    return (
        (years or dates)
        and len(values) > 1
        and (sorted(values) == values or sorted(values, reverse=True) == values)
        and len(set(values)) == len(values)
    )


def _without_point(text: str) -> str:
    """A whole number as most programs write it: some write the year 2024 as 2024.0."""
    return _WITH_POINT.sub("", text)


def _is_units(row: Row, beneath: Sequence[Row]) -> bool:
    """Whether a row under the header holds units of measurement and nothing else, above numbers."""
    filled = row.filled()
    under = _Beneath(beneath)
    return (
        bool(filled)
        and all(is_unit(row.cells[column]) or row.cells[column].strip() in {"-", "/"} for column in filled)
        and any(is_unit(row.cells[column]) for column in filled)
        and all(under.solid(column) for column in filled if is_unit(row.cells[column]))
    )


# ---------------------------------------------------------------- several rows


def _is_preamble(run: list[Row], header: list[int]) -> bool:
    """Whether rows above a table are titles and notes: few, with one or two texts each, narrower than the table, and no records of numbers."""
    if _hold_records(run):
        return False
    most = max(2, len(header) // 2) if len(header) > 2 else 1
    if len(run) <= _MOST_PREAMBLE:
        return all(len(row.filled()) <= most for row in run)
    return len(header) > 1 and all(len(row.filled()) == 1 and row.looks(row.filled()[0]) == "text" for row in run)


def _hold_records(rows: Iterable[Row]) -> bool:
    """Whether several of these rows hold several numbers."""
    return sum([row.looks(column) for column in row.filled()].count("number") > 1 for row in rows) >= _FEWEST_RECORDS


def _is_key_value(run: list[Row]) -> bool:
    """Whether a block above a table is no table of its own but says things about it: "Customer:" and the like."""
    if len(run) > 10 or any(len(row.filled()) > 2 for row in run):
        return False
    pairs = [row.filled() for row in run if len(row.filled()) == 2]
    looks = {row.looks(row.filled()[1]) for row in run[1:] if len(row.filled()) == 2}
    keys = [row.cells[filled[0]] for row in run if (filled := row.filled())]
    colon = any(map(_is_key, keys))
    return colon or len(pairs) < 3 or len(looks) > 1


def _next_table(runs: list[list[Row]], place: int, merges: "Merges") -> bool:
    """Whether a wider table with a certain header follows the one at *place* of the first run."""
    width = len(runs[0][place].filled())
    for number, run in enumerate(runs[1:], 1):
        found = _header_in(run, runs[number + 1] if number + 1 < len(runs) else [], merges)
        if found and len(run[found[0]].filled()) > max(2, width):
            return True
    return False


def _last_header(rows: Sequence[Row], place: int, merges: "Merges") -> int:
    """The last header row: merged cells reach down, and texts under a group of merged columns name its columns."""
    last = place
    while last + 1 < len(rows) and last - place < 4:
        row, following = rows[last], rows[last + 1]
        if following.number - row.number != 1:
            break
        groups = [box for box in merges.at(row.number) if box.last_column > box.first_column]
        down = any(box.last_row > row.number for index in range(place, last + 1) for box in merges.at(rows[index].number))
        filled = following.filled()
        all_text = bool(filled) and all(following.looks(column) == "text" for column in filled)
        grouped = any(sum(box.first_column <= column <= box.last_column for column in filled) > 1 for box in groups)
        if not (down or (grouped and (all_text or _is_years(following, filled)))):
            break
        last += 1
    return last


def _first_header(rows: Sequence[Row], place: int, start: int, merges: "Merges") -> tuple[int, list[int]]:
    """The first header row: rows above that group columns belong to the header, too."""
    first, spread = place, []
    while first > start and rows[first].number - rows[first - 1].number == 1 and place - first < _MOST_HEADERS:
        above, row = rows[first - 1], rows[first]
        if not above.filled() or not row.filled():
            break
        named = [column for each in rows[first : place + 1] for column in each.filled()]
        width = (min(named), max(named))
        groups = [box for box in merges.at(above.number) if box.last_column > box.first_column]
        partial = [box for box in groups if box.first_column > width[0] or box.last_column < width[1]]
        if any(_is_key(above.cells[column]) for column in above.filled()):
            break
        names = [row.cells[column] for column in row.filled()]
        doubled = len(set(names)) < len(names)
        if merges.join(above.number, row.number) or (partial and (len(above.filled()) > 1 or above.filled()[0] > width[0])):
            first -= 1
        elif not groups and doubled and len(above.filled()) > 1 and all(column >= width[0] for column in above.filled()):
            first -= 1
            spread.append(above.number)
        else:
            break
    return first, spread


class Merges:
    """The merged areas of a sheet, by their first row."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._by_row: dict[int, list[Box]] = {}
        for box in boxes:
            self._by_row.setdefault(box.first_row, []).append(box)

    def at(self, row: int) -> list[Box]:
        """The areas that begin in this row."""
        return self._by_row.get(row, [])

    def join(self, row: int, last: int) -> bool:
        """Whether an area that begins in *row*, or little above it, reaches down to the row *last*."""
        return any(box.last_row >= last for first in range(row - _MOST_HEADERS, row + 1) for box in self.at(first))


def header_texts(head: Head, columns: Iterable[int], merges: Merges, *, date1904: bool) -> dict[int, str]:
    """The header of each column: the texts above one another, each once, joined by " / "."""
    parts: dict[int, list[str]] = {column: [] for column in columns}
    for row in head.header:
        across = {
            column: box.first_column
            for box in merges.at(row.number)
            for column in range(box.first_column, min(box.last_column, 16_384) + 1)
        }
        reach, group = "", [""]
        for column in sorted(parts):
            text = _header_text(row, column, date1904=date1904)
            if text:
                reach, group = text, list(parts[column])
            elif column in across:
                text = _header_text(row, across[column], date1904=date1904)
            elif row.number in head.spread and parts[column] == group:
                text = reach  # and no further than the group above them both
            if text and parts[column][-1:] != [text]:
                parts[column].append(text)
    return {column: " / ".join(texts) for column, texts in parts.items()}


def _header_text(row: Row, column: int, *, date1904: bool) -> str:
    text = row.cells.get(column)
    if not text:
        return ""
    kind = row.kinds[column]
    if kind_class(kind) == NUMBER:
        return number_text_or_raw(_without_point(text))
    return shown_text(text, kind or "", date1904=date1904).strip()
