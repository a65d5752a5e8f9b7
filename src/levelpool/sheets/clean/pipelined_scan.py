"""A pipelined scan: a second process walks over the rows of a file while the first one still reads it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from levelpool.sheets.clean.draft import may_have_templates
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.scan import Drafts, find_drafts
from levelpool.sheets.spool import SpooledBatches, follow
from levelpool.sheets.table import Batch, Sheet
from levelpool.sheets.work_sharing import CHECK_WORK_EVERY, Recalled, WorkSharing

_READ = "read"  # this file in the folder of the spools says that all of them are there


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found in sheets on the way, by the spool that each was scanned in."""

    drafts: Mapping["_Spool", Drafts] = field(default_factory=dict)

    def drafts_of(self, sheet: Sheet) -> "Drafts | None":
        """
        The drafts of *sheet*; None where nobody scanned.

        Merged areas stand at the end of a file, and the calendar and what is hidden apart from the rows: a sheet that has more to say than
        its rows is scanned again.
        """
        if not isinstance(sheet.batches, SpooledBatches) or sheet.merges or sheet.date1904 or may_have_templates(sheet):
            return None
        return self.drafts.get(_Spool.at(sheet.batches.path))


NOTHING_SCANNED = Scanned()


@contextlib.contextmanager
def scan_while_reading(folder: Path, options: TableOptions, sharing: WorkSharing | None) -> Iterator[Callable[[], Scanned]]:
    """While the body reads a file into spools in *folder*, let a second process walk over them; gives what asks for its findings, once."""
    if sharing is None or options.box is not None:  # of a box nobody has to walk through all
        yield lambda: NOTHING_SCANNED
        return

    def scanned() -> Scanned:
        (folder / _READ).touch()
        return result() or NOTHING_SCANNED

    with sharing.ahead(_PipelinedScan(folder, replace(options, password=None), sharing)) as result:
        yield scanned


@dataclass(frozen=True, slots=True)
class _Spool:
    """Which file a spool is: another one may come to its place, when the reader begins anew."""

    number: int
    size: int

    @classmethod
    def at(cls, path: Path) -> "_Spool":
        found = path.stat()
        return cls(found.st_ino, found.st_size)


@dataclass(frozen=True, slots=True)
class _PipelinedScan:
    """Work for a helper, of one piece: walk over all spools of a folder, each while it is written."""

    folder: Path
    options: TableOptions
    sharing: WorkSharing

    def __len__(self) -> int:
        return 1

    def begin(self) -> Callable[[int], Scanned]:
        """What does the one piece."""
        return self._scan

    def _scan(self, _: int) -> Scanned:
        drafts: dict[_Spool, Drafts] = {}
        seen = set[int]()
        while True:
            is_read = self._is_read()
            # Where the reader begins anew, its spool is thrown away.
            with contextlib.suppress(FileNotFoundError):
                for path in sorted(self.folder.glob("sheet-*.cells")):
                    if path.stat().st_ino not in seen:
                        seen.add(path.stat().st_ino)
                        found = find_drafts(Sheet(name="", position=0, batches=_Following(path, self)), self.options)
                        drafts[_Spool.at(path)] = found
                        is_read = False  # there may be another one by now
            if is_read:
                return Scanned(drafts)
            self.wait()

    def _is_read(self) -> bool:
        return (self.folder / _READ).exists()

    def follow(self, path: Path) -> Iterator[Batch]:
        """The batches of a spool while it is written."""
        is_read = False

        def wait() -> None:
            nonlocal is_read
            if is_read:
                raise FileNotFoundError(path)  # the reader has gone on without an end to this one
            is_read = self._is_read()
            self.wait()

        for batch in follow(path, wait):
            yield batch
            self._stay()

    def wait(self) -> None:
        """Let some time pass; raises `Recalled`."""
        self._stay()
        time.sleep(CHECK_WORK_EVERY)

    def _stay(self) -> None:
        if self.sharing.is_alone:
            raise Recalled


@dataclass(frozen=True, slots=True)
class _Following:
    """The batches of a spool that is still being written."""

    path: Path
    scan: _PipelinedScan

    def __call__(self) -> Iterator[Batch]:
        return self.scan.follow(self.path)
