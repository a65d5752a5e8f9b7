"""The readings of a run: by table and candidate, in the order they were taken."""

import statistics
from collections.abc import Iterator

from benchmarks.measure import Series


class Readings:
    """What was measured so far."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, list[float]]] = {}

    def note(self, table: str, name: str, value: float) -> None:
        """Add one reading."""
        self._tables.setdefault(table, {}).setdefault(name, []).append(value)

    def tables(self) -> Iterator[tuple[str, list[Series]]]:
        """Each table with its candidates."""
        for table, rows in self._tables.items():
            yield table, [Series(name, tuple(values)) for name, values in rows.items()]

    def of(self, table: str, name: str) -> list[float]:
        """The readings of one candidate."""
        return self._tables[table][name]

    def median(self, table: str, name: str) -> float:
        """The middle one."""
        return statistics.median(self.of(table, name))

    def ratio(self, table: str, name: str, baseline: str) -> float:
        """The median of one candidate in terms of another's."""
        return self.median(table, name) / self.median(table, baseline)

    def best_of_others(self, table: str, but: set[str], *, most: bool = False) -> float:
        """The best median of the candidates that are not in *but*: the least, or the *most*."""
        medians = [self.median(table, name) for name in self._tables[table] if name not in but]
        return max(medians) if most else min(medians)

    def kept(self) -> dict[str, dict[str, list[float]]]:
        """All of it, as plain data."""
        return self._tables
