"""Counts of durations, in constant space: any quantile, and the buckets that Prometheus wants."""

from collections.abc import Iterable, Mapping

BOUNDS = tuple((1 << bits) / 1e6 for bits in range(10, 26, 2))
"""Seconds, from 1 ms to 17 s, each four times the one before; they lie where buckets end, so what is counted below them is exact."""

_MOST_FRESH = 200


class Histogram:
    """Counts of durations in buckets that grow by a quarter of an octave: any quantile within 20 percent, in constant space."""

    __slots__ = ("_buckets", "_count", "_fresh", "_total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0
        self._total = 0.0
        # Sorted in by the hundred: while somebody waits for what was timed, an append is all that it should cost.
        self._fresh: list[float] = []

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._fresh.append(seconds)
        if len(self._fresh) >= _MOST_FRESH:
            self._sort_in()

    def extend(self, durations: Iterable[float]) -> None:
        """Count many durations."""
        self._fresh.extend(durations)
        self._sort_in()

    def _sort_in(self) -> None:
        fresh, self._fresh = self._fresh, []
        for seconds in fresh:
            bucket = _bucket_of(int(seconds * 1e6))
            self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._count += len(fresh)
        self._total += sum(fresh)

    @property
    def buckets(self) -> Mapping[int, int]:
        """How many durations fell into each bucket."""
        self._sort_in()
        return self._buckets

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return self._count + len(self._fresh)

    @property
    def total(self) -> float:
        """The sum of all durations, in seconds."""
        self._sort_in()
        return self._total

    def quantile(self, share: float) -> float:
        """The duration in seconds that *share* (0 to 1) of all stayed below; 0.0 without any."""
        buckets = self.buckets
        left = share * self.count
        for bucket in sorted(buckets):
            left -= buckets[bucket]
            if left <= 0:
                return _upper_end(bucket)
        return 0.0

    def below(self, bounds: tuple[float, ...] = BOUNDS) -> tuple[int, ...]:
        """How many durations stayed below each of *bounds*, which are seconds."""
        return tuple(sum(count for bucket, count in self.buckets.items() if _upper_end(bucket) <= bound) for bound in bounds)


def _bucket_of(micros: int) -> int:
    if micros < 4:
        return max(0, micros)
    bits = micros.bit_length()
    # The two bits below the leading one choose the quarter.
    return bits * 4 + (micros >> (bits - 3) & 3)


def _upper_end(bucket: int) -> float:
    if bucket < 4:
        return (bucket + 1) / 1e6
    bits, quarter = divmod(bucket, 4)
    return ((5 + quarter) << (bits - 3)) / 1e6
