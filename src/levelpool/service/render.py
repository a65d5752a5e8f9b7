"""Pages from templates; the one door to Jinja."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from levelpool.service.static import StaticFiles
from levelpool.service.texts import Texts
from levelpool.service.words import bytes_in_words, number_in_words, percent_in_words, seconds_in_words
from levelpool.sheets.clean.option_fields import FIELDS, form_fields

TEMPLATES = Path(__file__).with_name("templates")
CELL_LENGTH = 200
"""Characters of one cell that a page shows; the API gives all of it."""


class Renderer:
    """Fills templates with the page's texts, addresses and numbers; everything is escaped."""

    def __init__(self, texts: Texts, static: StaticFiles) -> None:
        self.texts = texts
        self.static = static
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.globals.update(
            t=texts, static=static.url, correction={each.name: each for each in FIELDS}, correction_fields=form_fields
        )
        self._environment.filters.update(
            number=number_in_words, bytes=bytes_in_words, seconds=seconds_in_words, percent=percent_in_words, cell=cell, mark=mark
        )
        # All are compiled now: a broken template stops the start, and no request waits for a compiler.
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def page(self, template: str, values: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
        """The page *template* filled with *values*; a template that asks for a missing one raises."""
        return HTMLResponse(self._environment.get_template(template).render(values), status)


def mark(delimiter: str) -> str:
    """A delimiter as a person names it."""
    return {"\t": "tab", " ": "blank"}.get(delimiter, delimiter)


def cell(value: object) -> str:
    """One value of a dataset's row, shortened when it is very long."""
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= CELL_LENGTH else text[:CELL_LENGTH] + "…"
