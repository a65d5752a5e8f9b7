"""The rows of a table are converted by two processes exactly as by one, however its batches are shared out."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handmade import make_sheet
from levelpool.ingest.conversion import Conversion, Goal, Part, convert
from levelpool.ingest.load.postgresql import PostgresqlTarget
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.ingest.load.target import Target
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import Planned, plan_tables
from levelpool.sheets.clean.rows import rows_of
from levelpool.sheets.clean.subsheets import batch_numbers
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.spool import SpoolWriter
from levelpool.sheets.table import ERROR, Batch, Sheet, StoredColumn
from levelpool.sheets.work_sharing import WorkSharing, help_from_end

GALLERY = Path(__file__).parents[2] / "gallery"
FILES = sorted(path for path in GALLERY.iterdir() if path.suffix not in {".json", ".py", ".md"} and path.is_file())
KINDS: list[type[Target]] = [SqliteTarget, PostgresqlTarget]


@dataclass(frozen=True)
class Leaving(WorkSharing):
    """Work sharing as a helper sees it that is recalled when it has looked that often."""

    most: int = 0
    looks: list[None] = field(default_factory=list)

    @property
    def is_alone(self) -> bool:
        self.looks.append(None)
        return len(self.looks) > self.most + 1


is_second = ContextVar("is_second", default=False)


@dataclass(frozen=True)
class Shared(Conversion):
    """A conversion of which a second process has done the last *most* batches before the first one begins."""

    sharing: WorkSharing | None = None
    most: int = 0

    def begin(self) -> Callable[[Batch], Iterator[Part]]:
        if not is_second.get():
            token = is_second.set(True)
            assert help_from_end(Leaving(self.sharing.folder, self.most)) == self.most
            is_second.reset(token)
        return super().begin()


def in_small_batches(sheet: Sheet, folder: Path, rows: int) -> Sheet:
    """The same cells, spooled in batches of so many rows."""
    with SpoolWriter(folder / f"small-{sheet.position}") as spool:
        for batch in sheet.batches():
            for start in range(0, len(batch.rows), rows):
                spool.write(batch.pick(range(start, min(start + rows, len(batch.rows)))))
        return replace(sheet, batches=spool.close())


def goal_for(kind: type[Target], planned: Planned, policy: str) -> Goal:
    columns = planned.plan.columns
    storage = kind(None).storage
    stored = [
        StoredColumn(each.name, each.header, place, each.type, storage(each.type, each.digits), scale=each.scale, filled=True)
        for place, each in enumerate(columns)
    ]
    return Goal(columns, tuple(stored), policy, frozenset())


def both_ways(
    planned: Planned, kind: type[Target], folder: Path, *, policy: str = "row", share: float = 1.0
) -> tuple[list[str], list[str]]:
    """What one process makes of a table, and what two make of it when the second does this *share* of the batches."""
    goal = goal_for(kind, planned, policy)
    alone = convert(Conversion(kind, planned.sheet, planned.plan, goal, 7))
    sharing = WorkSharing(folder / "shared work")
    sharing.set_up()
    batches = len(batch_numbers(planned.sheet, *rows_of(planned.plan)))
    work = Shared(kind, planned.sheet, planned.plan, goal, 7, sharing, max(1, round(share * batches)))
    return list(map(repr, alone)), list(map(repr, convert(work, sharing)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_gallery_is_converted_alike(tmp_path, path, share):
    """Every trap, in batches of three rows, for both kinds of database: the same rows, quarantine and accounts, to the last digit."""
    sheets = [in_small_batches(sheet, tmp_path, 3) for sheet in read_workbook(path, tmp_path).sheets]
    for planned in plan_tables(sheets, "dataset"):
        if planned.dataset is not None:
            for kind in KINDS:
                alone, together = both_ways(planned, kind, tmp_path, share=share)
                assert alone == together


cells = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.sampled_from(["", "x", "00123", "1,234.50", "2026-11-02", "Total", "1E5", "\0", ("#N/A", ERROR), ("45000.5", "nyyyy-mm-dd")]),
)


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(cells, min_size=1, max_size=4), min_size=2, max_size=30),
    rows_of_a_batch=st.integers(1, 8),
    share=st.floats(0, 1),
    into=st.tuples(st.sampled_from(KINDS), st.sampled_from(["row", "cell", "error"])),
    box=st.sampled_from([None, "B1:C20"]),
)
def test_any_sheet_is_converted_alike(rows, rows_of_a_batch, share, into, box):
    """Whatever the cells, the batches, the share of the second, the policy and the part of the sheet that was asked for."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        sheet = in_small_batches(make_sheet([["a", "b", "c", "d"], *rows]), folder, rows_of_a_batch)
        for planned in plan_tables([sheet], "dataset", TableOptions(box=box)):
            if planned.dataset is not None:
                alone, together = both_ways(planned, into[0], folder, policy=into[1], share=share)
                assert alone == together
