"""
The rules by which one row is a header, a record, or neither: the first that has something to say decides.

A rule looks at a `Candidate`: the row and what stands beneath it. To add one, write a function and give it its place in `RULES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from levelpool.sheets.clean.header_policy import POLICY, HeaderPolicy
from levelpool.sheets.clean.labels import is_header_word, is_notice
from levelpool.sheets.clean.row_features import Beneath, RowFeatures
from levelpool.sheets.clean.shapes import shapes_of
from levelpool.sheets.table import HeaderStep

HEADER = "header"
NO_HEADER = "no header"
RECORD = "record"
ABOVE = "above the table"


class Candidate:
    """A row that may be the header, and what stands beneath it."""

    def __init__(self, row: RowFeatures, beneath: Beneath, policy: HeaderPolicy = POLICY) -> None:
        self.row = row
        self.beneath = beneath
        self.policy = policy

    @cached_property
    def named(self) -> int:
        """How many of the columns beneath it names."""
        return len(self.beneath.columns.intersection(self.row.filled))

    @property
    def coverage(self) -> float:
        """The part of the columns beneath that it names."""
        return self.named / max(1, len(self.beneath.columns))

    @cached_property
    def words(self) -> list[str]:
        """Those of its texts that read like names of columns."""
        return list(filter(is_header_word, self.row.texts.values()))

    @property
    def is_of_words(self) -> bool:
        """Whether so many do that the row names columns."""
        return len(self.words) >= self.policy.words * len(self.row.texts)

    def recurs(self, column: int) -> bool:
        """Whether a text is one of a series that goes on beneath it, such as "Table 1" and "1.1a": the first of them names no column."""
        text = self.row.cells[column]
        return _has_digit(text) and shapes_of(text)[0] in {shapes_of(other)[0] for other in self.beneath.texts(column) if "\n" not in other}


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason for which a row is a header, or is none."""

    name: str
    verdict: str
    says: Callable[[Candidate], str | None]
    """Why the rule decides about this candidate; None when it has nothing to say."""


def judge(candidate: Candidate) -> tuple[HeaderStep, str]:
    """What the first rule that decides makes of the candidate, and why."""
    for rule in RULES:
        why = rule.says(candidate)
        if why is not None:
            return HeaderStep(candidate.row.number, rule.name, rule.verdict), why
    return HeaderStep(candidate.row.number, NOTHING_DECIDED, NO_HEADER), "nothing shows that it names columns"


# ---------------------------------------------------------------- records


def looks_like_those_beneath(candidate: Candidate) -> bool:
    """Whether a row looks like those under it: wide, with a number where numbers stand."""
    row, beneath, policy = candidate.row, candidate.beneath, candidate.policy
    is_lone = len(beneath.columns) < 2 and len(beneath.rows) < 2
    if is_lone or len(row.filled) < policy.record_width * len(beneath.columns) or row.is_years:
        return False
    typed = {column for column in row.filled if row.looks(column) not in {"text", "error"}}
    if not typed:
        return False
    solid = [column for column in row.filled if beneath.solid(column)]
    return len(typed.intersection(solid)) * 2 > len(solid)


# ---------------------------------------------------------------- what is no header


def _has_no_names(candidate: Candidate) -> str | None:
    row = candidate.row
    return None if row.texts and (row.is_all_text or row.is_years) else "a cell is neither a text nor one of rising years"


def _is_message(candidate: Candidate) -> str | None:
    return "it is a message of the program that wrote the file" if is_notice(candidate.row.names[0]) else None


def _asks_for_a_value(candidate: Candidate) -> str | None:
    row = candidate.row
    return "a colon asks for a value" if len(row.filled) <= candidate.policy.most_pairs and row.has_key else None


def _stands_alone(candidate: Candidate) -> str | None:
    return None if candidate.beneath.rows else "nothing stands beneath it"


def _covers_too_little(candidate: Candidate) -> str | None:
    columns = len(candidate.beneath.columns)
    return None if candidate.named >= candidate.policy.least_coverage * columns else f"it names {candidate.named} of {columns} columns"


def _is_one_text_over_many(candidate: Candidate) -> str | None:
    return "one text stands over several columns" if len(candidate.beneath.columns) > 1 and len(candidate.row.filled) < 2 else None


def _says_one_thing(candidate: Candidate) -> str | None:
    names = candidate.row.names
    return "all its cells hold the same" if len(names) > 2 and len(set(names)) < 2 else None


def _comes_again(candidate: Candidate) -> str | None:
    """All is text from here on: what the texts look like has to decide."""
    beneath = candidate.beneath
    again = next((text for column, text in candidate.row.texts.items() if text in beneath.texts(column) or candidate.recurs(column)), None)
    return None if again is None else f"{again!r}, or what continues it, stands beneath"


def _words_above_words(candidate: Candidate) -> str | None:
    if candidate.is_of_words and all(map(candidate.beneath.are_words, candidate.row.texts)):
        return "what stands beneath reads like names of columns, too"
    return None


# ---------------------------------------------------------------- what is one


def _is_nothing_but_names(candidate: Candidate) -> str | None:
    row = candidate.row
    is_header = not candidate.beneath.rows and len(row.filled) > 1 and (row.is_words or row.is_names)
    return f"row {row.number} holds nothing but names of columns" if is_header else None


def _stands_above_values(candidate: Candidate) -> str | None:
    row = candidate.row
    solid = next((column for column in row.texts if candidate.beneath.solid(column) and not candidate.recurs(column)), None)
    return None if solid is None else f"row {row.number} holds texts above numbers and dates, such as {row.cells[solid]!r}"


def _holds_words(candidate: Candidate) -> str | None:
    if not candidate.is_of_words:
        return None
    return f"row {candidate.row.number} holds names of columns, such as {candidate.words[0]!r}"


def _has_no_digit_above_digits(candidate: Candidate) -> str | None:
    policy = candidate.policy
    for column, text in candidate.row.texts.items():
        under = candidate.beneath.texts(column)
        may_name = len(text.split()) <= policy.longest_name and not _has_digit(text)
        if may_name and len(under) >= 2 and sum(map(_has_digit, under)) >= policy.mostly * len(under):
            return f"row {candidate.row.number} has no digit in {text!r}, and the texts under it do"
    return None


def _stands_above_repetition(candidate: Candidate) -> str | None:
    row, beneath = candidate.row, candidate.beneath
    if len(beneath.rows) < candidate.policy.rows_for_repetition or len(set(row.texts.values())) < len(row.texts):
        return None
    for column, text in row.texts.items():
        under = beneath.texts(column)
        if len(set(under)) * 2 <= len(under):
            return f"row {row.number} holds {text!r} above texts that come again and again"
    return None


RULES = (
    Rule("not all texts", NO_HEADER, _has_no_names),
    Rule("a message", NO_HEADER, _is_message),
    Rule("asks for a value", NO_HEADER, _asks_for_a_value),
    Rule("nothing but names", HEADER, _is_nothing_but_names),
    Rule("stands alone", NO_HEADER, _stands_alone),
    Rule("names too few columns", NO_HEADER, _covers_too_little),
    Rule("one text over many columns", NO_HEADER, _is_one_text_over_many),
    Rule("says one thing", NO_HEADER, _says_one_thing),
    Rule("texts above values", HEADER, _stands_above_values),
    Rule("comes again", NO_HEADER, _comes_again),
    Rule("words above words", NO_HEADER, _words_above_words),
    Rule("words of headers", HEADER, _holds_words),
    Rule("no digit above digits", HEADER, _has_no_digit_above_digits),
    Rule("above repetition", HEADER, _stands_above_repetition),
)
"""In this order: a row that cannot be a header is told first, then what stands beneath decides, and last, where all is text, the texts."""

NOTHING_DECIDED = "nothing proves a header"
STEPS = {
    "given": HEADER,
    "describes the format": ABOVE,
    "above names of the columns on the left": HEADER,
    "says things about a wider table": ABOVE,
    "looks like the rows beneath": RECORD,
    "stands below records": NO_HEADER,
    "stands below what is no title": NO_HEADER,
    NOTHING_DECIDED: NO_HEADER,
}
"""What else is found out about a row: by its place among the others, or because no rule had anything to say."""


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
