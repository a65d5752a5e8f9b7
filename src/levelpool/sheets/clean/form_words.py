"""
The form of dates as a person writes it: MM/DD/YYYY, TT.MM.JJJJ, dd/MM/yyyy HH:mm, day.month.year, or with directives, %d/%m/%Y.

All of them become the one form that `date_parser` takes. A letter means what it can mean beside the others: the J of TT.MM.JJJJ is a year,
that of JJ/MM/AAAA a day; an M behind hours is a minute.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from levelpool.sheets.clean.dates import form_in_letters, is_form

ALLOWED_FORMS = "a form such as DD.MM.YYYY, MM/DD/YYYY hh:mm or %d/%m/%Y, which says day, month and year, or hours and minutes, each once"


def form_of(text: str) -> str | None:
    """The form in directives; None for what says no day and no time."""
    form = _of_directives(text) if "%" in text else _of_letters(text)
    return form if form is not None and is_form(form) else None


def as_written(form: str) -> str:
    """The form in letters, where these say the same: DD.MM.YYYY."""
    letters = form_in_letters(form)
    return letters if form_of(letters) == form else form


_SHORTHANDS = {
    "%F": "%Y-%m-%d",
    "%D": "%m/%d/%y",
    "%T": "%H:%M:%S",
    "%R": "%H:%M",
    "%e": "%-d",
    "%k": "%-H",
    "%l": "%-I",
    "%h": "%b",
}


def _of_directives(text: str) -> str:
    form = re.sub(r"%#?[A-Za-z]", lambda found: _SHORTHANDS.get(found[0], found[0].replace("#", "-")), text)
    return form.replace("%S.%f", "%S%-f")


# ---------------------------------------------------------------- letters

_WORDS = {
    "%Y": "year jahr année annee año ano anno jaar rok год",
    "%m": "month monat mois mes mês mese maand miesiąc miesiac месяц",
    "%d": "day tag jour día dia giorno dag dzień dzien день",
    "%b": "mon",
    "%p": "am/pm am pm",
    "%H": "hh24",
    "%I": "hh12",
    "%M": "mi",
    "%-f": "[.f]",
}
_WORD = {word: directive for directive, words in _WORDS.items() for word in words.split()}

# A word stands alone, but for the mon of DDMONYY; all else is a run of one letter, or a character between.
_TOKEN = re.compile(
    r"(?P<quoted>'[^']*'|\"[^\"]*\")"
    rf"|(?P<word>(?<![^\W\d_])(?:{'|'.join(map(re.escape, sorted(_WORD, key=len, reverse=True)))})(?![^\W\d_Zz])|mon(?![^\W\d_]*(?:at|th)))"
    r"|(?P<run>(?P<letter>[^\W\d_])(?P=letter)*)"
    r"|(?P<mark>.)",
    re.IGNORECASE | re.DOTALL,
)
_CJK = "年月日時时點点分秒"

_MEANINGS = {
    **dict.fromkeys("yгvåér", "Y"),
    **dict.fromkeys("mмk", "m"),
    **dict.fromkeys("dtдgpn", "d"),
    "j": "Yd",
    "a": "Ym",
}
"""Which part of a day a letter may stand for: of year, month and day in English, German, French, Spanish, Italian, Dutch, Polish, Turkish, Russian ..."""


@dataclass(slots=True)
class _Token:
    text: str
    directive: str = ""
    is_mark: bool = False  # it stands for itself

    @property
    def letter(self) -> str:
        return self.text[:1].lower()

    @property
    def is_open(self) -> bool:
        return not self.directive and not self.is_mark

    def stands_for(self, letters: str, directives: set[str]) -> bool:
        """Whether it is one of these already, or may be by its letter."""
        return self.directive in directives or (self.is_open and self.letter in letters)


def _of_letters(text: str) -> str | None:
    tokens = _tokens(text)
    _decide_clock(tokens)
    if not _decide_day([token for token in tokens if token.is_open]):
        return None
    return "".join(token.directive or token.text for token in tokens)


def _tokens(text: str) -> list[_Token]:
    found = [_token(match) for match in _TOKEN.finditer(text)]
    if not {each.directive for each in found} & {"%d", "%Y"}:
        # Beside letters the word is what stands there, beside other words it is the part of the day.
        return [_Token(each.text, "%B") if each.text.lower() == "month" else each for each in found]
    return found


def _token(match: re.Match[str]) -> _Token:
    if match["quoted"]:
        return _Token(match[0][1:-1], is_mark=True)
    if match["word"]:
        return _Token(match[0], _WORD[match[0].lower()])
    return _Token(match[0], is_mark=bool(match["mark"]) or match[0][0] in _CJK or match[0] == "Z")


def _decide_clock(tokens: list[_Token]) -> None:
    """Hours, minutes behind them, seconds behind these, and their fraction."""
    place = next((place for place, token in enumerate(tokens) if token.stands_for("hч", {"%H", "%I"})), None)
    if place is None:
        return
    _decide_hour(tokens, place)
    following = iter(tokens[place + 1 :])
    for letters, directive in (("mмn", "%M"), ("sс", "%S"), ("sf", "%f")):
        found = next((token for token in following if token.stands_for(letters, {directive})), None)
        if found is not None and found.is_open:
            found.directive = f"%{len(found.text)}f" if directive == "%f" else directive


def _decide_hour(tokens: list[_Token], place: int) -> None:
    """The hour, of half a day where something behind it says which half; and the T before it."""
    for token in tokens[place + 1 :]:
        if token.text == "tt":
            token.directive = "%p"
    hour = tokens[place]
    if hour.is_open:
        half_day = any(token.directive == "%p" for token in tokens)
        hour.directive = f"%{'-' if len(hour.text) == 1 else ''}{'I' if half_day else 'H'}"
    if place and tokens[place - 1].text == "T":
        tokens[place - 1].is_mark = True


def _decide_day(tokens: list[_Token]) -> bool:
    """Whether the letters that are left are a day, a month and a year in one way only."""
    ways = [way for way in product(*(_MEANINGS.get(token.letter, "") for token in tokens)) if len(set(way)) == len(way)]
    if len(ways) != 1 or any(len(token.text) not in _LENGTHS[part] for token, part in zip(tokens, ways[0], strict=True)):
        return False
    for token, part in zip(tokens, ways[0], strict=True):
        token.directive = _DIRECTIVE_OF[part](token.text)
    return True


_LENGTHS = {"Y": {1, 2, 4}, "m": {1, 2, 3, 4}, "d": {1, 2}}
_DIRECTIVE_OF: dict[str, Callable[[str], str]] = {
    "Y": lambda text: "%Y" if len(text) == 4 or text == "Y" else "%y",
    "m": lambda text: ("%-m", "%m", "%b", "%B")[len(text) - 1],
    "d": lambda text: ("%-d", "%d")[len(text) - 1],
}
