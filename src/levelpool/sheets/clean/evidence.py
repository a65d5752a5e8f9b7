"""
How a column gets its type: the evidence of all its cells, and the decision.

Evidence is taken in batch by batch and stays small: of a million numbers only their shapes are kept (see `shapes`).
A type is given only when every value reads back to its text; otherwise the column is TEXT and says which values decided.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isinf

from levelpool.sheets.clean.cell_group import SERIAL, CellGroup, Seen, by_class, kind_class, sure_days
from levelpool.sheets.clean.dates import (
    first_not_in,
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
from levelpool.sheets.clean.shapes import Shapes, shape_of
from levelpool.sheets.clean.verdicts import Verdict, cut_short, in_days, is_plain, not_one_way, number_verdict, text_verdict
from levelpool.sheets.clean.zeros import zeros_of
from levelpool.sheets.table import DATE, ERROR, NO_VALUE, NUMBER, TEXT, Cells, Column, ColumnType, Kind, Notation
from levelpool.sheets.wording import all_of

SAMPLES = 3
_SAMPLE = 200  # most characters of one
LONGEST = 100  # characters that a number, date or boolean may have
_BOOLEANS = {("true", "false"), ("TRUE", "FALSE"), ("True", "False")}


class ColumnEvidence:
    """What the cells of one column have shown so far."""

    __slots__ = (
        "_almost_typed",
        "_booleans",
        "_clocks",
        "_could",
        "_counter_examples",
        "_days",
        "_elapsed",
        "_exponent",
        "_forms",
        "_impossible",
        "_impossible_count",
        "_marks",
        "_numbers",
        "_refutations",
        "_serials",
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
        self._counter_examples: dict[str, Seen] = {}  # form -> the first value that is not in it
        self._marks: frozenset[str] = frozenset()  # marks that stand behind a lone zero somewhere
        self._almost_typed = False  # the values before the first that refuted it were numbers, dates or booleans
        self._refutations: list[str] = []

    @property
    def is_text(self) -> bool:
        """Whether the column is TEXT whatever comes."""
        return bool(self._refutations)

    @property
    def _asks_for_more(self) -> bool:
        """Whether a few more of the values that made a nearly typed column TEXT are looked for."""
        return self._almost_typed and len(self._refutations) < SAMPLES

    @property
    def looks(self) -> str:
        """What all values so far look like: "number", "date", "boolean", "text", or "" when there is none."""
        if self.is_text:
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
                self.is_text and len(self.samples) >= SAMPLES and only not in {ERROR, NO_VALUE} and not self._asks_for_more
            ):
                return
            self._take(only, CellGroup(rows, cells))
        else:
            for kind, some in by_class(rows, cells.texts, cells.kinds).items():
                self._take(kind_class(kind) or kind, some)
        self._check_mixture()

    def _take(self, kind: Kind, some: CellGroup) -> None:
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
        if self.is_text and not (kind == TEXT and self._asks_for_more):
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

    def _sample(self, some: CellGroup) -> None:
        for value in some.firsts(50):
            shown = shown_text(value, some.kind, date1904=self.date1904)
            if shown not in self.samples:
                self.samples.append(shown if len(shown) <= _SAMPLE else f"{shown[: _SAMPLE - 1]}…")
            if len(self.samples) == SAMPLES:
                break

    # ------------------------------------------------------------ kinds of cells

    def _add_numbers(self, some: CellGroup) -> None:
        shapes = some.shapes
        if self._elapsed is None and is_elapsed(some.kind):
            self._elapsed = some.first()
        if self._zeros is None and (width := width_of_zeros(some.kind)):
            self._zeros = next((Seen(row, text.zfill(width)) for row, text in some.pairs() if text.isdigit() and len(text) < width), None)
        if len(shapes.longest) > LONGEST:
            self._refute(f"{some.seen(max(some.values, key=len))} has more digits than any number needs")
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

    def _weigh_serials(self, family: str, some: CellGroup) -> None:
        found = None if family == "time" else sure_days(some, family)
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

    def _add_dates(self, some: CellGroup) -> None:
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

    def _note(self, known: dict[str, Seen], some: CellGroup, shapes: Shapes) -> None:
        """Remember the first value of each new shape of number cells; what is no number is left to quarantine."""
        for shape, place in shapes.new(known.keys()):
            if is_number_cell(shape):
                value = some.texts[place] or ""
                exponent = "e" in shape.lower()
                if exponent and isinf(float(value)):
                    continue
                self._exponent = self._exponent or exponent
                known[shape] = some.seen(value)

    def _add_texts(self, some: CellGroup) -> None:
        if some.joined is None:
            plain = self._without_odd_texts(some)
            if plain is None:
                return
            some = plain
        longest = some.shapes.longest
        if len(longest) > LONGEST and longest.strip():
            self._refute(f"{some.seen(max(some.values, key=len))} is no number, no date, and not true or false")
            return
        for shape, place in some.shapes.new(self._texts.keys()):
            if shape.strip():
                self._add_shape(shape, some.seen(some.texts[place] or ""))
        if not self.is_text and "number" in self._could:
            self._check_zeros(some)
        if not self.is_text and "date" in self._could:
            self._check_forms(some)

    def _without_odd_texts(self, some: CellGroup) -> CellGroup | None:
        """The texts of one line that are not empty; None when another one has made the column TEXT, or when nothing else is there."""
        longest = max(some.values, key=len)
        if len(longest) > LONGEST and longest.strip():
            self._refute(f"{some.seen(longest)} is no number, no date, and not true or false")
            return None
        broken = next((value for value in some.values if "\n" in value and value.strip()), None)
        if broken is not None:
            self._refute(f"{some.seen(broken)} is a text of several lines")
            return None
        plain = CellGroup(some.rows, Cells([text if text and text.strip() else None for text in some.texts], kind=TEXT))
        return plain if plain.values else None

    def _add_shape(self, shape: str, seen: Seen) -> None:
        earlier = next(iter(self._texts.values()), None)
        self._texts[shape] = seen
        forms = set(forms_for(shape))
        if self.is_text:
            # Where all else is typed, a person wants to see each value that is not, not the first alone.
            if self._almost_typed and not (forms or is_number_shape(shape)):
                self._refute(f"{seen} is no number, no date, and not true or false")
            return
        can = {"boolean"} if shape.lower() in {"true", "false"} else set()
        can |= {"number"} if is_number_shape(shape) else set()
        self._forms = forms if self._forms is None else self._forms & forms
        can |= {"date"} if self._forms else set()
        if not self._could & can:
            self._almost_typed = bool(earlier or self._numbers or self._serials or self._days or self._booleans)
            if earlier is None or not (can or forms):
                self._refute(f"{seen} is no number, no date, and not true or false{cut_short([seen])}")
            else:
                self._refute(not_one_way(earlier, seen))
        self._could &= can

    def _check_zeros(self, some: CellGroup) -> None:
        if any(map(has_long_exponent, some.shapes.distinct)):
            lost = next((value for value in some.values if not is_kept_by_double(value)), None)
            if lost is not None:
                self._rule_out("number", f"{some.seen(lost)} is too large or too small for a number with an exponent")
        zeros = zeros_of(some.joined or "", some.shapes.distinct)
        if zeros.lost is not None:
            self._rule_out("number", f"{some.seen(zeros.lost)} {zeros.why}")
        self._marks |= zeros.marks

    def _check_forms(self, some: CellGroup) -> None:
        distinct = [value for value in dict.fromkeys(some.values) if value.strip()]
        for form in sorted(self._forms or ()):
            counter_example = first_not_in(form, distinct)
            if counter_example is not None and self._forms is not None:
                self._forms.discard(form)
                self._counter_examples[form] = some.seen(counter_example)
        if not self._forms:
            seen = max(self._counter_examples.values(), key=lambda each: each.row, default=None)
            self._rule_out("date", f"{seen} is no day or time in the form of the others" if seen else "no form of a date fits all values")

    def _rule_out(self, what: str, why: str) -> None:
        self._could.discard(what)
        if not self._could:
            self._refute(why)

    def _refute(self, why: str) -> None:
        if len(self._refutations) < SAMPLES:
            self._refutations.append(why)

    def _check_mixture(self) -> None:
        """Numbers, dates and booleans do not mix; texts mix with numbers and booleans when they are written the same way."""
        if self.is_text:
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
            self._refute(" and ".join(f"{seen} is {name}" for name, seen in list(kinds.items())[:2]))
        elif kinds and text:
            name, seen = next(iter(kinds.items()))
            needed = {"a number": "number", "true or false": "boolean"}.get(name)
            if needed not in self._could:
                self._refute(f"{seen} is {name} and {text} is a text")

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
        return bool(found) and all(
            (reading.notation.decimal == "," and not reading.doubtful) or reading.notation.thousands == "." for reading in found
        )

    def _verdict(self, *, comma_elsewhere: bool, date_form: str | None, decimal: str | None, day_first: bool | None) -> Verdict:
        if self.is_text:
            return text_verdict("; ".join(self._refutations))
        if not self.values or not (
            self._numbers or self._serials or self._texts or self._days or self._stamps or self._clocks or self._booleans
        ):
            return text_verdict("no cell has a value" if not self.errors else "no cell has a value but errors such as #N/A")
        if self._days or self._stamps or self._clocks or self._serials:
            return self._decide_dates()
        if self._booleans or ("boolean" in self._could and not self._numbers):
            return self._decide_booleans()
        if "number" in self._could or not self._texts:
            verdict = self._decide_numbers(comma_elsewhere=comma_elsewhere, decimal=decimal)
            if verdict.type is not ColumnType.TEXT or "date" not in self._could or not self._texts:
                return verdict
        return self._decide_date_texts(date_form, day_first)

    def _decide_dates(self) -> Verdict:
        if self._serials and self._impossible_count * 2 > self.values:
            found = readings(self._serials)
            if not found:
                return text_verdict(f"{self._impossible} has a date format but is no date")
            verdict = number_verdict(found, self._serials.values(), self.values, exponent=self._exponent)
            return replace(verdict, why=f"{self._impossible} has a date format but is no date; {verdict.why}")
        notation = Notation(date_form=SERIAL if self._serials else "", date1904=self.date1904)
        if self._stamps:
            return Verdict(
                ColumnType.TIMESTAMP, all_of(self.values, "a cell with a date and a time", "cells with a date and a time"), notation
            )
        if self._days:
            return Verdict(ColumnType.DATE, all_of(self.values, "a date cell", "date cells"), notation)
        return Verdict(ColumnType.TIME, all_of(self.values, "a cell with a time of day", "cells with a time of day"), notation)

    def _decide_booleans(self) -> Verdict:
        words = self._texts.keys()
        for true, false in sorted(_BOOLEANS, reverse=True):
            if words <= {true, false}:
                return Verdict(
                    ColumnType.BOOLEAN, all_of(self.values, f"{true} or {false}", f"{true} or {false}"), Notation(booleans=(true, false))
                )
        first, second = list(self._texts.values())[:2]
        return text_verdict(f"{first} and {second} are not written in one and the same way")

    def _number_readings(self) -> tuple[Reading, ...]:
        if self.is_text or self._serials or not (self._numbers or self._texts) or ("number" not in self._could and self._texts):
            return ()
        found = readings([*self._numbers, *self._texts], zero_before=self._marks)
        if self._numbers:  # number cells have no notation: texts beside them must be as plain
            return tuple(reading for reading in found if is_plain(reading.notation))
        return found

    def _decide_numbers(self, *, comma_elsewhere: bool, decimal: str | None) -> Verdict:
        found = self._number_readings()
        if decimal is not None:
            found = tuple(reading for reading in found if reading.notation.decimal == decimal or reading.whole)[:1] or found
        seen = [*self._numbers.values(), *self._texts.values()]
        if not found:
            return text_verdict(not_one_way(seen[0], seen[-1]))
        if _is_a_question(found, said=decimal is not None, comma_elsewhere=comma_elsewhere):
            asked = next((each for each in seen if "," in each.text or "." in each.text), seen[0])
            return text_verdict(f"{asked} can be two numbers; no row decides: does the mark stand between thousands or before decimals?")
        verdict = number_verdict(found, seen, self.values, exponent=self._exponent, texts=self._texts)
        if self._elapsed is not None:
            return replace(verdict, why=f"{verdict.why}; {in_days(self._elapsed)}")
        if self._zeros is not None:
            return replace(verdict, why=f"{verdict.why}; the zeros before, as in {self._zeros}, are made by the format of the cells alone")
        return verdict

    def _decide_date_texts(self, date_form: str | None, day_first: bool | None) -> Verdict:
        forms = [date_form] if date_form and date_form in (self._forms or ()) else sorted(self._forms or (), key=_plainest)
        said = ""
        if _mean_several(forms) and day_first is not None:
            forms = [form for form in forms if (form.index("d") < form.index("m")) == day_first]
            said = f"; the {'day' if day_first else 'month'} comes first, as was said"
        if _mean_several(forms):
            first = next(iter(self._texts.values()))
            return text_verdict(f"{first} can be two dates; no row decides: does the day or the month come first?")
        form = forms[0]
        kind, one = _named(form)
        shown = form_in_letters(form)
        why = all_of(self.values, f"a {one} in the form {shown}", f"{one}s in the form {shown}")
        return Verdict(kind, f"{why}{self._proof_of_day(form)}{said}", Notation(date_form=form))

    def _proof_of_day(self, form: str) -> str:
        """The value that fits no form but those of this meaning, if there is one."""
        others = [each for each in sorted(self._counter_examples) if _order(each) != _order(form) and ("%-" in each) == ("%-" in form)]
        return f"; {self._counter_examples[others[0]]} shows which number is the day" if others else ""


def _named(form: str) -> tuple[ColumnType, str]:
    """What texts of this form are."""
    if "%Y" not in form:
        return ColumnType.TIME, "time"
    return (ColumnType.TIMESTAMP, "moment") if "%M" in form else (ColumnType.DATE, "date")


def _plainest(form: str) -> tuple[bool, str]:
    """Forms with all their zeros come first."""
    return "%-" in form, form


def _is_a_question(found: tuple[Reading, ...], *, said: bool, comma_elsewhere: bool) -> bool:
    """Whether the mark may stand between thousands or before decimals: a point is taken for a decimal one where no column has a comma for it."""
    usual = found[0].notation.decimal == "." and not found[0].notation.thousands
    if len(found) > 1:
        return not usual or comma_elsewhere
    return found[0].doubtful and not said and usual == comma_elsewhere


def _mean_several(forms: Sequence[str]) -> bool:
    return len(set(map(_order, forms))) > 1


def _order(form: str) -> str:
    """What a form means: its directives without padding."""
    return form.replace("%-", "%")
