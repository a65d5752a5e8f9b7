"""
How a column gets its type: the evidence of all its cells, and the decision.

Evidence is gathered batch by batch and stays small: of a million numbers only their shapes are kept (see `numbers`).
A type is given only when every value reads back to its text; otherwise the column is TEXT and says which values decided.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from math import isinf

from levelpool.sheets.clean.dates import (
    are_in_form,
    date_parser,
    form_in_letters,
    forms_for,
    is_elapsed,
    iso_value,
    serial_family,
    serial_value,
    shown_text,
    width_of_zeros,
)
from levelpool.sheets.clean.numbers import (
    MOST_DIGITS,
    Reading,
    has_few_whole_digits,
    has_long_exponent,
    is_kept_by_double,
    is_number_cell,
    is_number_shape,
    plain_number,
    readings,
    shorten,
)
from levelpool.sheets.clean.shapes import Shapes, shape_of, shapes_of
from levelpool.sheets.clean.zeros import starts_with_zero, zeros_of
from levelpool.sheets.counts import all_of, counted
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Cells, Column, ColumnType, Kind, Notation

SAMPLES = 3
_SAMPLE = 200  # most characters of one
_DOUBLE_DIGITS = 15  # a double keeps this many digits of any number
LONGEST = 100  # characters that a number, date or boolean may have
SERIAL = "serial"
_SURELY_SERIAL = 2_950_000  # below the last day in both calendars
_BOOLEANS = {("true", "false"), ("TRUE", "FALSE"), ("True", "False")}


@dataclass(frozen=True, slots=True)
class Seen:
    """One value of the file and its row, to show in a sentence."""

    row: int
    text: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 40 else f"{self.text[:39]}…"
        return f"{shown!r} (row {self.row})"


@lru_cache(maxsize=4096)
def kind_class(kind: Kind | None) -> Kind | None:
    """The kind without its number format; a number that shows a date or time is "serial"."""
    if kind is None or kind in {TEXT, NUMBER, BOOLEAN, ERROR, DATE, NO_VALUE}:
        return kind
    return SERIAL if serial_family(kind) else NUMBER


class Evidence:
    """What the cells of one column have shown so far."""

    __slots__ = (
        "_almost_typed",
        "_booleans",
        "_clocks",
        "_could",
        "_days",
        "_elapsed",
        "_exponent",
        "_forms",
        "_impossible",
        "_impossible_count",
        "_killers",
        "_marks",
        "_numbers",
        "_serials",
        "_spoilers",
        "_stamps",
        "_texts",
        "_zeros",
        "date1904",
        "errors",
        "samples",
        "values",
    )

    def __init__(self, *, date1904: bool = False) -> None:
        self.date1904 = date1904
        self.values = 0  # cells that count: neither blank, nor empty text, nor error
        self.errors = 0
        self.samples: list[str] = []
        self._numbers: dict[str, Seen] = {}  # shapes of number cells
        self._serials: dict[str, Seen] = {}  # shapes of date serials
        self._texts: dict[str, Seen] = {}  # shapes of texts
        self._booleans: Seen | None = None
        self._days: Seen | None = None  # the first cell that is a day, ...
        self._stamps: Seen | None = None  # ... an instant, ...
        self._clocks: Seen | None = None  # ... a time of day
        self._impossible: Seen | None = None  # the first cell with a date format that is no date
        self._impossible_count = 0
        self._exponent = False
        self._elapsed: Seen | None = None  # the first number that shows a span of time
        self._zeros: Seen | None = None  # the first number that shows with zeros before it
        self._could = {"number", "date", "boolean"}  # what the texts may still be
        self._forms: set[str] | None = None
        self._killers: dict[str, Seen] = {}  # form -> the first value that is not in it
        self._marks: frozenset[str] = frozenset()  # marks that stand behind a lone zero somewhere
        self._almost_typed = False  # the values before the first that spoiled it were numbers, dates or booleans
        self._spoilers: list[str] = []

    @property
    def settled(self) -> bool:
        """Whether the column is TEXT whatever comes."""
        return bool(self._spoilers)

    @property
    def _asks_for_more(self) -> bool:
        """Whether a few more of the values that made a nearly typed column TEXT are looked for."""
        return self._almost_typed and len(self._spoilers) < SAMPLES

    @property
    def looks(self) -> str:
        """What all values so far look like: "number", "date", "boolean", "text", or "" when there is none."""
        if self.settled:
            return "text"
        if self._days or self._stamps or self._clocks or self._serials:
            return "date"
        if self._booleans:
            return "boolean"
        if self._numbers:
            return "number"
        return next((what for what in ("boolean", "number", "date") if what in self._could), "text") if self._texts else ""

    def add(self, rows: Sequence[int], cells: Cells) -> None:
        """Take in the cells of some rows."""
        if cells.kinds is None:
            only = kind_class(cells.kind)
            if only is None or (
                self.settled and len(self.samples) >= SAMPLES and only not in {ERROR, NO_VALUE} and not self._asks_for_more
            ):
                return
            self._take(only, _Some(rows, cells))
        else:
            for kind, some in _by_class(rows, cells.texts, cells.kinds).items():
                self._take(kind_class(kind) or kind, some)
        self._settle_mixture()

    def _take(self, kind: Kind, some: "_Some") -> None:
        """Take in cells of one class of kinds."""
        count = some.count
        if not count:
            return
        if kind in {ERROR, NO_VALUE}:
            self.errors += count
            return
        self.values += count
        if len(self.samples) < SAMPLES:
            self._sample(some)
        if self.settled and not (kind == TEXT and self._asks_for_more):
            return
        if kind == TEXT:
            self._add_texts(some)
        elif kind == NUMBER:
            self._add_numbers(some)
        elif kind == SERIAL:
            self._note(self._serials, some, some.shapes)
            self._weigh_serials(serial_family(some.kind), some)
        elif kind == DATE:
            self._add_dates(some)
        else:
            self._booleans = self._booleans or some.first()

    def _sample(self, some: "_Some") -> None:
        for value in some.firsts(50):
            shown = shown_text(value, some.kind, date1904=self.date1904)
            if shown not in self.samples:
                self.samples.append(shown if len(shown) <= _SAMPLE else f"{shown[: _SAMPLE - 1]}…")
            if len(self.samples) == SAMPLES:
                break

    # ------------------------------------------------------------ kinds of cells

    def _add_numbers(self, some: "_Some") -> None:
        shapes = some.shapes
        if self._elapsed is None and is_elapsed(some.kind):
            self._elapsed = some.first()
        if self._zeros is None and (width := width_of_zeros(some.kind)):
            self._zeros = next((Seen(row, text.zfill(width)) for row, text in some.pairs() if text.isdigit() and len(text) < width), None)
        if len(shapes.longest) > LONGEST:
            self._spoil(f"{some.seen(max(some.values, key=len))} has more digits than any number needs")
            return
        if not all(map(is_number_cell, shapes.distinct)):
            shapes = Shapes([plain_number(shape) for shape in shapes.each])
        # Beyond 15 digits the shortest decimal of a fraction may be another text than the file's. It is never longer, so it tells
        # nothing new where a text of the same shape was the shortest itself.
        long = {shape for shape in shapes.distinct if len(shape) > 16 and not (shape in self._numbers and has_few_whole_digits(shape))}
        if long:
            self._exponent = self._exponent or any("e" in shape.lower() for shape in long)
            pairs = zip(some.texts, shapes.each, strict=True)
            shapes = Shapes([shape_of(shorten(text)) if text and shape in long else shape for text, shape in pairs])
        self._note(self._numbers, some, shapes)

    def _weigh_serials(self, family: str, some: "_Some") -> None:
        found = None if family == "time" else _sure_days(some, family)
        if found is not None:
            first = self._shown(some.first(), some.kind)
            if found == "date":
                self._days = self._days or first
            else:
                self._stamps = self._stamps or first
            return
        distinct = dict.fromkeys(some.values)  # in their order: the first of them is shown
        impossible: dict[str, Seen] = {}
        for value in distinct:
            try:
                serial = float(value)
                if family == "time" and 0 <= serial < 1:
                    self._clocks = self._clocks or self._shown(some.seen(value), some.kind)
                    continue
                serial_value(value, date1904=self.date1904)
            except ValueError:
                impossible[value] = some.seen(value)
                continue
            if family == "date" and serial.is_integer():
                self._days = self._days or self._shown(some.seen(value), some.kind)
            else:
                self._stamps = self._stamps or self._shown(some.seen(value), some.kind)
        if impossible:
            self._impossible = self._impossible or min(impossible.values(), key=lambda seen: seen.row)
            self._impossible_count += sum(map(impossible.__contains__, some.values))

    def _shown(self, seen: Seen, kind: Kind) -> Seen:
        """As a person sees it: nobody knows a day by its serial."""
        return replace(seen, text=shown_text(seen.text, kind, date1904=self.date1904))

    def _add_dates(self, some: "_Some") -> None:
        for shape, place in some.shapes.new(()):
            value = some.texts[place] or ""
            try:
                iso_value(value)
            except ValueError:
                continue  # a cell of its own, for quarantine
            seen = some.seen(value)
            if "T" in shape or " " in shape:
                self._stamps = self._stamps or seen
            elif ":" in shape:
                self._clocks = self._clocks or seen
            else:
                self._days = self._days or seen

    def _note(self, known: dict[str, Seen], some: "_Some", shapes: Shapes) -> None:
        """Remember the first value of each new shape of number cells; what is no number is left to quarantine."""
        for shape, place in shapes.new(known.keys()):
            if is_number_cell(shape):
                value = some.texts[place] or ""
                exponent = "e" in shape.lower()
                if exponent and isinf(float(value)):
                    continue
                self._exponent = self._exponent or exponent
                known[shape] = some.seen(value)

    def _add_texts(self, some: "_Some") -> None:
        if some.joined is None:
            plain = self._without_odd_texts(some)
            if plain is None:
                return
            some = plain
        longest = some.shapes.longest
        if len(longest) > LONGEST and longest.strip():
            self._spoil(f"{some.seen(max(some.values, key=len))} is no number, no date, and not true or false")
            return
        for shape, place in some.shapes.new(self._texts.keys()):
            if shape.strip():
                self._add_shape(shape, some.seen(some.texts[place] or ""))
        if not self.settled and "number" in self._could:
            self._check_zeros(some)
        if not self.settled and "date" in self._could:
            self._check_forms(some)

    def _without_odd_texts(self, some: "_Some") -> "_Some | None":
        """The texts of one line that are not empty; None when another one has made the column TEXT, or when nothing else is there."""
        longest = max(some.values, key=len)
        if len(longest) > LONGEST and longest.strip():
            self._spoil(f"{some.seen(longest)} is no number, no date, and not true or false")
            return None
        broken = next((value for value in some.values if "\n" in value and value.strip()), None)
        if broken is not None:
            self._spoil(f"{some.seen(broken)} is a text of several lines")
            return None
        plain = _Some(some.rows, Cells([text if text and text.strip() else None for text in some.texts], kind=TEXT))
        return plain if plain.values else None

    def _add_shape(self, shape: str, seen: Seen) -> None:
        earlier = next(iter(self._texts.values()), None)
        self._texts[shape] = seen
        forms = set(forms_for(shape))
        if self.settled:
            # Where all else is typed, a person wants to see each value that is not, not the first alone.
            if self._almost_typed and not (forms or is_number_shape(shape)):
                self._spoil(f"{seen} is no number, no date, and not true or false")
            return
        can = {"boolean"} if shape.lower() in {"true", "false"} else set()
        can |= {"number"} if is_number_shape(shape) else set()
        self._forms = forms if self._forms is None else self._forms & forms
        can |= {"date"} if self._forms else set()
        if not self._could & can:
            self._almost_typed = bool(earlier or self._numbers or self._serials or self._days or self._booleans)
            if earlier is None or not (can or forms):
                self._spoil(f"{seen} is no number, no date, and not true or false{_cut_short([seen])}")
            else:
                self._spoil(_not_one_way(earlier, seen))
        self._could &= can

    def _check_zeros(self, some: "_Some") -> None:
        if any(map(has_long_exponent, some.shapes.distinct)):
            lost = next((value for value in some.values if not is_kept_by_double(value)), None)
            if lost is not None:
                self._rule_out("number", f"{some.seen(lost)} is too large or too small for a number with an exponent")
        zeros = zeros_of(some.joined or "", some.shapes.distinct)
        if zeros.lost is not None:
            self._rule_out("number", f"{some.seen(zeros.lost)} {zeros.why}")
        self._marks |= zeros.marks

    def _check_forms(self, some: "_Some") -> None:
        distinct = [value for value in dict.fromkeys(some.values) if value.strip()]
        for form in sorted(self._forms or ()):
            killer = _first_not_in(form, distinct)
            if killer is not None and self._forms is not None:
                self._forms.discard(form)
                self._killers[form] = some.seen(killer)
        if not self._forms:
            seen = max(self._killers.values(), key=lambda each: each.row, default=None)
            self._rule_out("date", f"{seen} is no day or time in the form of the others" if seen else "no form of a date fits all values")

    def _rule_out(self, what: str, why: str) -> None:
        self._could.discard(what)
        if not self._could:
            self._spoil(why)

    def _spoil(self, why: str) -> None:
        if len(self._spoilers) < SAMPLES:
            self._spoilers.append(why)

    def _settle_mixture(self) -> None:
        """Numbers, dates and booleans do not mix; texts mix with numbers and booleans when they are written the same way."""
        if self.settled:
            return
        firsts = {
            "a number": next(iter(self._numbers.values()), None),
            "a date": self._days or self._stamps or self._impossible,
            "a time": self._clocks,
            "true or false": self._booleans,
        }
        kinds = {name: seen for name, seen in firsts.items() if seen}
        text = next(iter(self._texts.values()), None)
        if len(kinds) > 1:
            self._spoil(" and ".join(f"{seen} is {name}" for name, seen in list(kinds.items())[:2]))
        elif kinds and text:
            name, seen = next(iter(kinds.items()))
            needed = {"a number": "number", "true or false": "boolean"}.get(name)
            if needed not in self._could:
                self._spoil(f"{seen} is {name} and {text} is a text")

    # ------------------------------------------------------------ the decision

    def decide(
        self,
        *,
        name: str,
        header: str,
        position: int,
        comma_elsewhere: bool = False,
        date_form: str | None = None,
        decimal: str | None = None,
        day_first: bool | None = None,
    ) -> Column:
        """
        The column, with its type and the reason.

        *date_form*, *decimal* and *day_first* answer the questions that the values leave open.

        *comma_elsewhere* says that another column of the table proves a decimal comma: then "1.234" throughout is a question, too.
        """
        verdict = self._verdict(comma_elsewhere=comma_elsewhere, date_form=date_form, decimal=decimal, day_first=day_first)
        return Column(
            name=name,
            header=header,
            position=position,
            type=verdict.type,
            notation=verdict.notation,
            why=verdict.why,
            samples=tuple(self.samples),
            digits=verdict.digits,
            scale=verdict.scale,
        )

    def proves_comma(self) -> bool:
        """Whether this column can only be read with a decimal comma, or with points between thousands."""
        found = self._number_readings()
        return bool(found) and all(reading.notation.decimal == "," or reading.notation.thousands == "." for reading in found)

    def _verdict(self, *, comma_elsewhere: bool, date_form: str | None, decimal: str | None, day_first: bool | None) -> "_Verdict":
        if self.settled:
            return _text("; ".join(self._spoilers))
        if not self.values or not (
            self._numbers or self._serials or self._texts or self._days or self._stamps or self._clocks or self._booleans
        ):
            return _text("no cell has a value" if not self.errors else "no cell has a value but errors such as #N/A")
        if self._days or self._stamps or self._clocks or self._serials:
            return self._decide_dates()
        if self._booleans or ("boolean" in self._could and not self._numbers):
            return self._decide_booleans()
        if "number" in self._could or not self._texts:
            verdict = self._decide_numbers(comma_elsewhere=comma_elsewhere, decimal=decimal)
            if verdict.type is not ColumnType.TEXT or "date" not in self._could or not self._texts:
                return verdict
        return self._decide_date_texts(date_form, day_first)

    def _decide_dates(self) -> "_Verdict":
        if self._serials and self._impossible_count * 2 > self.values:
            found = readings(self._serials)
            if not found:
                return _text(f"{self._impossible} has a date format but is no date")
            verdict = _number_verdict(found, self._serials.values(), self.values, exponent=self._exponent)
            return replace(verdict, why=f"{self._impossible} has a date format but is no date; {verdict.why}")
        notation = Notation(date_form=SERIAL if self._serials else "", date1904=self.date1904)
        if self._stamps:
            return _Verdict(
                ColumnType.TIMESTAMP, all_of(self.values, "a cell with a date and a time", "cells with a date and a time"), notation
            )
        if self._days:
            return _Verdict(ColumnType.DATE, all_of(self.values, "a date cell", "date cells"), notation)
        return _Verdict(ColumnType.TIME, all_of(self.values, "a cell with a time of day", "cells with a time of day"), notation)

    def _decide_booleans(self) -> "_Verdict":
        words = self._texts.keys()
        for true, false in sorted(_BOOLEANS, reverse=True):
            if words <= {true, false}:
                return _Verdict(
                    ColumnType.BOOLEAN, all_of(self.values, f"{true} or {false}", f"{true} or {false}"), Notation(booleans=(true, false))
                )
        first, second = list(self._texts.values())[:2]
        return _text(f"{first} and {second} are not written in one and the same way")

    def _number_readings(self) -> tuple[Reading, ...]:
        if self.settled or self._serials or not (self._numbers or self._texts) or ("number" not in self._could and self._texts):
            return ()
        found = readings([*self._numbers, *self._texts], zero_before=self._marks)
        if self._numbers:  # number cells have no notation: texts beside them must be as plain
            return tuple(reading for reading in found if is_plain(reading.notation))
        return found

    def _decide_numbers(self, *, comma_elsewhere: bool, decimal: str | None) -> "_Verdict":
        found = self._number_readings()
        if decimal is not None:
            found = tuple(reading for reading in found if reading.notation.decimal == decimal or reading.whole)[:1] or found
        seen = [*self._numbers.values(), *self._texts.values()]
        if not found:
            return _text(_not_one_way(seen[0], seen[-1]))
        if len(found) > 1 and (found[0].notation.decimal != "." or found[0].notation.thousands or comma_elsewhere):
            asked = next((each for each in seen if "," in each.text or "." in each.text), seen[0])
            return _text(f"{asked} can be two numbers; no row decides: does the mark stand between thousands or before decimals?")
        verdict = _number_verdict(found, seen, self.values, exponent=self._exponent, texts=self._texts)
        if self._elapsed is not None:
            return replace(verdict, why=f"{verdict.why}; {_in_days(self._elapsed)}")
        if self._zeros is not None:
            return replace(verdict, why=f"{verdict.why}; the zeros before, as in {self._zeros}, are made by the format of the cells alone")
        return verdict

    def _decide_date_texts(self, date_form: str | None, day_first: bool | None) -> "_Verdict":
        forms = (
            [date_form]
            if date_form and date_form in (self._forms or ())
            else sorted(self._forms or (), key=lambda form: ("%-" in form, form))
        )
        meanings = {_order(form) for form in forms}
        said = ""
        if len(meanings) > 1 and day_first is not None:
            forms = [form for form in forms if (form.index("d") < form.index("m")) == day_first]
            meanings = {_order(form) for form in forms}
            said = f"; the {'day' if day_first else 'month'} comes first, as was said"
        first = next(iter(self._texts.values()))
        if len(meanings) > 1:
            return _text(f"{first} can be two dates; no row decides: does the day or the month come first?")
        form = forms[0]
        if "%Y" not in form:
            kind, one = ColumnType.TIME, "time"
        else:
            kind, one = (ColumnType.TIMESTAMP, "moment") if "%M" in form else (ColumnType.DATE, "date")
        killer = next(
            (
                self._killers[other]
                for other in sorted(self._killers)
                if _order(other) != _order(form) and ("%-" in other) == ("%-" in form)
            ),
            None,
        )
        proof = f"; {killer} shows which number is the day" if killer else ""
        shown = form_in_letters(form)
        why = all_of(self.values, f"a {one} in the form {shown}", f"{one}s in the form {shown}")
        return _Verdict(kind, f"{why}{proof}{said}", Notation(date_form=form))


_PLAIN = Notation()


@dataclass(frozen=True, slots=True)
class _Verdict:
    type: ColumnType
    why: str
    notation: Notation = _PLAIN
    digits: int = 0
    scale: int = 0


def _text(why: str) -> _Verdict:
    return _Verdict(ColumnType.TEXT, why)


def _number_verdict(found: tuple[Reading, ...], seen: Iterable[Seen], count: int, *, exponent: bool, texts: Iterable[str] = ()) -> _Verdict:
    reading = found[0]
    exponent = exponent or reading.exponent
    if reading.whole_digits > MOST_DIGITS:
        longest = max(seen, key=lambda each: len(each.text))
        return _text(f"{longest} has more than {MOST_DIGITS} digits: it names something and counts nothing")
    too_long = reading.whole_digits if not any(texts) else reading.digits
    if exponent and too_long > _DOUBLE_DIGITS:
        longest = max(seen, key=lambda each: len(each.text))
        return _text(f"{longest} has more digits than a number with an exponent can keep")
    notation = _in_words(reading.notation)
    if exponent:
        cut = _cut_short(seen)
        return _Verdict(
            ColumnType.DOUBLE,
            f"{all_of(count, 'a number', 'numbers')}, written with an exponent{'' if count == 1 else ' at least once'}{cut}",
            reading.notation,
        )
    if reading.whole and not reading.notation.percent:
        return _Verdict(
            ColumnType.BIGINT,
            f"{all_of(count, 'a whole number of', 'whole numbers of at most')} {counted(reading.whole_digits, 'digit')}{notation}",
            reading.notation,
        )
    scale = reading.scale + (2 if reading.notation.percent else 0)
    return _Verdict(
        ColumnType.NUMERIC,
        f"{all_of(count, 'a number with', 'numbers with at most')} {counted(reading.scale, 'decimal')}{notation}",
        reading.notation,
        digits=max(reading.digits, scale),
        scale=scale,
    )


_CUT_SHORT = re.compile(r"[1-9][.,][0-9]{2,}E\+(0[6-9]|[1-9][0-9])")


_SHORT_YEAR = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2}", re.ASCII)


def _not_one_way(first: Seen, other: Seen) -> str:
    """Why two values, or one alone, have no notation."""
    if _SHORT_YEAR.fullmatch(first.text):
        return f"{first} gives a year of two digits: the century is not said"
    if first == other:
        return f"{first} is no number, no date, and not true or false"
    return f"{first} and {other} are not written in one and the same way"


def _cut_short(seen: Iterable[Seen]) -> str:
    """What spreadsheets do to long codes in text files: 4006381333931 is shown, and then saved, as 4.00638E+12."""
    found = next((each for each in seen if (match := _CUT_SHORT.fullmatch(each.text)) and int(match[1]) > len(each.text) - 6), None)
    if found is None:
        return ""
    return f"; {found} is rounded: if it is a code, its last digits are lost in the file, and the column must be text where it is exported"


def _in_days(elapsed: Seen) -> str:
    """What a span of time is in a workbook."""
    hours, seconds = divmod(round(float(elapsed.text) * 86_400), 3600)
    shown = f"{hours}:{seconds // 60:02d}:{seconds % 60:02d}"
    return f"they are spans of time in days, as the workbook keeps them: {elapsed} shows as {shown}"


def _in_words(notation: Notation) -> str:
    words = []
    if notation.decimal != ".":
        words.append("a decimal comma")
    if notation.thousands:
        words.append(f"{notation.thousands!r} between thousands")
    if notation.currency:
        words.append(f"the mark {notation.currency.strip()}")
    if notation.percent:
        words.append("a percent sign")
    if notation.parentheses:
        words.append("parentheses for negatives")
    if notation.minus == "after":
        words.append("the minus, or a blank in its place, behind" if notation.sign_gap else "the minus behind")
    if notation.full_width:
        words.append("full-width digits")
    if notation.width:
        words.append(f"blanks {'behind' if notation.blanks_after else 'before'} that make it {notation.width} characters")
    return f", written with {', '.join(words)}" if words else ""


def is_plain(notation: Notation) -> bool:
    """Whether numbers stand without any mark but a minus and a decimal point."""
    return notation == _PLAIN


def _order(form: str) -> str:
    """What a form means: its directives without padding."""
    return form.replace("%-", "%")


class _Some:
    """The cells of one kind in one column of a batch; empty texts do not count."""

    __slots__ = ("_cells", "_shapes", "_values", "joined", "kind", "rows")

    def __init__(self, rows: Sequence[int], cells: Cells) -> None:
        self.rows = rows
        self.kind = cells.kind or ""
        self.joined = cells.joined  # see `Cells`
        self._cells = cells
        self._values: list[str] | None = None
        self._shapes: Shapes | None = None

    @property
    def texts(self) -> Sequence[str | None]:
        """The text of each row, None for a blank one."""
        return self._cells.texts

    @property
    def values(self) -> list[str]:
        """The texts that are not empty."""
        if self._values is None:
            self._values = list(filter(None, self._cells.texts))
        return self._values

    @property
    def count(self) -> int:
        """How many values there are."""
        return self._cells.count() if self.joined is not None else len(self.values)

    @property
    def shapes(self) -> Shapes:
        """The shapes of `texts`."""
        if self._shapes is None:
            self._shapes = Shapes.of(self.texts) if self.joined is None else Shapes(shapes_of(self.joined))
        return self._shapes

    def firsts(self, count: int) -> Iterator[str]:
        """The first values; each is looked for when it is asked for."""
        joined = self.joined
        return islice(self.values if joined is None else (line[0] for line in _LINE.finditer(joined)), count)

    def first(self) -> Seen:
        """The first value and its row."""
        return self.seen(next(self.firsts(1)))

    def pairs(self) -> Iterable[tuple[int, str]]:
        """The rows that have a value, with it."""
        return ((row, text) for row, text in zip(self.rows, self.texts, strict=True) if text)

    def seen(self, value: str) -> Seen:
        """The value and the first row that has it."""
        return Seen(self.rows[self.texts.index(value)], value)


_LINE = re.compile(r"[^\n]+")
_DAY_SHAPE = re.compile(r"0{5}(?:\.0+)?")


def _sure_days(some: _Some, family: str) -> str | None:
    """What serials of a family that has a day are, "date" or "timestamp", when all of them are surely in the calendar."""
    joined = some.joined
    shapes = some.shapes.distinct
    if (
        joined is not None
        and (family == "timestamp" or not any("." in shape for shape in shapes))
        and all(map(_DAY_SHAPE.fullmatch, shapes))
        and starts_with_zero(joined) is None
    ):
        return family  # five digits before the point, the first of which is no zero
    serials = _floats(set(some.values))
    if not serials or min(serials) <= 61 or max(serials) >= _SURELY_SERIAL:
        return None
    return "date" if family == "date" and all(map(float.is_integer, serials)) else "timestamp"


def _by_class(rows: Sequence[int], texts: Sequence[str | None], kinds: Sequence[Kind | None]) -> dict[Kind, _Some]:
    """The cells by class of kind, in the order of their first appearance; date serials by kind, because each shows something else."""
    classes = {kind: kind if kind_class(kind) == SERIAL else kind_class(kind) for kind in dict.fromkeys(kinds)}
    groups: dict[Kind, _Some] = {}
    for wanted in dict.fromkeys(classes.values()):
        if wanted is not None:
            found = [text if classes[kind] == wanted else None for text, kind in zip(texts, kinds, strict=True)]
            groups[wanted] = _Some(rows, Cells(found, kind=wanted))
    return groups


def _floats(texts: Iterable[str]) -> list[float]:
    try:
        return list(map(float, texts))
    except ValueError:
        return []


def _first_not_in(form: str, values: Sequence[str]) -> str | None:
    """The first value that is not in this form, if there is one; days and times are checked apart, because they repeat."""
    mark = next((mark for mark in ("T", " ") if f"{mark}%H" in form or f"{mark}%-H" in form), None)
    if mark is None or "%b" in form or "%B" in form:
        return _refused(form, {value: value for value in values})
    day, clock = form.split(mark, 1)
    parts = [value.partition(mark) for value in values]
    if are_in_form(clock, {part[2] for part in parts}) and are_in_form(day, {part[0] for part in parts}):
        return None
    found = _refused(day, {value.partition(mark)[0]: value for value in values})
    return found if found is not None else _refused(clock, {value.partition(mark)[2]: value for value in values})


def _refused(form: str, parts: dict[str, str]) -> str | None:
    if are_in_form(form, parts):
        return None
    parse = date_parser(form)
    for part, value in parts.items():
        try:
            parse(part)
        except ValueError:
            return value
    return None
