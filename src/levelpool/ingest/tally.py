"""What became of the files that this process took in, and how long they took: counted since it started."""

import threading
from collections import Counter

from levelpool.histogram import Histogram

OUTCOMES = ("loaded", "partial", "failed", "duplicate")
ROWS = ("loaded", "quarantined")
STAGES = ("waiting", "reading", "loading")


class Tally:
    """Counts of files and rows, and durations by stage; usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # All from the start: a counter that appears with its first event hides this event from whoever asks for the increase.
        self._files = Counter(dict.fromkeys(OUTCOMES, 0))
        self._rows = Counter(dict.fromkeys(ROWS, 0))
        self._seconds = {stage: Histogram() for stage in STAGES}

    def ended(self, outcome: str, *, loaded: int = 0, quarantined: int = 0) -> None:
        """Count one file, and what it brought."""
        with self._lock:
            self._files[outcome] += 1
            self._rows.update({"loaded": loaded, "quarantined": quarantined})

    def took(self, stage: str, seconds: float) -> None:
        """Count how long one file took for one stage."""
        with self._lock:
            self._seconds[stage].add(seconds)

    def to_dict(self) -> dict[str, object]:
        """Plain values, for a snapshot: `files` by outcome, `rows` by state, and of each stage how many stayed below each bound, how many there were, and their sum."""
        with self._lock:
            seconds = {
                stage: {"below": list(each.below()), "count": each.count, "sum": each.total} for stage, each in self._seconds.items()
            }
            return {"files": dict(self._files), "rows": dict(self._rows), "seconds": seconds}
