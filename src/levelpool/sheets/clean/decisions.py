"""
How a column gets its type: the table of decisions over the evidence of all its cells.

A type is given only when every value reads back to its text; otherwise the column is TEXT and says which values decided.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from levelpool.sheets.clean.cell_group import SERIAL, Seen
from levelpool.sheets.clean.currencies import OF_POINTS_BETWEEN_THOUSANDS
from levelpool.sheets.clean.dates import form_in_letters, is_unpadded, type_of_form
from levelpool.sheets.clean.evidence import ColumnEvidence
from levelpool.sheets.clean.format_evidence import FormatEvidence
from levelpool.sheets.clean.numbers import Reading, readings
from levelpool.sheets.clean.text_evidence import BOOLEANS, DATES, NUMBERS
from levelpool.sheets.clean.verdicts import (
    Verdict,
    different_units,
    in_days,
    is_plain,
    lost_digits,
    no_type,
    not_one_way,
    number_verdict,
    text_verdict,
)
from levelpool.sheets.table import Column, ColumnType, Notation
from levelpool.sheets.wording import all_of

_BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What answers the questions that the values of a column leave open."""

    date_form: str | None = None
    decimal: str | None = None
    day_first: bool | None = None
    marks: Mapping[str, str] = field(default_factory=dict)  # each decimal mark that another column proves, with the reason
    thousands: str = ""  # what else in the file speaks for points between thousands
    beyond_double: Callable[[], Seen | None] = lambda: None  # looks for the first text with more digits than a double keeps
    days: Mapping[bool, str] = field(default_factory=dict)  # whether the day comes first, as another column proves, with the reason

    @property
    def mark(self) -> str:
        """The one decimal mark that other columns prove; "" where none does, or both."""
        return next(iter(self.marks)) if len(self.marks) == 1 else ""


NO_ANSWERS = Answers()


def decide(evidence: ColumnEvidence, answers: Answers = NO_ANSWERS, *, name: str, header: str, position: int) -> Column:
    """The column, with its type and the reason."""
    verdict = next(found for decision in DECISIONS if (found := decision(evidence, answers)) is not None)
    return Column(
        name=name,
        header=header,
        position=position,
        type=verdict.type,
        notation=verdict.notation,
        why=verdict.why,
        samples=tuple(evidence.samples),
        digits=verdict.digits,
        scale=verdict.scale,
    )


def proves_comma(evidence: ColumnEvidence) -> bool:
    """Whether this column can only be read with a decimal comma, or with points between thousands."""
    found = _number_readings(evidence)
    return bool(found) and all(map(_has_comma, found))


def _has_comma(reading: Reading) -> bool:
    return (reading.notation.decimal == "," and not reading.doubtful) or reading.notation.thousands == "."


def proves_point(evidence: ColumnEvidence) -> bool:
    """Whether texts of this column can only be read with a decimal point, or with commas between thousands."""
    found = () if evidence.numbers.shapes else _number_readings(evidence)
    return bool(found) and all(map(_has_point, found))


def _has_point(reading: Reading) -> bool:
    notation = reading.notation
    has_point = notation.decimal == "." and not (reading.whole or reading.exponent or reading.doubtful)
    return notation.thousands != "." and (has_point or notation.thousands == ",")


def proves_day_first(evidence: ColumnEvidence) -> bool | None:
    """Whether the day comes before the month in the dates of this column, as in 27/04/2026; None where they do not tell."""
    forms = _forms_of_dates(evidence)
    if not forms or _mean_several(forms) or not all(map(_is_in_digits, forms)):
        return None
    return forms[0].index("d") < forms[0].index("m")


def has_dotted_dates(evidence: ColumnEvidence) -> bool:
    """Whether there are dates such as 27.04.2026."""
    return any("." in form and _is_in_digits(form) for form in _forms_of_dates(evidence))


def _forms_of_dates(evidence: ColumnEvidence) -> list[str]:
    texts = evidence.texts
    is_date = bool(texts.shapes) and DATES in texts.could and not evidence.is_text
    return sorted(texts.forms or ()) if is_date and not _number_readings(evidence) else []


def _is_in_digits(form: str) -> bool:
    """Whether day and month are two numbers, and the year stands behind them."""
    return bool(_DIGITS_OF_DAYS.match(form))


_DIGITS_OF_DAYS = re.compile(r" *%-?[dm]([-/.])%-?[dm]\1%Y")


# ---------------------------------------------------------------- the decisions


def _refuted(evidence: ColumnEvidence, _: Answers) -> Verdict | None:
    return text_verdict("; ".join(evidence.refutations.sentences)) if evidence.is_text else None


def _without_value(evidence: ColumnEvidence, _: Answers) -> Verdict | None:
    if evidence.values and (evidence.dates.is_there or evidence.booleans or evidence.numbers.shapes or evidence.texts.shapes):
        return None
    return text_verdict("no cell has a value" if not evidence.errors else "no cell has a value but errors such as #N/A")


def _spans_of_time(evidence: ColumnEvidence, _: Answers) -> Verdict | None:
    """Hours above a day and below one, each in the format that shows it: one kind of value."""
    dates, numbers = evidence.dates, evidence.numbers
    if not (evidence.are_spans and dates.clocks and dates.shapes) or evidence.texts.shapes or dates.impossible:
        return None
    found = readings([*numbers.shapes, *dates.shapes])
    if not found:
        return None
    verdict = number_verdict(found, numbers.shapes.values(), evidence.values, exponent=numbers.exponent or dates.exponent)
    return replace(verdict, why="; ".join([verdict.why, *_said_by_formats(evidence.formats)]))


def _serials_that_are_numbers(evidence: ColumnEvidence, _: Answers) -> Verdict | None:
    """Most cells have a date format and are no dates."""
    dates = evidence.dates
    if not dates.shapes or dates.impossible_count * 2 <= evidence.values:
        return None
    found = readings(dates.shapes)
    if not found:
        return text_verdict(f"{dates.impossible} has a date format but is no date")
    verdict = number_verdict(found, dates.shapes.values(), evidence.values, exponent=dates.exponent)
    return replace(verdict, why=f"{dates.impossible} has a date format but is no date; {verdict.why}")


def _date_cells(evidence: ColumnEvidence, _: Answers) -> Verdict | None:
    dates, count = evidence.dates, evidence.values
    if not dates.is_there:
        return None
    notation = Notation(date_form=SERIAL if dates.shapes else "", date1904=dates.date1904)
    if dates.stamps:
        return Verdict(ColumnType.TIMESTAMP, all_of(count, "a cell with a date and a time", "cells with a date and a time"), notation)
    if dates.days:
        return Verdict(ColumnType.DATE, all_of(count, "a date cell", "date cells"), notation)
    return Verdict(ColumnType.TIME, all_of(count, "a cell with a time of day", "cells with a time of day"), notation)


def _booleans(evidence: ColumnEvidence, _: Answers) -> Verdict | None:
    texts = evidence.texts
    if not (evidence.booleans or (BOOLEANS in texts.could and not evidence.numbers.shapes)):
        return None
    for true, false in _BOOLEANS:
        if texts.shapes.keys() <= {true, false}:
            said = f"{true} or {false}"
            return Verdict(ColumnType.BOOLEAN, all_of(evidence.values, said, said), Notation(booleans=(true, false)))
    first, second = list(texts.shapes.values())[:2]
    return text_verdict(f"{first} and {second} are not written in one and the same way")


def _numbers(evidence: ColumnEvidence, answers: Answers) -> Verdict | None:
    texts = evidence.texts
    if texts.shapes and NUMBERS not in texts.could:
        return None
    verdict = _number_verdict(evidence, answers)
    may_be_dates = texts.shapes and DATES in texts.could
    return None if verdict.type is ColumnType.TEXT and may_be_dates else verdict


def _date_texts(evidence: ColumnEvidence, answers: Answers) -> Verdict | None:
    texts = evidence.texts
    possible = texts.forms or set()
    forms = [answers.date_form] if answers.date_form in possible and answers.date_form else sorted(possible, key=_plainest)
    said = ""
    if _mean_several(forms) and (answers.day_first is not None or len(answers.days) == 1):
        day_first, reason = next(iter(answers.days.items())) if answers.day_first is None else (answers.day_first, "as was said")
        forms = [form for form in forms if (form.index("d") < form.index("m")) == day_first]
        said = f"; the {'day' if day_first else 'month'} comes first, {reason}"
    if _mean_several(forms):
        return text_verdict(f"{texts.first} can be two dates; no row decides: does the day or the month come first?")
    form = forms[0]
    kind, shown = type_of_form(form), form_in_letters(form)
    one = _NAMES[kind]
    why = all_of(evidence.values, f"a {one} in the form {shown}", f"{one}s in the form {shown}")
    return Verdict(kind, f"{why}{_proof_of_day(texts.counter_examples, form)}{said}", Notation(date_form=form))


DECISIONS: tuple[Callable[[ColumnEvidence, Answers], Verdict | None], ...] = (
    _refuted,
    _without_value,
    _spans_of_time,
    _serials_that_are_numbers,
    _date_cells,
    _booleans,
    _numbers,
    _date_texts,
)
"""The first that has something to say decides."""


# ---------------------------------------------------------------- numbers


def _number_readings(evidence: ColumnEvidence) -> tuple[Reading, ...]:
    """In which ways the numbers of the column can be read."""
    numbers, texts = evidence.numbers.shapes, evidence.texts
    if evidence.is_text or evidence.dates.shapes or (texts.shapes and NUMBERS not in texts.could):
        return ()
    if not (numbers or texts.shapes):
        return ()
    found = readings([*numbers, *texts.shapes], zero_before=texts.marks)
    if numbers:  # number cells have no notation: texts beside them must be as plain
        return tuple(reading for reading in found if is_plain(reading.notation))
    return found


def _number_verdict(evidence: ColumnEvidence, answers: Answers) -> Verdict:
    numbers, texts = evidence.numbers, evidence.texts
    found = _number_readings(evidence)
    if answers.decimal is not None:
        found = tuple(reading for reading in found if reading.notation.decimal == answers.decimal or reading.whole)[:1] or found
    seen = [*numbers.shapes.values(), *texts.shapes.values()]
    if not found:
        return text_verdict(_odd_one(evidence, seen))
    is_open = not numbers.shapes and answers.decimal is None and _is_open(found)
    found, said = _answered(found, answers) if is_open else (found, "")
    if not found:
        return text_verdict(f"{_asked(seen)} can be two numbers; {_QUESTION}{said}")
    verdict = number_verdict(
        found,
        seen,
        evidence.values,
        exponent=numbers.exponent,
        beyond_double=answers.beyond_double if texts.shapes else NO_ANSWERS.beyond_double,
    )
    lost = [lost_digits(numbers.rounded)] if numbers.rounded and verdict.type is not ColumnType.DOUBLE else []
    return replace(verdict, why="; ".join([verdict.why, *lost, *_said_by_formats(evidence.formats)]) + said)


_MOST_TRIED = 50  # shapes


def _odd_one(evidence: ColumnEvidence, seen: list[Seen]) -> str:
    """Why numbers of these shapes have no notation: the first value that is not written as those before it, beside the first of all."""
    shapes = [*evidence.numbers.shapes, *evidence.texts.shapes]
    for shape, value in zip(shapes, seen, strict=True):
        if not any(digit in shape for digit in "0０"):
            return no_type(value)
    tried = range(2, min(len(shapes), _MOST_TRIED))
    odd = next((place for place in tried if not readings(shapes[:place], zero_before=evidence.texts.marks)), len(shapes))
    return not_one_way(seen[0], seen[odd - 1])


_QUESTION = "no row decides: does the mark stand between thousands or before decimals?"


def _asked(seen: Sequence[Seen]) -> Seen:
    """The first value with a mark."""
    return next((each for each in seen if "," in each.text or "." in each.text), seen[0])


def _said_by_formats(formats: FormatEvidence) -> Iterator[str]:
    """What only the formats of the cells say: the numbers do not keep it."""
    if formats.elapsed is not None:
        yield in_days(formats.elapsed)
    if formats.zeros is not None:
        yield f"the zeros before, as in {formats.zeros}, are made by the format of the cells alone"
    if len(formats.units) > 1:
        yield different_units(formats.units)


def _is_open(found: tuple[Reading, ...]) -> bool:
    """Whether the values leave open what their mark means."""
    return len(found) > 1 or found[0].doubtful


def _answered(found: tuple[Reading, ...], answers: Answers) -> tuple[tuple[Reading, ...], str]:
    """
    The readings with the likeliest first where their mark may stand between thousands or before decimals, and why; none where that is a question.

    A decimal mark that another column proves is the one of all commas, and lets points be decimal ones. A point is decimal where nothing
    in the file speaks for thousands.
    """
    usual = found[0].notation.decimal == "." and not found[0].notation.thousands
    proved = answers.mark
    if usual:
        if proved == ".":
            return found, f"; the point parts decimals, {answers.marks['.']}"
        against = answers.marks.get(",") or answers.thousands or _has_no_decimals(found[0].notation.currency)
        return ((), f" {_capital(against)}") if against else (found, "; that the point parts no thousands is not proved by any of them")
    fitting = tuple(reading for reading in found if reading.notation.decimal == proved)
    return (fitting, f"; the {_MARKS[proved]} parts decimals, {answers.marks[proved]}") if proved and fitting else ((), "")


_MARKS = {".": "point", ",": "comma"}


def _has_no_decimals(currency: str) -> str:
    """That amounts of this currency have no decimals, or are written with a comma, so that points part thousands; "" for others."""
    mark = currency.strip()
    return f"amounts in {mark} seldom have three decimals" if mark in OF_POINTS_BETWEEN_THOUSANDS else ""


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


# ---------------------------------------------------------------- forms of dates


def _proof_of_day(counter_examples: dict[str, Seen], form: str) -> str:
    """The value that fits no form but those of this meaning, if there is one."""
    others = [each for each in sorted(counter_examples) if _order(each) != _order(form) and is_unpadded(each) == is_unpadded(form)]
    return f"; {counter_examples[others[0]]} shows which number is the day" if others else ""


_NAMES = {ColumnType.TIME: "time", ColumnType.TIMESTAMP: "moment", ColumnType.DATE: "date"}


def _plainest(form: str) -> tuple[bool, str]:
    """Forms with all their zeros come first."""
    return is_unpadded(form), form


def _mean_several(forms: Sequence[str]) -> bool:
    return len(set(map(_order, forms))) > 1


def _order(form: str) -> str:
    """What a form means: its directives without padding."""
    return form.replace("%-", "%")
