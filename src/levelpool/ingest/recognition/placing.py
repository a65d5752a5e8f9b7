"""The tables of one file, each recognised by itself: which is the file's main table, and where each one goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from levelpool.ingest.recognition.stems import Stem, stem_of
from levelpool.ingest.recognition.verdicts import ENOUGH, Found, Known, Verdict, agreement, recognise, told
from levelpool.sheets.clean.tables import dataset_names, main_table
from levelpool.sheets.table import TablePlan


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a file and its tables go."""

    dataset: str  # of its main table
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where the tables of a file go, by what is known; it travels with a job to a worker."""

    file_name: str
    dataset: str  # the one that was said, or that the name of the file alone leads to
    by: Literal["said", "folder"] | None = None  # None: the name of the file
    settled: bool = False  # it was loaded there before
    known: tuple[Known, ...] = ()

    def __call__(self, plans: Sequence[TablePlan]) -> tuple[str, ...]:
        """The dataset of each table."""
        return tuple(verdict.goes_to for verdict in self.verdicts(plans))

    def verdicts(self, plans: Sequence[TablePlan]) -> tuple[Verdict, ...]:
        """The verdict about each of the file's tables, in their order."""
        return self.placed(plans).verdicts

    def placed(self, plans: Sequence[TablePlan]) -> "Placed":
        """The dataset of the file, and the verdict about each of its tables, in their order."""
        if not plans:
            return Placed(self.dataset, ())
        main, of_main = self._main(plans)
        names = dataset_names(of_main.goes_to, plans, main)
        pairs = zip(plans, names, strict=True)
        verdicts = tuple(of_main if name == of_main.goes_to else self._of_further(plan, name) for plan, name in pairs)
        return Placed(of_main.goes_to, verdicts)

    def _main(self, plans: Sequence[TablePlan]) -> tuple[TablePlan, Verdict]:
        """The table that goes to the file's dataset: the first visible one, unless another one's columns are those of the dataset."""
        first = main_table(plans)
        verdict = self._verdict(first)
        goal = next((each for each in self.known if each.name == verdict.dataset), None)
        if len(plans) == 1 or goal is None or agreement(_columns(first), goal.columns).share >= ENOUGH:
            return first, verdict
        best = max(plans, key=lambda plan: agreement(_columns(plan), goal.columns).share)
        return (best, self._verdict(best)) if agreement(_columns(best), goal.columns).share >= ENOUGH else (first, verdict)

    def _verdict(self, plan: TablePlan) -> Verdict:
        if self.settled:
            return Verdict(self.dataset, self.dataset, "said", "it was loaded there before", *self._agreed(plan))
        said = self.dataset if self.by == "said" else None
        folder = self.dataset if self.by == "folder" else None
        return recognise(Found(_columns(plan), stem_of(self.file_name), self.dataset, said, folder), self.known)

    def _of_further(self, plan: TablePlan, name: str) -> Verdict:
        """A further table has its dataset by the file's and the name of its sheet."""
        if self.settled:
            return Verdict(name, name, "said", "it was loaded there before", *self._agreed(plan, name))
        return recognise(Found(_columns(plan), Stem(name), name), [each for each in self.known if each.is_called(name)])

    def _agreed(self, plan: TablePlan, name: str | None = None) -> tuple[int, int]:
        goal = next((each.columns for each in self.known if each.name == (name or self.dataset)), frozenset())
        agreed = agreement(_columns(plan), goal)
        return agreed.matched, agreed.of


def _columns(plan: TablePlan) -> frozenset[str]:
    return told(column.name for column in plan.columns)
