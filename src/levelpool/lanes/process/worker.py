"""The worker's side of the process lane: take a call, run it, report, until there is nothing more to do."""

import contextvars
import io
import logging
import os
import pickle
import resource
import runpy
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from levelpool.errors import LevelpoolError, ResultNotPicklable, TaskNotPicklable
from levelpool.lanes import progress
from levelpool.lanes.process.failures import blame, pack_failure
from levelpool.lanes.process.page import Page
from levelpool.lanes.process.wire import (
    CREDIT,
    DONE,
    FAILED,
    ITEM,
    LOG,
    PROGRESS,
    READY,
    REPORT,
    SKIPPED,
    STOP,
    TASK,
    Frame,
    Framer,
    Parcel,
    decode_large,
    decode_small,
    encode,
    pack,
    receive,
)

_MAIN = "__mp_main__"
_REPORT_EVERY = 0.05


def prepare(preparation: dict[str, Any]) -> None:
    """Make this process like the lane's: arguments, working folder, and a `__main__` that is loaded when a task needs it."""
    sys.argv[:] = preparation["argv"]
    sys.modules["__main__"] = ModuleType("__main__")
    logging.getLogger().setLevel(preparation["log_level"])


def work(talk: socket.socket, life_line: socket.socket, page_fd: int, preparation: dict[str, Any]) -> None:
    """Run calls until the lane says stop or is gone, then end this process."""
    page = Page(page_fd)
    os.close(page_fd)
    _reseed()
    worker = Worker(talk, page, preparation)
    # A child that a task forks must not keep the lane's sockets open.
    os.register_at_fork(after_in_child=talk.close)
    os.register_at_fork(after_in_child=life_line.close)
    logging.getLogger().addHandler(_LogSender(worker))
    code = 0
    try:
        worker.serve()
    except (ConnectionError, KeyboardInterrupt):
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 1
    os._exit(code)


def _reseed() -> None:
    # `random` does this by itself after a fork; numpy's old global generator does not, and twins would draw the same numbers.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


class Worker:
    """One worker process: its socket to the lane, its page, the call that runs now."""

    def __init__(self, talk: socket.socket, page: Page, preparation: dict[str, Any]) -> None:
        self._talk = talk
        self._page = page
        self._preparation = preparation
        self._limit: int | None = preparation["max_result_bytes"]
        self._framer = Framer()
        self._frames: deque[Frame] = deque()
        self._sending = threading.Lock()
        self._main_is_loaded = False
        self.call = 0

    def serve(self) -> None:
        """Run calls in the order in which they come."""
        self.send(READY, 0)
        while True:
            frame = self._next()
            if frame.kind == STOP:
                return
            if frame.kind == TASK:
                self._take(frame)

    def send(self, kind: int, call: int, meta: bytes = b"", body: bytes | Parcel = b"") -> None:
        """Send one frame, from any thread."""
        data = pack(kind, call, meta, body)
        with self._sending:
            if isinstance(body, Parcel):
                sent = socket.send_fds(self._talk, [data], [body.fd])
                body.close()
                data = data[sent:]
            if data:
                self._talk.sendall(data)

    def _next(self) -> Frame:
        while not self._frames:
            data, fds = receive(self._talk)
            if not data:
                raise ConnectionResetError
            self._frames.extend(self._framer.feed(data, fds))
        return self._frames.popleft()

    def _take(self, frame: Frame) -> None:
        # First say that it begins, then look whether it was taken back: the lane does it the other way round.
        self._page.started = frame.call
        if self._page.is_taken_back(frame.call):
            parcel = frame.parcel()
            if parcel:
                parcel.close()
            self.send(SKIPPED, frame.call)
        else:
            self.call = frame.call
            contextvars.Context().run(self._run, frame)
            self.call = 0
        self._page.started = 0

    def _run(self, frame: Frame) -> None:
        started, cpu = time.monotonic(), time.process_time()
        kind, body = self._outcome(frame)
        ended = time.monotonic()
        size = body.length if isinstance(body, Parcel) else len(body)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.send(kind, frame.call, REPORT.pack(started, ended - started, time.process_time() - cpu, peak, size), body)

    def _outcome(self, frame: Frame) -> tuple[int, bytes | Parcel]:
        try:
            func, args, kwargs, window = self._unpack(frame)
            result = func(*args, **kwargs)
            del args, kwargs
            if window:
                self._stream(func, frame.call, result, window)
                result = None
            return DONE, self._pack_result(func, result)
        except BaseException as error:  # noqa: BLE001 - everything a task raises belongs to its caller, SystemExit included
            _forget_frames(error)
            return FAILED, encode(pack_failure(error))
        finally:
            progress.process_reports_to(None)

    def _unpack(self, frame: Frame) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], int]:
        try:
            wishes = pickle.loads(frame.meta) if frame.meta else {}  # noqa: S301 - from our own lane
            if wishes.get("progress"):
                progress.process_reports_to(_ProgressSender(self, frame.call))
            parcel = frame.parcel()
            if parcel:
                call = decode_large(parcel, self._found)
            else:
                call = decode_small(frame.body, self._found if b"__main__" in frame.body else None)
        except Exception as error:
            raise TaskNotPicklable(_why_not_unpacked(error)) from error
        func, args, kwargs = call
        _set_context(wishes.get("context", ()), wishes.get("carried"))
        return func, args, kwargs, wishes.get("window", 0)

    def _stream(self, func: Callable[..., Any], call: int, items: Iterable[object], window: int) -> None:
        """Send item after item, and rest while the reader is *window* items behind."""
        for item in items:
            while window == 0:
                window += self._next().kind == CREDIT
            window -= 1
            self.send(ITEM, call, body=self._pack_result(func, item))
            # The reader may be slow: what it has, we need not keep.
            del item

    def _found(self, module: str) -> None:
        if module == "__main__" and not self._main_is_loaded:
            self._main_is_loaded = True
            load_main(self._preparation)

    def _pack_result(self, func: Callable[..., Any], result: object) -> bytes | Parcel:
        try:
            return encode(result, self._limit)
        except LevelpoolError:
            raise
        except Exception as error:
            where, what = blame([("the result", result)])
            name = getattr(func, "__qualname__", repr(func))
            raise ResultNotPicklable(f"{where} of {name} cannot travel back from the worker process: {what} ({error})") from error


def _why_not_unpacked(error: Exception) -> str:
    if "__main__" in str(error):
        hint = "a function of a program without a file (python -c, a prompt) cannot be found by a worker: put it into a module"
    else:
        hint = "a worker process must be able to import what the call names"
    return f"the call cannot be unpacked in the worker process ({type(error).__name__}: {error}): {hint}"


def _forget_frames(error: BaseException) -> None:
    # The frames of our own machinery explain nothing to the reader of a task's traceback.
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    if tb is not None:
        error.__traceback__ = tb


def load_main(preparation: dict[str, Any]) -> None:
    """Run the lane's main program as a module named `__mp_main__`, as `multiprocessing` does, so that its functions can be found."""
    name, path = preparation["main_name"], preparation["main_path"]
    if name:
        content = runpy.run_module(name, run_name=_MAIN, alter_sys=True)
    elif path:
        content = runpy.run_path(path, run_name=_MAIN)
    else:
        return
    main = ModuleType(_MAIN)
    main.__dict__.update(content)
    sys.modules["__main__"] = sys.modules[_MAIN] = main


def _set_context(context: tuple[tuple[str, str, object], ...], carried: bytes | None) -> None:
    """Give context variables their values; a variable whose module nobody here has imported is one that nobody here can read."""
    values = [*context, *(pickle.loads(carried) if carried else ())]  # noqa: S301 - from our own lane
    for module, name, value in values:
        variable = getattr(sys.modules.get(module), name, None)
        if isinstance(variable, contextvars.ContextVar):
            variable.set(value)


class _ProgressSender:
    """Sends reports of progress, at most one in 50 ms, and always the last."""

    def __init__(self, worker: Worker, call: int) -> None:
        self._worker = worker
        self._call = call
        self._next_at = 0.0

    def __call__(self, done: float, total: float, message: str) -> None:
        now = time.monotonic()
        if now >= self._next_at or done >= total:
            self._next_at = now + _REPORT_EVERY
            self._worker.send(PROGRESS, self._call, body=pickle.dumps((done, total, str(message)), 5))


class _LogSender(logging.Handler):
    """Hands log records to the lane's process, which puts them where its own logging is configured to."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._worker.send(LOG, self._worker.call, body=encode(_plain_record(record)))
        except ConnectionError:
            # The lane is gone, and this process follows it.
            return
        except Exception:  # noqa: BLE001 - logging's own rule: a record that cannot be handled is reported, never raised
            self.handleError(record)


def _plain_record(record: logging.LogRecord) -> dict[str, Any]:
    fields = dict(record.__dict__)
    fields["message"] = fields["msg"] = record.getMessage()
    fields["args"] = None
    if record.exc_info and not record.exc_text:
        out = io.StringIO()
        traceback.print_exception(*record.exc_info, file=out)
        fields["exc_text"] = out.getvalue().rstrip("\n")
    fields["exc_info"] = None
    plain = (str, int, float, bool, type(None))
    return {key: value if isinstance(value, plain) else repr(value) for key, value in fields.items()}
