"""Why a cell goes to quarantine, and why a row stands outside of the data: the words that reports, ledger and reference share."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a cell cannot be loaded."""

    ERROR = "error value"
    NO_VALUE = "formula without a value"
    NOT_WHOLE = "not a whole number"
    NOT_NUMBER = "not a number"
    TOO_LONG = "more digits than the column keeps"
    NOT_BOOLEAN = "not true or false"
    NOT_DATE = "not a date"
    NOT_TIMESTAMP = "not a timestamp"
    NOT_TIME = "not a time of day"
    IMPOSSIBLE_DATE = "a date that does not exist"
    UNSTORABLE = "text that no database can hold"

    @property
    def meaning(self) -> str:
        """One sentence for the reference."""
        return _MEANINGS[self]


_MEANINGS = {
    Reason.ERROR: "The cell holds an error of the spreadsheet, such as #N/A or #DIV/0!.",
    Reason.NO_VALUE: "The cell holds a formula, and the file does not hold its result.",
    Reason.NOT_WHOLE: "The column takes whole numbers, and the cell is none in the notation of the column.",
    Reason.NOT_NUMBER: "The column takes numbers, and the cell is none in the notation of the column, or is too large for any number.",
    Reason.TOO_LONG: "The number has more digits than the column's type keeps: 18 for a whole number, 15 beside exponents.",
    Reason.NOT_BOOLEAN: "The column takes true and false, and the cell is neither.",
    Reason.NOT_DATE: "The column takes dates, and the cell is none in the form of the column, or has a time of day as well.",
    Reason.NOT_TIMESTAMP: "The column takes dates with a time, and the cell is none in the form of the column.",
    Reason.NOT_TIME: "The column takes times of day, and the cell is none in the form of the column.",
    Reason.IMPOSSIBLE_DATE: "The cell is a date by its format and no day of the calendar: 0, below 0, after the year 9999, or 1900-02-29.",
    Reason.UNSTORABLE: "The text holds a NUL character or half of a character, which no database takes.",
}


class Aside(StrEnum):
    """Why a row stands outside of the data."""

    TITLE = "title"
    HEADER = "header"
    REPEATED_HEADER = "repeated header"
    UNITS = "units"
    RULER = "ruler"
    COMMENT = "comment"
    TOTAL = "total"
    FOOTER = "footer"
    EMPTY = "empty text"
    HIDDEN = "hidden"
    LEFT_OUT = "left out"

    @property
    def meaning(self) -> str:
        """One sentence for the reference."""
        return _ASIDES[self]


_ASIDES = {
    Aside.TITLE: "It stands above the header, or repeats a row that does.",
    Aside.HEADER: "It names the columns.",
    Aside.REPEATED_HEADER: "It is the header once more, as page breaks leave it.",
    Aside.UNITS: "It stands under the header and holds nothing but units of measurement.",
    Aside.RULER: "It is a line drawn of dashes and the like.",
    Aside.COMMENT: "It begins as comments do (#, //, %, !, ;), or is a message of the program that wrote the file, and no record begins so.",
    Aside.TOTAL: "It begins with a label of the list below, and each number in it is a sum.",
    Aside.FOOTER: "It is a note behind the last row of data.",
    Aside.EMPTY: "All its texts are empty.",
    Aside.HIDDEN: "The row is hidden, and the parameters of the import leave hidden rows out, or none of its cells fits the type of the other rows: a template.",
    Aside.LEFT_OUT: "The parameters of the import leave it out.",
}
