"""The form of dates that a person gave for a column: it holds where values are in it, and is refused where none is."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from levelpool.sheets.clean.dates import date_parser, form_in_letters, has_only_digits, spellings, type_of_form
from levelpool.sheets.clean.draft import Draft
from levelpool.sheets.clean.subsheets import batches_between
from levelpool.sheets.clean.values import number_text_or_raw
from levelpool.sheets.errors import OptionsRefused
from levelpool.sheets.table import NUMBER, TEXT, Column, ColumnType, Kind, Notation, Sheet
from levelpool.sheets.wording import all_of

_DAYS_AND_TIMES = {ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIME}


def values_for(form: str, sheet: Sheet, draft: Draft, place: int) -> Iterator[tuple[int, str]]:
    """
    What may be in this form of one column among the data of a table, each with its row; it walks over the sheet once more.

    That is its texts; and its numbers, where the form has digits only: 20260423.
    """
    aside = {each.row for each in draft.outside}
    blanks = draft.options.blanks
    kinds = {TEXT, NUMBER} if has_only_digits(form) else {TEXT}
    for row, text, kind in _cells(sheet, draft, place):
        if kind in kinds and text and not text.isspace() and row not in aside and text not in blanks:
            yield row, number_text_or_raw(text) if kind == NUMBER else text


def _cells(sheet: Sheet, draft: Draft, place: int) -> Iterator[tuple[int, str | None, Kind | None]]:
    for batch in batches_between(sheet, *draft.rows()):
        cells = batch.columns[place] if place < len(batch.columns) else None
        if cells is None or cells.is_blank:
            continue
        for row, text, kind in zip(batch.rows, cells.texts, cells.each_kind(), strict=True):
            if (draft.first_row or 0) <= row <= draft.last_row:
                yield row, text, kind


def in_given_form(column: Column, form: str, values: Iterator[tuple[int, str]]) -> Column:
    """
    The column in this form, with leading zeros or without; values that are not in it are set aside when they are loaded.

    Raises `OptionsRefused` when none of *values* is in it.
    """
    forms = list(spellings(form))
    parse = date_parser(forms[-1])
    count, others, other = 0, 0, ""
    for row, text in values:
        count += 1
        if not _is_in(parse, text):
            others += 1
            other = other or f"{text!r} (row {row})"
        elif len(forms) > 1:
            forms = [each for each in forms[:-1] if _is_in(date_parser(each), text)] + forms[-1:]
    if not count:
        return _without_texts(column, form)
    if others == count:
        raise OptionsRefused(
            f"no value of the column {column.header!r} is in the form {form_in_letters(form)} ({form}) that was given: the first is {other}",
            option="date_form",
            value=form,
            allowed="a form that the values have",
        )
    form = forms[0]
    shown = form_in_letters(form)
    rest = f"; {others} of them are not, the first of them {other}" if others else ""
    century = "; of a year of two digits, 69 to 99 are 1969 to 1999, and the others 2000 to 2068" if "%y" in form else ""
    why = f"{all_of(count, f'a value in the form {shown}', f'values in the form {shown}')}, as was said{rest}{century}"
    return replace(column, type=type_of_form(form), notation=Notation(date_form=form), why=why)


def _is_in(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _without_texts(column: Column, form: str) -> Column:
    """The column as it was found, where nothing in it is a text: its cells are dates themselves, or there are none."""
    shown = form_in_letters(form)
    if column.type in _DAYS_AND_TIMES:
        return replace(column, why=f"{column.why}; they need no form, so {shown}, which was given, says nothing")
    if column.type is ColumnType.TEXT:
        return replace(column, why=f"{column.why}; no value has the form {shown} that was given")
    raise OptionsRefused(
        f"no value of the column {column.header!r} is in the form {shown} ({form}) that was given: its cells are no texts, but {column.why}",
        option="date_form",
        value=form,
        allowed="a form that the values have",
    )
