"""
How late the event loop is, and which code keeps it.

A heartbeat in the loop measures its own lateness. A thread beside it looks at the heartbeat; when it is overdue by more
than the threshold, the thread writes down what the loop's thread is doing right then. This needs no debug mode, and works
under uvloop too.
"""

import asyncio
import contextlib
import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import FrameType, TracebackType
from typing import Self

from levelpool.tracebacks import extract_stack

logger = logging.getLogger(__name__)

_REMEMBERED_BLOCKS = 20
_FRAMES = 40


@dataclass(frozen=True, slots=True)
class Block:
    """One time that the loop stood still for longer than the threshold."""

    at: datetime
    """When it began."""
    seconds: float
    culprit: str
    """The innermost line of the stack, in words."""
    stack: tuple[str, ...]
    """What the loop's thread was doing when the block was noticed, the innermost line last; empty when it was over too soon to see."""
    task: str | None
    """The name of the asyncio task that ran."""
    cpu: float | None
    """Seconds of the block in which the loop's thread ran on a processor."""
    starved: float | None
    """Seconds of the block in which it was ready to run, but got no processor: throttled, or crowded out."""

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        return {
            "at": self.at.isoformat(),
            "seconds": self.seconds,
            "culprit": self.culprit,
            "stack": list(self.stack),
            "task": self.task,
            "cpu": self.cpu,
            "starved": self.starved,
        }


@dataclass(frozen=True, slots=True)
class LagReading:
    """Lateness of the loop in seconds over the last minute, and the blocks since the watch began."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    blocks: int = 0
    recent: tuple[Block, ...] = ()
    """The last blocks, newest first."""
    blocked_for: float = 0.0
    """Seconds for which the loop stands still right now; 0 when it does not."""

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        return {
            "lag_p50": self.p50,
            "lag_p99": self.p99,
            "lag_max": self.max,
            "blocks": self.blocks,
            "blocked_for": self.blocked_for,
            "recent": [block.to_dict() for block in self.recent],
        }


@dataclass(frozen=True, slots=True)
class _ThreadTimes:
    cpu: float | None
    starved: float | None


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the watching thread saw during one overdue heartbeat."""

    beat: int
    stack: tuple[str, ...]
    task: str | None
    idle: bool = False
    """The loop ran no code: it was late because its thread got no processor."""


_UNSEEN = _Sight(-1, (), None)
_NO_CODE = "no code: its thread got no processor"
_UNKNOWN = "unknown: no other thread could run meanwhile"


class LagWatch:
    """
    Watches the loop that it is started in: `async with LagWatch() as watch: ... watch.reading()`.

    *threshold*: seconds; a block longer than this is reported with its stack, in the log while it lasts, and to *on_block*
    when it is over (in the loop). *interval*: seconds between two heartbeats. *window*: seconds that the quantiles look back.
    """

    def __init__(
        self, *, threshold: float = 0.1, interval: float = 0.05, window: float = 60.0, on_block: Callable[[Block], None] | None = None
    ) -> None:
        self._threshold = threshold
        self._interval = interval
        self._on_block = on_block
        self._lags: deque[float] = deque(maxlen=max(1, math.ceil(window / interval)))
        self._recent: deque[Block] = deque(maxlen=_REMEMBERED_BLOCKS)
        self._blocks = 0
        self._beats = 0
        self._due = 0.0
        self._times = _ThreadTimes(None, None)
        self._sight = _UNSEEN
        self._handle: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._schedstat = -1

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch the running loop; does nothing when it is watched already."""
        if self._thread is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._schedstat = self._open_schedstat()
        self._stop.clear()
        self._schedule()
        self._thread = threading.Thread(target=self._watch, name="levelpool lag watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; readings stay as they are."""
        if self._handle is not None:
            self._handle.cancel()
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
            self._thread = None
        if self._schedstat >= 0:
            os.close(self._schedstat)
            self._schedstat = -1

    def reading(self) -> LagReading:
        """The lateness of the last minute; usable from any thread."""
        lags = sorted(self._copy_of_lags())
        overdue = time.monotonic() - self._due if self._thread is not None else 0.0
        return LagReading(
            p50=_quantile(lags, 0.50),
            p99=_quantile(lags, 0.99),
            max=lags[-1] if lags else 0.0,
            blocks=self._blocks,
            recent=tuple(reversed(self._recent)),
            blocked_for=overdue if overdue > self._threshold else 0.0,
        )

    def recent_p99(self, seconds: float) -> float:
        """The lateness in seconds that 99 of 100 heartbeats of the last so many *seconds* were below; usable from any thread."""
        lags = self._copy_of_lags()
        return _quantile(sorted(lags[-max(1, round(seconds / self._interval)) :]), 0.99)

    def _copy_of_lags(self) -> list[float]:
        # The loop's thread appends while another one copies; a copy that was disturbed is made again.
        while True:
            with contextlib.suppress(RuntimeError):
                return list(self._lags)

    # -- in the loop

    def _schedule(self) -> None:
        self._times = self._thread_times()
        self._due = time.monotonic() + self._interval
        if self._loop is not None:
            self._handle = self._loop.call_later(self._interval, self._beat)

    def _beat(self) -> None:
        lag = max(0.0, time.monotonic() - self._due)
        self._lags.append(lag)
        if lag > self._threshold:
            self._report(lag)
        self._beats += 1
        self._schedule()

    def _report(self, lag: float) -> None:
        sight = self._sight if self._sight.beat == self._beats else _UNSEEN
        times = self._thread_times()
        block = Block(
            at=datetime.now(UTC) - timedelta(seconds=lag),
            seconds=lag,
            culprit=sight.stack[-1] if sight.stack else _NO_CODE if sight.idle else _UNKNOWN,
            stack=sight.stack,
            task=sight.task,
            cpu=_difference(times.cpu, self._times.cpu),
            starved=_difference(times.starved, self._times.starved),
        )
        self._blocks += 1
        self._recent.append(block)
        logger.warning("the event loop stood still for %.3f s: %s", lag, block.culprit)
        if self._on_block is not None:
            self._on_block(block)

    def _thread_times(self) -> _ThreadTimes:
        """CPU time of the loop's thread, and the time it waited for a processor; None where the system does not tell."""
        if self._schedstat < 0:
            return _ThreadTimes(None, None)
        # Twenty times a second: one system call on an open file, and not three.
        ran, waited, _slices = os.pread(self._schedstat, 100, 0).split()
        return _ThreadTimes(int(ran) / 1e9, int(waited) / 1e9)

    def _open_schedstat(self) -> int:
        try:
            return os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1  # not Linux, or a kernel without it

    # -- in the watching thread

    def _watch(self) -> None:
        # Looking four times within the threshold finds a block before it is twice as long.
        pause = max(0.005, self._threshold / 4)
        while not self._stop.wait(pause):
            beat = self._beats
            overdue = time.monotonic() - self._due
            if overdue > self._threshold and self._sight.beat != beat:
                self._look(beat, overdue)

    def _look(self, beat: int, overdue: float) -> None:
        """Write down what the loop's thread does right now."""
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to see another thread
        idle, stack = _is_idle(frame), describe_stack(frame)
        del frame
        task = asyncio.current_task(self._loop)
        if self._beats != beat:
            return  # it went on meanwhile: this stack belongs to something else
        if idle:
            self._sight = _Sight(beat, (), None, idle=True)
            return
        self._sight = _Sight(beat, stack, task.get_name() if task else None)
        logger.warning("the event loop has stood still for %.3f s so far in:%s", overdue, "".join(f"\n  {line}" for line in stack))


def _is_idle(frame: FrameType | None) -> bool:
    """Whether the loop waits for something to happen: asyncio in its selector, uvloop (whose loop is no Python) in its runner."""
    if frame is None:
        return False
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    return (name == "select" and file.endswith("selectors.py")) or file.endswith(("asyncio/runners.py", "uvloop/__init__.py"))


def describe_stack(frame: FrameType | None) -> tuple[str, ...]:
    """The stack of *frame* as lines such as `handlers.py:12 in upload: data = file.read()`, the innermost last."""
    if frame is None:
        return ()
    summary = extract_stack(frame)[-_FRAMES:]
    return tuple(f"{each.filename}:{each.lineno} in {each.name}" + (f": {each.line}" if each.line else "") for each in summary)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else max(0.0, after - before)
