"""
How a column gets its type: the evidence of all its cells, and the decision.

Evidence is gathered batch by batch and stays small: of a million numbers only their shapes are kept (see `numbers`).
A type is given only when every value reads back to its text; otherwise the column is TEXT and says which values decided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isinf

from levelpool.sheets.clean.dates import date_parser, forms_for, iso_value, serial_family, serial_text, serial_value
from levelpool.sheets.clean.numbers import (
    MOST_DIGITS,
    Reading,
    has_exponent,
    is_number_cell,
    is_number_shape,
    readings,
    shapes_of,
    shorten,
    signed_zero,
    starts_with_zero,
    zero_before,
)
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Column, ColumnType, Kind, Notation

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

    def add(self, rows: Sequence[int], texts: Sequence[str | None], kinds: Sequence[Kind | None]) -> None:
        """Take in the cells of some rows."""
        self._take(rows, texts, kinds, _group(texts, kinds))

    def add_alike(self, rows: Sequence[int], texts: Sequence[str | None], kind: Kind | None) -> None:
        """Take in cells that all have the same kind, where they are not blank."""
        if self.settled and len(self.samples) >= SAMPLES and kind not in {ERROR, NO_VALUE} and not self._asks_for_more:
            return
        only = kind_class(kind)
        values = list(filter(None, texts))
        if only is not None and kind is not None and values:
            self._take(rows, texts, kind, {only: values})

    def _take(
        self, rows: Sequence[int], texts: Sequence[str | None], kinds: Sequence[Kind | None] | Kind, groups: dict[Kind, list[str]]
    ) -> None:
        for kind, values in groups.items():
            if kind in {ERROR, NO_VALUE}:
                self.errors += len(values)
                continue
            self.values += len(values)
            if len(self.samples) < SAMPLES:
                self._sample(values[:50], _first_kind(kinds, kind))
            if self.settled and not (kind == TEXT and self._asks_for_more):
                continue
            if kind == TEXT:
                self._add_texts(rows, texts, values)
            elif kind == NUMBER:
                self._add_numbers(rows, texts, values)
            elif kind == SERIAL:
                self._add_serials(rows, texts, kinds)
            elif kind == DATE:
                self._add_dates(rows, texts, values)
            else:
                self._booleans = self._booleans or _seen(rows, texts, values[0])
        self._settle_mixture()

    def _sample(self, values: list[str], kind: Kind) -> None:
        for value in values:
            # Nobody knows a day by its serial.
            shown = serial_text(value, kind, date1904=self.date1904) if serial_family(kind) else value
            if shown not in self.samples and len(self.samples) < SAMPLES:
                self.samples.append(shown if len(shown) <= _SAMPLE else f"{shown[: _SAMPLE - 1]}…")

    # ------------------------------------------------------------ kinds of cells

    def _add_numbers(self, rows: Sequence[int], texts: Sequence[str | None], values: list[str]) -> None:
        shortened = values
        longest = max(map(len, values))
        if longest > LONGEST:
            self._spoil(f"{_seen(rows, texts, max(values, key=len))} has more digits than any number needs")
            return
        if longest > 16:
            # Beyond 15 digits the shortest decimal of a fraction may be another text than the file's.
            shortened = shorten(values)
            self._exponent = self._exponent or has_exponent(values)
        self._note(self._numbers, rows, texts, values, shapes_of("\n".join(shortened)))

    def _add_serials(self, rows: Sequence[int], texts: Sequence[str | None], kinds: Sequence[Kind | None] | Kind) -> None:
        if isinstance(kinds, str):
            values = list(filter(None, texts))
            self._note(self._serials, rows, texts, values, shapes_of("\n".join(values)))
            self._weigh_serials(serial_family(kinds), rows, texts, values)
            return
        for kind in set(kinds):
            if kind_class(kind) != SERIAL or kind is None:
                continue
            values = [text for text, other in zip(texts, kinds, strict=True) if other == kind and text is not None]
            self._note(self._serials, rows, texts, values, shapes_of("\n".join(values)))
            self._weigh_serials(serial_family(kind), rows, texts, values)

    def _weigh_serials(self, family: str, rows: Sequence[int], texts: Sequence[str | None], values: list[str]) -> None:
        distinct = set(values)
        serials = _floats(distinct)
        if family != "time" and serials and min(serials) > 61 and max(serials) < _SURELY_SERIAL:
            whole = family == "date" and all(map(float.is_integer, serials))
            if whole:
                self._days = self._days or _seen(rows, texts, values[0])
            else:
                self._stamps = self._stamps or _seen(rows, texts, values[0])
            return
        impossible: dict[str, Seen] = {}
        for value in distinct:
            try:
                serial = float(value)
                if family == "time" and 0 <= serial < 1:
                    self._clocks = self._clocks or _seen(rows, texts, value)
                    continue
                serial_value(value, date1904=self.date1904)
            except ValueError:
                impossible[value] = _seen(rows, texts, value)
                continue
            if family == "date" and serial.is_integer():
                self._days = self._days or _seen(rows, texts, value)
            else:
                self._stamps = self._stamps or _seen(rows, texts, value)
        if impossible:
            self._impossible = self._impossible or min(impossible.values(), key=lambda seen: seen.row)
            self._impossible_count += sum(map(impossible.__contains__, values))

    def _add_dates(self, rows: Sequence[int], texts: Sequence[str | None], values: list[str]) -> None:
        shapes = shapes_of("\n".join(values))
        for shape in set(shapes):
            value = values[shapes.index(shape)]
            try:
                iso_value(value)
            except ValueError:
                continue  # a cell of its own, for quarantine
            seen = _seen(rows, texts, value)
            if "T" in shape or " " in shape:
                self._stamps = self._stamps or seen
            elif ":" in shape:
                self._clocks = self._clocks or seen
            else:
                self._days = self._days or seen

    def _note(
        self, shapes_seen: dict[str, Seen], rows: Sequence[int], texts: Sequence[str | None], values: list[str], shapes: list[str]
    ) -> None:
        """Remember the first value of each new shape of number cells; what is no number is left to quarantine."""
        for shape in _new(shapes, shapes_seen):
            value = values[shapes.index(shape)]
            if is_number_cell(shape):
                exponent = "e" in shape.lower()
                if exponent and isinf(float(value)):
                    continue
                self._exponent = self._exponent or exponent
                shapes_seen[shape] = _seen(rows, texts, value)

    def _add_texts(self, rows: Sequence[int], texts: Sequence[str | None], values: list[str]) -> None:
        longest = max(values, key=len)
        if len(longest) > LONGEST and longest.strip():
            # Joined, one giant text that stands in every cell would be as large as all of them.
            self._spoil(f"{_seen(rows, texts, longest)} is no number, date or boolean")
            return
        joined = "\n".join(values)
        shapes = shapes_of(joined)
        if len(shapes) != len(values):
            broken = next(value for value in values if "\n" in value)
            if broken.strip():
                self._spoil(f"{_seen(rows, texts, broken)} is a text of several lines")
                return
            values = [value for value in values if value.strip()]
            if values:
                self._add_texts(rows, texts, values)
            return
        for shape in _new(shapes, self._texts):
            if shape.strip():
                self._add_shape(shape, _seen(rows, texts, values[shapes.index(shape)]))
        if not self.settled and "number" in self._could:
            self._check_zeros(rows, texts, joined)
        if not self.settled and "date" in self._could:
            self._check_forms(rows, texts, values)

    def _add_shape(self, shape: str, seen: Seen) -> None:
        earlier = next(iter(self._texts.values()), None)
        self._texts[shape] = seen
        forms = set(forms_for(shape))
        if self.settled:
            # Where all else is typed, a person wants to see each value that is not, not the first alone.
            if self._almost_typed and not (forms or is_number_shape(shape)):
                self._spoil(f"{seen} is no number, date or boolean")
            return
        can = {"boolean"} if shape.lower() in {"true", "false"} else set()
        can |= {"number"} if is_number_shape(shape) else set()
        self._forms = forms if self._forms is None else self._forms & forms
        can |= {"date"} if self._forms else set()
        if not self._could & can:
            self._almost_typed = bool(earlier or self._numbers or self._serials or self._days or self._booleans)
            if earlier is None or not (can or forms):
                self._spoil(f"{seen} is no number, date or boolean")
            else:
                self._spoil(f"no one notation fits both {earlier} and {seen}")
        self._could &= can

    def _check_zeros(self, rows: Sequence[int], texts: Sequence[str | None], joined: str) -> None:
        found = starts_with_zero(joined)
        if found is not None:
            self._rule_out("number", f"{_seen(rows, texts, found)} starts with a zero, which a number would lose")
            return
        found = signed_zero(joined)
        if found is not None:
            self._rule_out("number", f"{_seen(rows, texts, found)} is a signed zero, which a number would lose")
            return
        self._marks |= zero_before(joined)

    def _check_forms(self, rows: Sequence[int], texts: Sequence[str | None], values: list[str]) -> None:
        distinct = {value for value in values if value.strip()}
        for form in sorted(self._forms or ()):
            killer = _first_not_in(form, distinct)
            if killer is not None and self._forms is not None:
                self._forms.discard(form)
                self._killers[form] = _seen(rows, texts, killer)
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
            "a date": self._days or self._stamps,
            "a time": self._clocks,
            "a boolean": self._booleans,
        }
        kinds = {name: seen for name, seen in firsts.items() if seen}
        text = next(iter(self._texts.values()), None)
        if len(kinds) > 1:
            self._spoil(" and ".join(f"{seen} is {name}" for name, seen in list(kinds.items())[:2]))
        elif kinds and text:
            name, seen = next(iter(kinds.items()))
            needed = {"a number": "number", "a boolean": "boolean"}.get(name)
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
            return _text("no cell has a value" if not self.errors else "every cell with a content is an error")
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
            verdict = _number_verdict(readings(self._serials), self._serials.values(), self.values, exponent=self._exponent)
            return replace(verdict, why=f"{self._impossible} has a date format but is no date; {verdict.why}")
        notation = Notation(date_form=SERIAL if self._serials else "", date1904=self.date1904)
        if self._stamps:
            return _Verdict(ColumnType.TIMESTAMP, f"all {self.values} values are cells with a date and a time", notation)
        if self._days:
            return _Verdict(ColumnType.DATE, f"all {self.values} values are date cells", notation)
        return _Verdict(ColumnType.TIME, f"all {self.values} values are cells with a time of day", notation)

    def _decide_booleans(self) -> "_Verdict":
        words = self._texts.keys()
        for true, false in sorted(_BOOLEANS, reverse=True):
            if words <= {true, false}:
                return _Verdict(ColumnType.BOOLEAN, f"all {self.values} values are {true} or {false}", Notation(booleans=(true, false)))
        first, second = list(self._texts.values())[:2]
        return _text(f"no one notation fits both {first} and {second}")

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
            return _text(f"no one notation fits both {seen[0]} and {seen[-1]}")
        if len(found) > 1 and (found[0].notation.decimal != "." or found[0].notation.thousands or comma_elsewhere):
            asked = next((each for each in seen if "," in each.text or "." in each.text), seen[0])
            return _text(f"{asked} can be two numbers; no row decides: does the mark part thousands or decimals?")
        return _number_verdict(found, seen, self.values, exponent=self._exponent, texts=self._texts)

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
            kind, what = ColumnType.TIME, "times"
        else:
            kind, what = (ColumnType.TIMESTAMP, "timestamps") if "%M" in form else (ColumnType.DATE, "dates")
        killer = next(
            (
                self._killers[other]
                for other in sorted(self._killers)
                if _order(other) != _order(form) and ("%-" in other) == ("%-" in form)
            ),
            None,
        )
        proof = f"; {killer} shows which number is the day" if killer else ""
        return _Verdict(kind, f"all {self.values} values are {what} in the form {form}{proof}{said}", Notation(date_form=form))


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
        return _Verdict(ColumnType.DOUBLE, f"all {count} values are numbers, some with an exponent", reading.notation)
    if reading.whole and not reading.notation.percent:
        return _Verdict(
            ColumnType.BIGINT,
            f"all {count} values are whole numbers of {_count(reading.whole_digits, 'digit')} at most{notation}",
            reading.notation,
        )
    scale = reading.scale + (2 if reading.notation.percent else 0)
    return _Verdict(
        ColumnType.NUMERIC,
        f"all {count} values are numbers with {_count(reading.scale, 'decimal')} at most{notation}",
        reading.notation,
        digits=max(reading.digits, scale),
        scale=scale,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
        words.append("the minus behind")
    if notation.full_width:
        words.append("full-width digits")
    return f", written with {', '.join(words)}" if words else ""


def is_plain(notation: Notation) -> bool:
    """Whether numbers stand without any mark but a minus and a decimal point."""
    return notation == _PLAIN


def _order(form: str) -> str:
    """What a form means: its directives without padding."""
    return form.replace("%-", "%")


def _group(texts: Sequence[str | None], kinds: Sequence[Kind | None]) -> dict[Kind, list[str]]:
    """The non-blank texts by class of kind; empty texts do not count."""
    classes = {kind: kind_class(kind) for kind in set(kinds)}
    present = [each for each in dict.fromkeys(map(classes.__getitem__, dict.fromkeys(kinds))) if each is not None]
    if len(present) == 1:
        only = present.pop()
        values = list(filter(None, texts))
        return {only: values} if values else {}
    groups: dict[Kind, list[str]] = {}
    for wanted in present:
        values = [text for text, kind in zip(texts, kinds, strict=True) if text and classes[kind] == wanted]
        if values:
            groups[wanted] = values
    return groups


def _first_kind(kinds: Sequence[Kind | None] | Kind, wanted: Kind) -> Kind:
    """The first kind with its number format whose class is *wanted*."""
    return kinds if isinstance(kinds, str) else next(kind for kind in kinds if kind is not None and kind_class(kind) == wanted)


def _seen(rows: Sequence[int], texts: Sequence[str | None], value: str) -> Seen:
    return Seen(rows[texts.index(value)], value)


def _new(shapes: list[str], known: dict[str, Seen]) -> list[str]:
    """The shapes that are not known yet, in the order of the file."""
    return sorted(set(shapes) - known.keys(), key=shapes.index)


def _floats(texts: Iterable[str]) -> list[float]:
    try:
        return list(map(float, texts))
    except ValueError:
        return []


def _first_not_in(form: str, values: set[str]) -> str | None:
    """A value that is not in this form, if there is one; days and times are checked apart, because they repeat."""
    mark = next((mark for mark in ("T", " ") if f"{mark}%H" in form or f"{mark}%-H" in form), None)
    if mark is not None and "%b" not in form and "%B" not in form:
        day, clock = (date_parser(part) for part in form.split(mark, 1))
        days: dict[str, str] = {}
        clocks: dict[str, str] = {}
        for value in values:
            first, _, second = value.partition(mark)
            days[first] = clocks[second] = value
        return next(
            (found for found in (_refused(day, days), _refused(clock, clocks)) if found is not None),
            None,
        )
    return _refused(date_parser(form), {value: value for value in values})


def _refused(parse: object, parts: dict[str, str]) -> str | None:
    for part, value in parts.items():
        try:
            parse(part)  # type: ignore[operator]
        except ValueError:
            return value
    return None
