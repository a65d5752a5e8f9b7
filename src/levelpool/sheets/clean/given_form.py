"""The form of dates that a person gave for a column: it holds where values are in it, and is refused where none is."""

from collections.abc import Iterator
from dataclasses import replace

from levelpool.sheets.clean.dates import date_parser, form_in_letters, type_of_form
from levelpool.sheets.clean.draft import Draft
from levelpool.sheets.clean.subsheets import batches_between
from levelpool.sheets.errors import OptionsRefused
from levelpool.sheets.table import TEXT, Column, Notation, Sheet
from levelpool.sheets.wording import all_of


def texts_of(sheet: Sheet, draft: Draft, place: int) -> Iterator[tuple[int, str]]:
    """The texts of one column among the data of a table, each with its row; it walks over the sheet once more."""
    aside = {each.row for each in draft.outside}
    blanks = draft.options.blanks
    for batch in batches_between(sheet, *draft.rows()):
        cells = batch.columns[place] if place < len(batch.columns) else None
        if cells is None or cells.is_blank:
            continue
        kinds = cells.each_kind()
        for row, text, kind in zip(batch.rows, cells.texts, kinds, strict=True):
            is_data = (draft.first_row or 0) <= row <= draft.last_row and row not in aside
            if is_data and kind == TEXT and text and not text.isspace() and text not in blanks:
                yield row, text


def in_given_form(column: Column, form: str, values: Iterator[tuple[int, str]]) -> Column:
    """The column in this form; values that are not in it are set aside when they are loaded. Raises `OptionsRefused` when none of *values* is in it."""
    parse = date_parser(form)
    count, others, other = 0, 0, ""
    for row, text in values:
        count += 1
        try:
            parse(text)
        except ValueError:
            others += 1
            other = other or f"{text!r} (row {row})"
    if not count:
        return column
    if others == count:
        raise OptionsRefused(
            f"no value of the column {column.header!r} is in the form {form} that was given: the first is {other}",
            option="date_form",
            value=form,
            allowed="a form that the values have",
        )
    shown = form_in_letters(form)
    rest = f"; {others} of them are not, the first of them {other}" if others else ""
    century = "; of a year of two digits, 69 to 99 are 1969 to 1999, and the others 2000 to 2068" if "%y" in form else ""
    why = f"{all_of(count, f'a value in the form {shown}', f'values in the form {shown}')}, as was said{rest}{century}"
    return replace(column, type=type_of_form(form), notation=Notation(date_form=form), why=why)
