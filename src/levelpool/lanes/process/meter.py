"""What a call costs its worker: CPU seconds and memory."""

import resource

TOO_SHORT = 0.0001
"""Seconds: the CPU time of a shorter run is taken to be the run itself, for to ask the kernel would take as long as the call."""

MOST_UNASKED = 64
"""So many short runs in a row at most: the time between them, which is the worker's own, is not to be put down to the next long one."""


class Meter:
    """Reads what a process has used, call by call."""

    def __init__(self) -> None:
        self._unasked = 0
        self._cpu, self._peak = _used()

    def read(self, run: float) -> tuple[float, int]:
        """CPU seconds of the call that has just ended after *run* seconds, and the most resident bytes that this process has had."""
        if run < TOO_SHORT and self._unasked < MOST_UNASKED:
            self._unasked += 1
            self._cpu += run
            return run, self._peak
        self._unasked = 0
        before = self._cpu
        self._cpu, self._peak = _used()
        return max(0.0, self._cpu - before), self._peak


def _used() -> tuple[float, int]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
