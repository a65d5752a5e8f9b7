"""The values that office programs leave behind the cells of a page: Excel (x:num and its kin), LibreOffice (sdval), Google Sheets."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from levelpool.sheets.number_codes import family, is_elapsed
from levelpool.sheets.read.markup import is_sum
from levelpool.sheets.read.number_formats import GENERAL, NAMED_FORMATS
from levelpool.sheets.table import BOOLEAN, ERROR, NUMBER, TEXT, Kind

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LOOKS_LIKE_DATE = re.compile(r"[0-9]([/.-])[0-9]{1,2}\1[0-9]|[0-9]:[0-9]|[0-9][年月日時时]|[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind one cell; nothing for most pages."""

    number: str | None = None  # "": what is shown is the number
    text: str | None = None
    boolean: bool | None = None
    error: str | None = None
    code: str = ""
    is_sum: bool = False

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> "Behind":
        """What the attributes of a cell hold."""
        if not any(name.startswith(("x:", "sd", "data-sheets")) for name in attributes):
            return NOTHING_BEHIND
        if "data-sheets-value" in attributes:
            return _of_google(attributes)
        if "sdval" in attributes:
            return _of_libreoffice(attributes)
        truth = attributes.get("x:bool")
        return cls(
            number=attributes.get("x:num"),
            text=attributes.get("x:str") or None,
            boolean=None if truth is None else truth.strip().upper() in {"TRUE", "1"},
            error=attributes.get("x:err") or None,
            is_sum=is_sum(attributes.get("x:fmla", "")),
        )

    def content(self, shown: str, style_code: str) -> tuple[str | None, Kind | None]:
        """The cell that shows this text, under the number format of its style."""
        if self is NOTHING_BEHIND or self == NOTHING_BEHIND:
            return (shown, TEXT) if shown else (None, None)
        if self.boolean is not None:
            return ("true" if self.boolean else "false"), BOOLEAN
        if self.error is not None:
            return self.error, ERROR
        if self.number is not None:
            return self._number(self.number.strip(), shown, style_code)
        text = shown if self.text is None else self.text
        return (text, TEXT) if text else (None, None)

    def _number(self, number: str, shown: str, style_code: str) -> tuple[str | None, Kind | None]:
        code = self.code or NAMED_FORMATS.get(style_code, style_code)
        code = "" if code == GENERAL else code
        value = number or shown
        is_number = _NUMBER.fullmatch(value) is not None
        # A number behind a date whose format nobody tells would be a date no more.
        is_told = bool(code) or not number or _LOOKS_LIKE_DATE.search(shown) is None or _shows(number, shown)
        if is_number and is_told and (shown or not (family(code) or is_elapsed(code))):
            return value, NUMBER + code
        return (shown, TEXT) if shown else (None, None)


def _shows(number: str, shown: str) -> bool:
    """Whether the digits before the point stand in a text."""
    return number.lstrip("-").partition(".")[0] in "".join(filter(str.isdecimal, shown))


NOTHING_BEHIND = Behind()


def _of_libreoffice(attributes: Mapping[str, str]) -> Behind:
    code = attributes.get("sdnum", "").split(";", maxsplit=2)[-1] if attributes.get("sdnum", "").count(";") >= 2 else ""
    value = attributes["sdval"]
    if code.upper() == "BOOLEAN":
        return Behind(boolean=value not in {"0", ""})
    return Behind(number=value, code=code)


def _of_google(attributes: Mapping[str, str]) -> Behind:
    """Google Sheets tells the kind of a value in "1": 2 is text, 3 a number, 4 true or false."""
    said = _loaded(attributes["data-sheets-value"])
    kind = said.get("1")
    summed = is_sum(attributes.get("data-sheets-formula", ""))
    if kind == 3 and isinstance(said.get("3"), int | float):
        code = _loaded(attributes.get("data-sheets-numberformat", "{}")).get("2")
        return Behind(number=repr(said["3"]).removesuffix(".0"), code=code if isinstance(code, str) else "", is_sum=summed)
    if kind == 4:
        return Behind(boolean=bool(said.get("4")))
    if kind == 2 and isinstance(said.get("2"), str):
        return Behind(text=said["2"])
    return NOTHING_BEHIND


def _loaded(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
