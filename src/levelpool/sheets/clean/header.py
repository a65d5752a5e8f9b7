"""Where a table begins: which rows name its columns, which stand above as titles, and which hold units."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from levelpool.sheets.clean.cell_group import kind_class
from levelpool.sheets.clean.dates import shown_text
from levelpool.sheets.clean.header_levels import find_levels, has_numbers_below
from levelpool.sheets.clean.header_policy import POLICY, HeaderPolicy
from levelpool.sheets.clean.header_rules import HEADER, STEPS, Candidate, judge, looks_like_those_beneath
from levelpool.sheets.clean.merges import Merges
from levelpool.sheets.clean.row import Row
from levelpool.sheets.clean.row_features import Beneath, RowFeatures, is_key, is_units, without_point
from levelpool.sheets.clean.values import number_text_or_raw
from levelpool.sheets.table import NUMBER, HeaderStep

_FORMAT_LINES = {"EXTF", "DTVF"}
"""What a first row begins with that describes the file itself: the exchange format of the bookkeeping programs of DATEV."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first row of data."""

    titles: tuple[Row, ...] = ()
    header: tuple[Row, ...] = ()
    units: tuple[Row, ...] = ()
    why: str = ""
    spread: frozenset[int] = frozenset()  # header rows whose texts reach to the right over blanks
    index_row: int = 0  # the header row that names the columns on the left alone, as pandas writes them
    length: int = 0  # rows it takes in all
    trace: tuple[HeaderStep, ...] = ()  # how it was found


def find_head(rows: Sequence[Row], merges: Merges, policy: HeaderPolicy = POLICY) -> Head:
    """
    What stands before the data that begins somewhere in *rows* (the first rows of a sheet, or of a block behind blank rows).

    A header is taken only when it is certain; otherwise the first row is data. Blank rows are not among *rows*: their numbers tell.
    """
    search = _Search(rows, merges, policy)
    return replace(search.head(), trace=tuple(search.trace))


def given_head(rows: Sequence[Row], header_row: int, merges: Merges, first_row: int | None = None) -> Head:
    """The head when the 1-based number of the (last) header row is given, and perhaps that of the first one."""
    place = next((index for index, row in enumerate(rows) if row.number == header_row), None)
    if place is None:
        above = tuple(row for row in rows if row.number < header_row)
        return Head(titles=above, why=f"row {header_row} was given as the header and is blank", length=len(above))
    trace = (HeaderStep(header_row, "given", STEPS["given"]),)
    if first_row is None:
        head = _Search(rows, merges, POLICY).with_header(place, 0, f"row {header_row} was given as the header")
        return replace(head, trace=trace)
    first = next(index for index, row in enumerate(rows) if row.number >= first_row)
    return Head(
        titles=tuple(rows[:first]),
        header=tuple(rows[first : place + 1]),
        why=f"the rows {first_row} to {header_row} were given as the header",
        spread=frozenset(row.number for row in rows[first:place]),
        length=place + 1,
        trace=trace,
    )


Run = list[RowFeatures]
"""Rows that no blank row parts."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The header in a run of rows."""

    place: int
    why: str
    coverage: float


class _Search:
    """The search for a header among some rows."""

    def __init__(self, rows: Sequence[Row], merges: Merges, policy: HeaderPolicy) -> None:
        self.rows = [RowFeatures(row) for row in rows]
        self.merges = merges
        self.policy = policy
        self.trace: list[HeaderStep] = []

    def head(self) -> Head:
        """What stands before the data."""
        first = self.rows[0].cells.get(0) if len(self.rows) > 1 else None
        if first in _FORMAT_LINES:
            number = self.rows[0].number
            self._note(self.rows[0], "describes the format")
            return self.with_header(1, 1, f"row {number} begins with {first}: it describes the format, and the next row the columns")
        levels = find_levels(self.rows, 0, 0)
        if levels is not None and has_numbers_below(self.rows, levels):
            self._note(self.rows[0], "above names of the columns on the left")
            why = f"row {self.rows[levels.index].number} names the columns on the left alone, below {levels.index} rows that name those of values"
            return self.with_header(0, 0, why)
        runs = _runs(self.rows)
        start = 0
        for number, run in enumerate(runs):
            found = self._header_in(runs, number)
            if found is None:
                start += len(run)
            elif self._is_about_the_next(runs, number, found):
                self._note(run[found.place], "says things about a wider table")
                start += len(run)
            elif not all(self._is_preamble(earlier, run[found.place].filled) for earlier in runs[:number]):
                self._note(run[found.place], "stands below what is no title")
                break
            else:
                return self.with_header(start + found.place, start, found.why)
        return self._without_header(runs)

    def _note(self, row: RowFeatures, step: str) -> None:
        self.trace.append(HeaderStep(row.number, step, STEPS[step]))

    # ------------------------------------------------------------ a run of rows

    def _header_in(self, runs: list[Run], number: int) -> _Found | None:
        """The header in a run; the next run stands beneath a header that a blank row follows."""
        run = runs[number]
        following = runs[number + 1] if number + 1 < len(runs) else []
        best: _Found | None = None
        earlier: _Found | None = None  # that the best one has beaten
        looked_at = 0
        for place, row in enumerate(run[: self.policy.candidates]):
            if looked_at > self.policy.cells_looked_at or (best is not None and self._is_enough(best, place)):
                break
            candidate = Candidate(row, self._beneath(run, place, following), self.policy)
            looked_at += len(row.cells) * len(candidate.beneath.rows)
            if best is None and self._is_first_record(candidate, run):
                self._note(row, "looks like the rows beneath")
                return None
            step, why = judge(candidate)
            self.trace.append(step)
            if step.verdict == HEADER and (best is None or candidate.coverage > best.coverage):
                best, earlier = _Found(place, why, candidate.coverage), best
        return best if best is None or self._may_be_header(run, best.place) else self._above_records(run, best, earlier)

    def _above_records(self, run: Run, best: _Found, earlier: _Found | None) -> _Found | None:
        """A wider header below records is another table's: what names the columns of these records is the first row, if it is a header at all."""
        is_first = earlier is not None and earlier.place == 0
        return earlier if is_first and self._hold_records(run[: best.place]) else None

    def _beneath(self, run: Run, place: int, following: Run) -> Beneath:
        return Beneath(islice(run, place + 1, None) if place + 1 < len(run) else following, self.policy)

    def _is_enough(self, best: _Found, place: int) -> bool:
        return best.coverage >= self.policy.coverage_that_ends or place - best.place > self.policy.rows_after_best

    def _is_first_record(self, candidate: Candidate, run: Run) -> bool:
        """Whether the run begins with data."""
        number = candidate.row.number
        return looks_like_those_beneath(candidate) and len(run) > 1 and not self.merges.join(number, number + 1)

    def _may_be_header(self, run: Run, header: int) -> bool:
        """Whether the rows above the header are titles or parts of it, and no records."""
        if self._hold_records(run[:header]):
            self._note(run[header], "stands below records")
            return False
        if not all(self._may_stand_above(run, place, header) for place in range(header)):
            self._note(run[header], "stands below what is no title")
            return False
        return True

    def _may_stand_above(self, run: Run, place: int, header: int) -> bool:
        """Whether a row above the header is a title or part of the header, and no record."""
        above, below = run[place], run[header]
        if above.is_comment or self.merges.groups(above.number) or self.merges.join(above.number, below.number):
            return True
        if place == header - 1 and below.has_double:
            return True
        width, names = len(above.filled), len(below.filled)
        return width < names and (width <= 2 or width * 2 <= names)

    def _hold_records(self, rows: Iterable[RowFeatures]) -> bool:
        """Whether several of these rows hold several numbers."""
        return sum(row.numbers >= self.policy.numbers_of_record for row in rows) >= self.policy.records

    # ------------------------------------------------------------ what stands above

    def _is_preamble(self, run: Run, header: list[int]) -> bool:
        """Whether rows above a table are titles and notes: few, with one or two texts each, narrower than the table, and no records of numbers."""
        if self._hold_records(run):
            return False
        if len(run) <= self.policy.preamble_rows:
            most = max(2, len(header) // 2) if len(header) > 2 else 1
            return all(len(row.filled) <= most for row in run)
        return len(header) > 1 and all(row.is_one_text for row in run)

    def _is_about_the_next(self, runs: list[Run], number: int, found: _Found) -> bool:
        """Whether a run with a header is no table of its own but says things about a wider one below."""
        return self._is_key_value(runs[number]) and self._has_wider_table(runs[number:], found.place)

    def _is_key_value(self, run: Run) -> bool:
        """Whether a block above a table says things about it: "Customer:" and the like."""
        if len(run) > self.policy.key_value_rows or any(len(row.filled) > 2 for row in run):
            return False
        if any(is_key(row.names[0]) for row in run if row.filled):
            return True
        pairs = [row for row in run if len(row.filled) == 2]
        looks = {row.looks(row.filled[1]) for row in run[1:] if len(row.filled) == 2}
        return len(pairs) < 3 or len(looks) > 1

    def _has_wider_table(self, runs: list[Run], place: int) -> bool:
        """Whether a wider table with a certain header follows the one at *place* of the first run."""
        least = max(2, len(runs[0][place].filled))
        kept, self.trace = self.trace, []  # what is found here is looked for once more when it is its turn
        found = ((runs[number], self._header_in(runs, number)) for number in range(1, len(runs)))
        is_there = any(header is not None and len(run[header.place].filled) > least for run, header in found)
        self.trace = kept
        return is_there

    def _without_header(self, runs: list[Run]) -> Head:
        """No header is certain: only rows with a single text that a blank row parts from a wider table are titles."""
        titles: list[Row] = []
        for number, run in enumerate(runs[:-1]):
            following = {column for row in runs[number + 1][: self.policy.beneath] for column in row.filled}
            if len(run) > self.policy.title_rows or len(following) < 2 or not all(row.is_one_text for row in run):
                break
            titles.extend(row.row for row in run)
        why = "no header is certain: the first row is data"
        if len(self.rows) == 1 and self.rows[0].is_all_text and not self.rows[0].has_double and len(self.rows[0].filled) > 1:
            why += f"; if the only row names columns, say that row {self.rows[0].number} is the header"
        return Head(titles=tuple(titles), why=why, length=len(titles))

    # ------------------------------------------------------------ several rows

    def with_header(self, place: int, start: int, why: str) -> Head:
        """The head whose surest header row is at *place*, in a block that begins at *start*."""
        rows = self.rows
        last = self._last_header(place)
        first, spread = self._first_header(place, start)
        levels = find_levels(rows, place, start)
        if levels is not None:
            first, last = levels.first, levels.index
            spread = [row.number for row in rows[first : last - 1] if not self.merges.groups(row.number)]
        units = [row for row in rows[last + 1 : last + 2] if row.is_ruler]
        under = last + 1 + len(units)
        units += [row for row in rows[under : under + 1] if is_units(row, rows[under + 1 :], self.policy)]
        return Head(
            titles=tuple(row.row for row in rows[:first]),
            header=tuple(row.row for row in rows[first : last + 1]),
            units=tuple(row.row for row in units),
            why=why,
            spread=frozenset(spread),
            index_row=0 if levels is None else rows[last].number,
            length=last + 1 + len(units),
        )

    def _last_header(self, place: int) -> int:
        """The last header row: merged cells reach down, and texts under a group of merged columns name its columns."""
        last = place
        while last + 1 < len(self.rows) and last - place < self.policy.header_rows_below:
            row, following = self.rows[last], self.rows[last + 1]
            if following.number - row.number != 1:
                break
            reach = max(self.merges.reach(each.number) for each in self.rows[place : last + 1])
            if reach <= row.number and not self._names_a_group(row, following):
                break
            last += 1
        return last

    def _names_a_group(self, row: RowFeatures, following: RowFeatures) -> bool:
        """Whether a row names columns under a merged cell of the row above it."""
        named = following.filled
        is_grouped = any(
            bisect_right(named, box.last_column) - bisect_left(named, box.first_column) > 1 for box in self.merges.groups(row.number)
        )
        return is_grouped and (following.is_all_text or following.is_years)

    def _first_header(self, place: int, start: int) -> tuple[int, list[int]]:
        """The first header row: rows above that group columns belong to the header, too."""
        first, spread = place, []
        while first > start and place - first < self.policy.header_rows_above:
            above, row = self.rows[first - 1], self.rows[first]
            if row.number - above.number != 1 or not above.filled or not row.filled or above.has_key:
                break
            named = [column for each in self.rows[first : place + 1] for column in each.filled]
            left, right = min(named), max(named)
            if not self._is_group_row(above, row, left, right):
                if not self._tells_doubles_apart(above, row, left):
                    break
                spread.append(above.number)
            first -= 1
        return first, spread

    def _is_group_row(self, above: RowFeatures, row: RowFeatures, left: int, right: int) -> bool:
        """Whether merged cells make a row part of the header below it: they join the two, or span some of its columns."""
        if self.merges.join(above.number, row.number):
            return True
        spans_some = any(box.first_column > left or box.last_column < right for box in self.merges.groups(above.number))
        return spans_some and (len(above.filled) > 1 or above.filled[0] > left)

    def _tells_doubles_apart(self, above: RowFeatures, row: RowFeatures, left: int) -> bool:
        """Whether a row groups names that come twice, without merged cells."""
        may_group = not self.merges.groups(above.number) and row.has_double
        return may_group and len(above.filled) > 1 and all(column >= left for column in above.filled)


def _runs(rows: Sequence[RowFeatures]) -> list[Run]:
    """The rows in groups that no blank row parts."""
    runs: list[Run] = []
    for row in rows:
        if runs and row.number - runs[-1][-1].number == 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


# ---------------------------------------------------------------- the texts


def header_texts(head: Head, columns: Iterable[int], merges: Merges, *, date1904: bool) -> dict[int, str]:
    """The header of each column: the texts above one another, each once, joined by " / "."""
    parts: dict[int, list[str]] = {column: [] for column in columns}
    for row in head.header:
        across = merges.across(row.number, parts)
        reach, group = "", [""]
        for column in sorted(parts):
            text = _header_text(row, column, date1904=date1904)
            if text:
                reach, group = text, list(parts[column])
            elif column in across:
                text = _header_text(row, across[column], date1904=date1904)
            elif row.number in head.spread and parts[column] == group:
                text = reach  # and no further than the group above them both
            if text and row.number == head.index_row:
                parts[column] = [text]
            elif text and parts[column][-1:] != [text]:
                parts[column].append(text)
    return {column: " / ".join(texts) for column, texts in parts.items()}


def _header_text(row: Row, column: int, *, date1904: bool) -> str:
    text = row.cells.get(column)
    if not text:
        return ""
    kind = row.kinds[column]
    if kind_class(kind) == NUMBER:
        return number_text_or_raw(without_point(text))
    return shown_text(text, kind or "", date1904=date1904).strip()
