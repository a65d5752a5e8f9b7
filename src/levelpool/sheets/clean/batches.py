"""The batches of a sheet, each dealt with by itself: here, or by a helper worker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from levelpool.sheets.clean.subsheets import batch_at, count_batches
from levelpool.sheets.table import Batch, Sheet
from levelpool.sheets.work_sharing import WorkSharing

T = TypeVar("T")

Deal = Callable[[Batch], Iterator[T]]


def batch_by_batch(sheet: Sheet, begin: Callable[[], Deal[T]], sharing: WorkSharing | None) -> Iterator[T]:
    """
    What comes of all batches of *sheet*, in order. *begin* gives what deals with one batch; it must depend on nothing else, and be picklable.

    A sheet whose batches only come one after the other is dealt with here.
    """
    if sharing is not None and count_batches(sheet):
        return chain.from_iterable(sharing.in_order(_Batches(sheet, begin)))
    return chain.from_iterable(map(begin(), sheet.batches()))


@dataclass(frozen=True, slots=True)
class _Batches(Generic[T]):
    """Work for two: a batch of the sheet each piece."""

    sheet: Sheet
    deal: Callable[[], Deal[T]]

    def __len__(self) -> int:
        return count_batches(self.sheet)

    def begin(self) -> Callable[[int], list[T]]:
        """What deals with the batch of a number."""
        deal = self.deal()
        return lambda number: [] if (batch := batch_at(self.sheet.batches, number)) is None else list(deal(batch))
