"""The batches of a sheet, each dealt with by itself: here, or by a helper worker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from levelpool.sheets.clean.subsheets import batch_at, batch_numbers, batches_between
from levelpool.sheets.table import Batch, Sheet
from levelpool.sheets.work_sharing import WorkSharing

T = TypeVar("T")

Deal = Callable[[Batch], Iterator[T]]


def batch_by_batch(sheet: Sheet, rows: tuple[int, int], begin: Callable[[], Deal[T]], sharing: WorkSharing | None) -> Iterator[T]:
    """
    What comes of the batches of *sheet* that may hold one of these *rows*, first and last, in order.

    *begin* gives what deals with one batch; it must depend on nothing else, and be picklable.
    A sheet whose batches only come one after the other is dealt with here.
    """
    numbers = batch_numbers(sheet, *rows)
    if sharing is not None and numbers:
        return chain.from_iterable(sharing.in_order(_Batches(sheet, numbers, begin)))
    return chain.from_iterable(map(begin(), batches_between(sheet, *rows)))


@dataclass(frozen=True, slots=True)
class _Batches(Generic[T]):
    """Work for two: a batch of the sheet each piece."""

    sheet: Sheet
    numbers: list[int]
    deal: Callable[[], Deal[T]]

    def __len__(self) -> int:
        return len(self.numbers)

    def begin(self) -> Callable[[int], list[T]]:
        """What deals with the batch at a place among them."""
        deal = self.deal()
        return lambda place: [] if (batch := batch_at(self.sheet.batches, self.numbers[place])) is None else list(deal(batch))
