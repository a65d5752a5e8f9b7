"""
The verdict about one table: which dataset it belongs to, by what, and why; or what has to be asked.

The rules stand in docs/explanation/datasets.md, in the same order. What is known comes in as plain records, so that a rule can be
tried without a database.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from levelpool.ingest.recognition.stems import Stem
from levelpool.sheets.clean.names import DATASET_BYTES
from levelpool.sheets.table import Json
from levelpool.sheets.wording import counted

By = Literal["said", "folder", "stem", "columns", "new"]

ENOUGH = 0.6
"""The agreement from which on a known stem is believed: of ten columns four may be new or renamed."""
SURE = 0.9
"""The agreement from which on columns alone propose a dataset: one of ten may be new or renamed."""
FEWEST = 3
"""So many columns must be shared before columns alone propose anything: many tables have a name and a date."""

_GENERATED = re.compile(r"column_\d+")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one dataset."""

    name: str
    columns: frozenset[str]  # names and aliases, `told`
    stems: frozenset[str] = frozenset()  # of the files that are loaded there
    former: frozenset[str] = frozenset()  # names that it had before; they still lead there

    def is_called(self, name: str) -> bool:
        """Whether that is its name, or was."""
        return name == self.name or name in self.former


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one table of a file before anybody asks where it belongs."""

    columns: frozenset[str]  # `told`
    stem: Stem
    name: str  # what a new dataset would be called, as `dataset_name` says
    said: str | None = None  # the dataset that somebody named
    folder: str | None = None  # the dataset that a folder of the inbox bears the name of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a table belongs, or what is proposed."""

    dataset: str
    goes_to: str  # the same; or, as long as nobody has answered, the dataset that the name of its file alone leads to
    by: By
    why: str  # one sentence
    matched: int  # columns that both have
    of: int  # columns of the larger set
    asks: tuple[str, ...] = ()  # the datasets of which a person has to say whether one is meant; none: nothing is asked

    def to_dict(self) -> dict[str, Json]:
        """As the record of a file shows it."""
        return {"by": self.by, "why": self.why, "matched": self.matched, "of": self.of}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many columns two tables share."""

    matched: int
    of: int

    @property
    def share(self) -> float:
        """0 to 1; tables without any header have nothing that could disagree."""
        return self.matched / self.of if self.of else 1.0

    def __str__(self) -> str:
        return f"{self.matched} of {counted(self.of, 'column')} agree"


def agreement(one: frozenset[str], other: frozenset[str]) -> Agreement:
    """Columns that both have, over the larger set; both are `told`."""
    return Agreement(len(one & other), max(len(one), len(other)))


def told(columns: Iterable[str]) -> frozenset[str]:
    """*columns* without generated names, such as column_1: tables without headers have nothing in common by them."""
    return frozenset(each for each in columns if not (each.startswith("column_") and _GENERATED.fullmatch(each)))


def recognise(found: Found, known: Sequence[Known]) -> Verdict:
    """The verdict of the first rule that has something to say; *known* are all datasets there are."""
    return _by_word(found, known) or _by_stem(found, known) or _by_columns(found, known) or _as_new(found, known)


def _by_word(found: Found, known: Sequence[Known]) -> Verdict | None:
    if found.said is not None:
        return _certain(found, found.said, known, "said", f"somebody said that it belongs to {found.said}")
    if found.folder is not None:
        return _certain(found, found.folder, known, "folder", f"it lay in the folder {found.folder} of the inbox")
    return None


def _certain(found: Found, name: str, known: Sequence[Known], by: By, why: str) -> Verdict:
    there = next((each for each in known if each.is_called(name)), None)
    agreed = Agreement(0, len(found.columns)) if there is None else agreement(found.columns, there.columns)
    name = name if there is None else there.name
    return Verdict(name, name, by, why, agreed.matched, agreed.of)


def _by_stem(found: Found, known: Sequence[Known]) -> Verdict | None:
    """By a stem that is known; by what it is without words that may be part of it only where columns agree."""
    sure = [each for each in known if each.is_called(found.name)] or _with_stem(found.stem.sure, known)
    if not sure:
        return _by_loose_stem(found, known)
    agreeing = _agreeing(found, sure)
    if len(agreeing) == 1:
        return _loaded(found, agreeing[0], found.stem.sure or found.name)
    return None if found.stem.is_nameless else _asked_by_stem(found, sure, agreeing)


def _by_loose_stem(found: Found, known: Sequence[Known]) -> Verdict | None:
    for stem in found.stem.loose:
        agreeing = _agreeing(found, _with_stem(stem, known))
        if len(agreeing) == 1:
            return _loaded(found, agreeing[0], stem)
    return None


def _with_stem(stem: str, known: Sequence[Known]) -> list[Known]:
    return [each for each in known if stem and (stem in each.stems or each.is_called(stem))]


def _agreeing(found: Found, candidates: Sequence[Known]) -> list[Known]:
    return [each for each in candidates if agreement(found.columns, each.columns).share >= ENOUGH]


def _loaded(found: Found, dataset: Known, stem: str) -> Verdict:
    agreed = agreement(found.columns, dataset.columns)
    why = f"the name of its file says {stem}, and {agreed} with {dataset.name}"
    return Verdict(dataset.name, dataset.name, "stem", why, agreed.matched, agreed.of)


def _asked_by_stem(found: Found, sure: Sequence[Known], agreeing: Sequence[Known]) -> Verdict:
    best = max(agreeing or sure, key=lambda each: agreement(found.columns, each.columns).share)
    agreed = agreement(found.columns, best.columns)
    if len(sure) > 1:
        names = ", ".join(each.name for each in agreeing or sure)
        why = f"the name of its file is that of {counted(len(agreeing or sure), 'dataset')} ({names}): name the one that is meant"
    else:
        why = f"the name of its file leads to {best.name}, but only {agreed}: is it that report?"
    return Verdict(best.name, found.name, "stem", why, agreed.matched, agreed.of, tuple(each.name for each in agreeing or sure))


def _by_columns(found: Found, known: Sequence[Known]) -> Verdict | None:
    """A table of another name whose columns are those of exactly one dataset."""
    alike = []
    for each in known:
        agreed = agreement(found.columns, each.columns)
        if agreed.matched >= FEWEST and agreed.share >= SURE:
            alike.append((each, agreed))
    if len(alike) != 1:
        return None
    [(dataset, agreed)] = alike
    why = f"the name of its file is new, but {agreed} with {dataset.name}: does it belong there?"
    return Verdict(dataset.name, _free_name(found, known), "columns", why, agreed.matched, agreed.of, (dataset.name,))


def _as_new(found: Found, known: Sequence[Known]) -> Verdict:
    name = _free_name(found, known)
    why = "no dataset has such a name" if name == found.name else f"{found.name} says nothing about a file, and no dataset has its columns"
    return Verdict(name, name, "new", why, 0, len(found.columns))


def _free_name(found: Found, known: Sequence[Known]) -> str:
    """What a new dataset is called, with a number where another one has that name."""
    taken = {name for each in known for name in (each.name, *each.former)}
    name, number = found.name, 1
    while name in taken:
        number += 1
        tail = f"_{number}"
        name = found.name.encode()[: DATASET_BYTES - len(tail)].decode(errors="ignore") + tail
    return name
