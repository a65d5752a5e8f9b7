"""What the workers of every candidate run. Imports nothing large, so that a worker's memory and birth are its pool's own."""

import os
import time

DICTS = 300_000
MEGABYTES = 100

_made: dict[str, object] = {}


def noop() -> None:
    """Nothing."""


def nap(seconds: float) -> int:
    """Keep a worker busy for a moment."""
    time.sleep(seconds)
    return os.getpid()


def live_on(processors: set[int]) -> None:
    """Keep this worker on these processors."""
    os.sched_setaffinity(0, processors)


def array() -> object:
    """100 MB of numbers, made once."""
    if "array" not in _made:
        import numpy as np

        _made["array"] = np.random.default_rng(0).random(MEGABYTES * (1 << 20) // 8)
    return _made["array"]


def arrow() -> object:
    """The same numbers as an Arrow table of ten columns, made once."""
    if "arrow" not in _made:
        import numpy as np
        import pyarrow as pa

        length = MEGABYTES * (1 << 20) // 80
        _made["arrow"] = pa.table({f"column_{i}": np.random.default_rng(i).random(length) for i in range(10)})
    return _made["arrow"]


def dicts() -> object:
    """300,000 dicts, made once."""
    if "dicts" not in _made:
        _made["dicts"] = make_dicts(0, DICTS)
    return _made["dicts"]


def make_dicts(begin: int, end: int) -> list[dict[str, object]]:
    """Dicts of a usual kind: numbers, a name, a flag."""
    return [{"id": i, "name": f"user-{i}", "score": i / 7, "ok": bool(i & 1)} for i in range(begin, end)]


def take(thing: list[object]) -> int:
    """The length of an argument."""
    return len(thing)


def summarise(seconds: float = 0.0) -> float:
    """A task that uses pandas and pyarrow, as many do, and then keeps its worker busy for some *seconds*."""
    import pandas as pd
    import pyarrow as pa

    frame = pd.DataFrame({"key": [i % 7 for i in range(10_000)], "value": range(10_000)})
    grouped = frame.groupby("key", as_index=False).sum()
    table = pa.Table.from_pandas(grouped)
    time.sleep(seconds)
    return float(table["value"][0].as_py())


def spin() -> int:
    """One C call that holds the interpreter lock for ever."""
    return sum(range(10**12))


def ignore_sigterm() -> None:
    """A task that does not want to end."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
