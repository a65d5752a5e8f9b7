"""What the columns of a table, and the file around it, say about each other: which mark parts decimals, and whether the day comes first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from levelpool.sheets.clean.decisions import has_dotted_dates, proves_comma, proves_day_first, proves_point
from levelpool.sheets.clean.evidence import ColumnEvidence


@dataclass(frozen=True, slots=True)
class TableAnswers:
    """What one column proves for all of them, each with the reason."""

    marks: Mapping[str, str]  # decimal marks
    thousands: str  # what speaks for points between thousands; "" where nothing does
    days: Mapping[bool, str]  # whether the day comes before the month


def answers_of(evidence: Mapping[int, ColumnEvidence], headers: Mapping[int, str], delimiter: str) -> TableAnswers:
    """What these columns, and the *delimiter* of a text, say; *headers* name the columns in the reasons."""

    def first(what: Callable[[ColumnEvidence], object], wanted: object = True) -> str:
        """How the first column is called of which this holds."""
        place = next((place for place, each in evidence.items() if what(each) is wanted), None)
        return "" if place is None else _named(headers.get(place, ""), place)

    marks = {",": first(proves_comma), ".": first(proves_point)}
    days = {day_first: first(proves_day_first, day_first) for day_first in (True, False)}
    dotted = first(has_dotted_dates)
    return TableAnswers(
        marks={mark: f"as {column} shows" for mark, column in marks.items() if column},
        thousands=f"the dates of {dotted} are written with points" if dotted else _parted_by(delimiter),
        days={day_first: f"as {column} shows" for day_first, column in days.items() if column},
    )


def _named(header: str, place: int) -> str:
    return repr(header) if header else f"column {place + 1}"


def _parted_by(delimiter: str) -> str:
    return "the fields are parted by semicolons, as where commas part decimals" if delimiter == ";" else ""
