"""What the texts of a column have shown: whether all of them may be numbers, dates or booleans, and in which notation."""

import re

from levelpool.sheets.clean.cell_group import LONGEST, CellGroup, Seen
from levelpool.sheets.clean.dates import common_forms, first_not_in, forms_for, is_unpadded
from levelpool.sheets.clean.numbers import has_long_exponent, is_kept_by_double, is_number_shape
from levelpool.sheets.clean.refutations import Refutations
from levelpool.sheets.clean.verdicts import cut_short, no_type, not_one_way
from levelpool.sheets.clean.zeros import zeros_of
from levelpool.sheets.table import TEXT, Cells

_NUL = "\0"
NUMBERS, DATES, BOOLEANS = "number", "date", "boolean"


class TextEvidence:
    """The shapes of texts, and what they may still be."""

    __slots__ = ("_refutations", "could", "counter_examples", "forms", "marks", "shapes")

    def __init__(self, refutations: Refutations) -> None:
        self._refutations = refutations
        self.shapes: dict[str, Seen] = {}
        self.could = {NUMBERS, DATES, BOOLEANS}  # what the texts may still be
        self.forms: set[str] | None = None  # of dates, which fit all texts so far
        self.counter_examples: dict[str, Seen] = {}  # form -> the first value that is not in it
        self.marks: frozenset[str] = frozenset()  # marks that stand behind a lone zero somewhere

    @property
    def first(self) -> Seen | None:
        """The first text that is not blank."""
        return next(iter(self.shapes.values()), None)

    @property
    def looks(self) -> str:
        """What all texts so far look like, "" when there is none."""
        if not self.shapes:
            return ""
        return next((what for what in (BOOLEANS, NUMBERS, DATES) if what in self.could), "text")

    def add(self, group: CellGroup, *, is_among_typed: bool) -> None:
        """Take in texts; *is_among_typed* says that the column holds cells of other kinds."""
        plain = group if group.joined is not None and _NUL not in group.joined else self._without_odd(group)
        if plain is None or self._refuse_long(plain, plain.shapes.longest):
            return
        for shape, place in plain.shapes.new(self.shapes.keys()):
            if shape.strip():
                self._add_shape(shape, plain.seen(plain.texts[place] or ""), is_among_typed=is_among_typed)
        if not self._refutations.is_text and NUMBERS in self.could:
            self._check_zeros(plain)
        if not self._refutations.is_text and DATES in self.could:
            self._check_forms(plain)

    def _refuse_long(self, group: CellGroup, longest: str) -> bool:
        is_long = len(longest) > LONGEST and bool(longest.strip())
        if is_long:
            self._refutations.add(f"{group.seen(max(group.values, key=len))} is no number, no date, and not true or false")
        return is_long

    def _without_odd(self, group: CellGroup) -> CellGroup | None:
        """
        The texts of one line that are not empty; None when another one has made the column TEXT, or when nothing else is there.

        A text with a NUL goes to quarantine whatever the column is, and decides nothing.
        """
        group = _without_nuls(group)
        if not group.values:
            return None
        if self._refuse_long(group, max(group.values, key=len)):
            return None
        broken = next((value for value in group.values if "\n" in value and value.strip()), None)
        if broken is not None:
            self._refutations.add(f"{group.seen(broken)} is a text of several lines")
            return None
        plain = CellGroup(group.rows, Cells([text if text and text.strip() else None for text in group.texts], kind=TEXT))
        return plain if plain.values else None

    def _add_shape(self, shape: str, seen: Seen, *, is_among_typed: bool) -> None:
        earlier = self.first
        self.shapes[shape] = seen
        forms = set(forms_for(shape))
        is_number = is_number_shape(shape)
        if self._refutations.is_text:
            if self._refutations.was_nearly_typed and not (forms or is_number):
                self._refutations.add(no_type(seen))
            return
        self.forms = forms if self.forms is None else common_forms(self.forms, forms)
        can = {
            *([BOOLEANS] if shape.lower() in {"true", "false"} else []),
            *([NUMBERS] if is_number else []),
            *([DATES] if self.forms else []),
        }
        if not self.could & can:
            self._refutations.was_nearly_typed = bool(earlier or is_among_typed)
            self._refutations.row = seen.row if self._refutations.was_nearly_typed else None
            if earlier is None or not (can or forms):
                self._refutations.add(f"{no_type(seen)}{cut_short([seen])}")
            else:
                self._refutations.add(not_one_way(earlier, seen))
        self.could &= can

    def _check_zeros(self, group: CellGroup) -> None:
        """Rule numbers out where one would lose a zero, or digits."""
        if any(map(has_long_exponent, group.shapes.distinct)):
            lost = next((value for value in group.values if not is_kept_by_double(value)), None)
            if lost is not None:
                self._rule_out(NUMBERS, f"{group.seen(lost)} is too large or too small for a number with an exponent")
        zeros = zeros_of(group.joined or "", group.shapes.distinct)
        if zeros.lost is not None:
            self._rule_out(NUMBERS, f"{group.seen(zeros.lost)} {zeros.why}")
        self.marks |= zeros.marks

    def _check_forms(self, group: CellGroup) -> None:
        """Keep the forms of dates that every value is in."""
        distinct = [value for value in dict.fromkeys(group.values) if value.strip()]
        refused: dict[str, Seen] = {}
        for form in sorted(self.forms or ()):
            found = first_not_in(form, distinct)
            if found is not None and self.forms is not None:
                self.forms.discard(form)
                refused[form] = group.seen(found)
        self.counter_examples |= refused
        if not self.forms:
            last = min(refused, key=is_unpadded, default=None)
            self._rule_out(DATES, "no form of a date fits all values" if last is None else _not_in_form(refused[last]))

    def _rule_out(self, what: str, why: str) -> None:
        self.could.discard(what)
        if not self.could:
            self._refutations.add(why)


def _without_nuls(group: CellGroup) -> CellGroup:
    """The cells that a database can take."""
    if not any(_NUL in value for value in group.values):
        return group
    return CellGroup(group.rows, Cells([None if text and _NUL in text else text for text in group.texts], kind=TEXT))


_MANY_DIGITS = re.compile(r"[.,][0-9]{7,}Z?$", re.ASCII)


def _not_in_form(seen: Seen) -> str:
    if _MANY_DIGITS.search(seen.text):
        return f"{seen} has more digits of a second than the six that a TIMESTAMP keeps"
    return f"{seen} is no day or time in the form of the others"
