"""Names: from a file's name to a dataset, from headers to columns, and which dataset names are refused."""

import re
import unicodedata
from collections.abc import Iterable

from levelpool.sheets.errors import NameRefused

DATASET_BYTES = 48
COLUMN_BYTES = 59
_SHEET_BYTES = 22  # what a sheet's name may take of DATASET_BYTES; the dataset before it has the rest

RESERVED_PREFIXES = ("levelpool_", "pg_", "sqlite_")
RESERVED_SUFFIX = "_current"

# PostgreSQL has these in every table, so no column of ours can be called so; they count as taken.
SYSTEM_COLUMNS = frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"})

EXTENSION = re.compile(r"\.[^\W_]{1,8}$")
_SEPARATOR = r"[\W_]"

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_TIME = rf"(?:{_SEPARATOR}*t?(?:[01]\d|2[0-3]){_SEPARATOR}?[0-5]\d(?:{_SEPARATOR}?[0-5]\d)?)?"
DATE = (
    r"(?:"
    rf"{_YEAR}(?P<s>[-_.]?){_MONTH}(?P=s){_DAY}{_TIME}"
    rf"|{_DAY}(?P<r>[-_.]){_MONTH}(?P=r){_YEAR}{_TIME}"
    rf"|{_YEAR}年(?:0?[1-9]|1[0-2])月(?:[12]\d|3[01]|0?[1-9])日{_TIME}"
    rf"|{_YEAR}[-_.]{_MONTH}"
    r")"
)

_MARK_AT_END = re.compile(
    r"(?:"
    r"\(\d+\)"
    rf"|(?:^|{_SEPARATOR})copy(?:{_SEPARATOR}of)?"
    r"|副本"
    rf"|(?<!\d){DATE}"
    rf"|(?:^|{_SEPARATOR})\d{{1,6}}"
    rf"){_SEPARATOR}*$"
)
_MARK_AT_START = re.compile(
    rf"^{_SEPARATOR}*(?:"
    r"\(\d+\)"
    rf"|copy(?:{_SEPARATOR}of)?(?={_SEPARATOR}|$)"
    r"|副本"
    rf"|{DATE}(?!\d)"
    rf"|\d{{1,6}}(?={_SEPARATOR}|$)"
    r")"
)
_NOT_ALNUM = re.compile(r"[\W_]+")


def dataset_name(file_name: str) -> str:
    """
    The dataset that a file of this name goes to, when nobody says otherwise.

    Copy marks, dates and counters at the end (and one at the start) do not count, so that
    "Orders_2026-11-01 (2).xlsx" and "Orders_2026-11-02.xlsx" both go to "orders".
    """
    stem = EXTENSION.sub("", re.split(r"[/\\]", file_name)[-1])
    words = split_words(stem)
    while (shorter := _MARK_AT_END.sub("", words, count=1)) != words:
        words = shorter
    return _finish(_MARK_AT_START.sub("", words, count=1), empty="data", digit="t_", most=DATASET_BYTES)


def sheet_dataset_name(dataset: str, sheet_name: str, number: int = 1) -> str:
    """The dataset of a further table: DATASET__SHEET, and DATASET__SHEET__2 for the second such table of that sheet."""
    counter = f"__{number}" if number > 1 else ""
    sheet = _cut(_NOT_ALNUM.sub("_", split_words(sheet_name)).strip("_") or "sheet", _SHEET_BYTES - len(counter))
    tail = f"__{sheet}{counter}"
    return _cut(dataset, DATASET_BYTES - len(tail.encode())) + tail


def column_names(headers: Iterable[str]) -> tuple[str, ...]:
    """The database names of columns with these headers: clean, none empty, no two alike."""
    taken = set(SYSTEM_COLUMNS)
    copies: dict[str, int] = {}  # up to which number the names that come of a base are taken
    names = []
    for number, header in enumerate(headers, 1):
        base = _finish(split_words(header), empty=f"column_{number}", digit="c_", most=COLUMN_BYTES)
        name, copy = base, copies.get(base, 1)
        while name in taken:
            copy += 1
            name = f"{_cut(base, COLUMN_BYTES - len(f'_{copy}'))}_{copy}"
        copies[base] = copy
        taken.add(name)
        names.append(name)
    return tuple(names)


def check_dataset_name(name: str) -> None:
    """
    Raise `NameRefused`, in one sentence, when a dataset cannot be called *name*.

    Whether a table or view of that name is already there and is not ours, only the ledger knows.
    """
    if not name:
        raise NameRefused("the dataset has no name: give it one, such as orders")
    if len(name.encode()) > DATASET_BYTES:
        raise NameRefused(f"the dataset name {name!r} has {len(name.encode())} bytes: at most {DATASET_BYTES} are allowed")
    if not _is_clean(name):
        raise NameRefused(
            f"{name!r} is not a dataset name: use lower-case letters, digits and _, "
            f"with a letter first, such as {dataset_name(f'{name}.csv')!r}"
        )
    for prefix in RESERVED_PREFIXES:
        if name.startswith(prefix):
            raise NameRefused(f"the dataset name {name!r} starts with {prefix!r}, which is reserved: choose another")
    if name.endswith(RESERVED_SUFFIX):
        raise NameRefused(f"the dataset name {name!r} ends in {RESERVED_SUFFIX!r}, which is reserved for views: choose another")


def _is_clean(name: str) -> bool:
    return (
        name == unicodedata.normalize("NFKC", name).lower()
        and all(letter == "_" or letter.isalnum() for letter in name)
        and not name[0].isdigit()
        and name == name.strip("_")
    )


def split_words(text: str) -> str:
    """NFKC, "_" where a capital follows a lower-case letter or a digit, lower case: "SalesReport" becomes "sales_report"."""
    text = unicodedata.normalize("NFKC", text)
    pairs = zip(f" {text}", text, strict=False)
    return "".join(
        f"_{letter}" if letter.isupper() and (before.islower() or before.isdigit()) else letter for before, letter in pairs
    ).lower()


def _finish(words: str, *, empty: str, digit: str, most: int) -> str:
    name = _NOT_ALNUM.sub("_", words).strip("_") or empty
    if name[0].isdigit():
        name = digit + name
    return _cut(name, most)


def _cut(name: str, most: int) -> str:
    """The longest start of *name* that has at most *most* UTF-8 bytes and does not end in "_"."""
    return name.encode()[:most].decode(errors="ignore").rstrip("_")
