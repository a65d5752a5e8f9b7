"""The worker's side of the process lane: take a call, run it, report, until there is nothing more to do."""

import contextvars
import json
import logging
import os
import pickle
import runpy
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from levelpool.errors import LevelpoolError, NoRoom, ResultNotPicklable, TaskNotPicklable
from levelpool.lanes import progress, spans
from levelpool.lanes.process.exit_functions import run_exit_functions
from levelpool.lanes.process.failures import brief_failure, pack_failure
from levelpool.lanes.process.log_levels import NO_LEVELS, Levels, apply_levels
from levelpool.lanes.process.memfd_payload import MemfdPayload, decode_large, decode_small, encode
from levelpool.lanes.process.meter import Meter
from levelpool.lanes.process.pause import Pause
from levelpool.lanes.process.pickle_diagnosis import blame
from levelpool.lanes.process.program_state import State, complete_environment, set_authkey, set_output
from levelpool.lanes.process.resource_tracking import ResourceTracking
from levelpool.lanes.process.room import no_room
from levelpool.lanes.process.shared_flags import SharedFlags
from levelpool.lanes.process.stack_dump import dump_on_signal
from levelpool.lanes.process.threads import call_here, follow_threads
from levelpool.lanes.process.variables import Variables
from levelpool.lanes.process.wire import (
    CREDIT,
    DONE,
    FAILED,
    ITEM,
    LEVELS,
    LOG,
    PROGRESS,
    READY,
    REPORT,
    SKIPPED,
    STOP,
    TASK,
    TRACK,
    Frame,
    Framer,
    pack,
    receive,
)
from levelpool.tracebacks import format_error

logger = logging.getLogger(__name__)

_MAIN = "__mp_main__"
_MOST_FUNCTIONS = 1024
_REPORT_EVERY = 0.05


def prepare(preparation: State) -> None:
    """Make this process, which is new, like the lane's, and its `__main__` one that is loaded when a task needs it."""
    sys.argv[:] = preparation["argv"]
    if not preparation.get("main_is_loaded"):
        sys.modules["__main__"] = ModuleType("__main__")
    complete_environment(preparation["environment"])
    set_output(preparation["output"])
    set_authkey(preparation["authkey"])
    apply_levels(preparation["logging"], NO_LEVELS)


def work(talk: socket.socket, life_line: socket.socket, flags_fd: int, stack_fd: int, preparation: State) -> None:
    """Run calls until the lane says stop or is gone, then end this process."""
    flags = SharedFlags(flags_fd)
    os.close(flags_fd)
    dump_on_signal(stack_fd)
    _reseed()
    worker = Worker(talk, flags, preparation)
    follow_threads(lambda: worker.call)
    tracking = ResourceTracking(lambda *what: worker.send(TRACK, 0, body=pickle.dumps(what, 5)))
    sender = _LogSender(worker)
    logging.getLogger().addHandler(sender)

    def cut_off() -> None:
        """A child that a task forks must not keep the lane's sockets open, nor write into them."""
        logging.getLogger().removeHandler(sender)
        progress.process_reports_to(None)
        tracking.after_fork_in_child()
        talk.close()
        life_line.close()

    os.register_at_fork(after_in_child=cut_off)
    code = 0
    try:
        worker.serve()
    except (OSError, KeyboardInterrupt):
        # The lane is gone, or this process can open no more files to take what the lane sends.
        code = 1
    else:
        run_exit_functions()
    if flush_output() is not None:
        code = 1
    os._exit(code)


def flush_output() -> Exception | None:
    """Write out what was printed; the error of one that cannot be written."""
    failed = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception as error:  # noqa: BLE001 - a task may have put anything in its place, or have closed it
            failed = failed if stream is None else error
    return failed


def _reseed() -> None:
    # `random` does this by itself after a fork; numpy's old global generator does not, and twins would draw the same numbers.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


class Worker:
    """One worker process: its socket to the lane, its shared flags, the call that runs now."""

    def __init__(self, talk: socket.socket, flags: SharedFlags, preparation: State) -> None:
        self._talk = talk
        self._flags = flags
        self._preparation = preparation
        self._limit: int | None = preparation["max_result_bytes"]
        self._framer = Framer()
        self._pause = Pause(talk)
        self._patience: float | None = preparation["patience"]
        self._frames: deque[Frame] = deque()
        self._outbox: deque[tuple[bytes, bytes | MemfdPayload]] = deque()
        self._sending = threading.RLock()
        self._is_writing = False
        self._functions: dict[bytes, Callable[..., Any]] = {}
        self._variables = Variables()
        self._progress: _ProgressSender | None = None
        self._main_is_loaded: bool = preparation.get("main_is_loaded", False)
        self._main_error: str | None = None
        self._meter = Meter()
        self._has_told_of_output = False
        self.call = 0

    def serve(self) -> None:
        """Run calls in the order in which they come, until there is nothing more to do, or nobody has said anything for too long."""
        self.send(READY, 0)
        while True:
            frame = self._next(self._patience)
            if frame is None or frame.kind == STOP:
                spans.flush()
                return
            if frame.kind == TASK:
                self._take(frame)
            elif frame.kind == LEVELS:
                self._take_levels(json.loads(frame.body))

    def send(self, kind: int, call: int, meta: bytes = b"", body: bytes | MemfdPayload = b"") -> None:
        """
        Send one frame, from any thread.

        A signal handler or a finalizer may log in the midst of this: its frame goes out behind the one that is being written.
        """
        self._outbox.append((pack(kind, call, meta, body), body))
        with self._sending:
            while self._outbox and not self._is_writing:
                self._is_writing = True
                try:
                    data, body = self._outbox.popleft()
                    if isinstance(body, MemfdPayload):
                        data = data[socket.send_fds(self._talk, [data], [body.fd]) :]
                        body.close()
                    if data:
                        self._talk.sendall(data)
                finally:
                    self._is_writing = False

    def _next(self, patience: float | None = None) -> Frame | None:
        """The next frame; None if it does not come within *patience* seconds."""
        if not self._frames and not self._pause.wait(patience):
            return None
        frames = self._frames
        while not frames:
            data, fds = receive(self._talk)
            if not data:
                raise ConnectionResetError
            frames.extend(self._framer.feed(data, fds))
        return frames.popleft()

    def _take_levels(self, levels: Levels) -> None:
        apply_levels(levels, self._preparation["logging"])
        self._preparation["logging"] = levels

    def _take(self, frame: Frame) -> None:
        if self._flags.begin(frame.call):
            self.call = frame.call
            contextvars.Context().run(self._run, frame)
            self.call = 0
        else:
            self.send(SKIPPED, frame.call)
        self._flags.end()

    def _run(self, frame: Frame) -> None:
        started = time.monotonic()
        kind, body = self._outcome(frame)
        run = time.monotonic() - started
        try:
            # Most often there is nothing to write, and nothing in the way.
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - looked at more closely
            self._flush_output()
        cpu, peak_rss = self._meter.read(run)
        size = body.length if isinstance(body, MemfdPayload) else len(body)
        self.send(kind, frame.call, REPORT.pack(started, run, cpu, peak_rss, size), body)

    def _flush_output(self) -> None:
        """What a call has printed is there when its result is, and no death of the worker takes it away."""
        error = flush_output()
        if error is not None and not self._has_told_of_output:
            self._has_told_of_output = True
            logger.warning("worker %d cannot write out what its tasks print: %r", os.getpid(), error)

    def _outcome(self, frame: Frame) -> tuple[int, bytes | MemfdPayload]:
        try:
            window = self._apply_metadata(frame) if frame.meta else 0
            func, args, kwargs = self._unpack(frame)
            result = func(*args, **kwargs)
            del args, kwargs
            if window:
                self._stream(func, frame.call, result, window)
                result = None
            return DONE, self._pack_result(func, result)
        except BaseException as error:  # noqa: BLE001 - everything a task raises belongs to its caller, SystemExit included
            _forget_frames(error)
            return FAILED, _pack_error(error)
        finally:
            if frame.meta:
                self._clear_metadata()

    def _apply_metadata(self, frame: Frame) -> int:
        """Do what the metadata of the call says; the window of a stream, 0 for anything else."""
        metadata = decode_small(frame.meta, self._found)
        if metadata["progress"]:
            self._progress = _ProgressSender(self, frame.call)
            progress.reports_to(self._progress)
            progress.process_reports_to(self._progress.of_this_thread)
        if metadata["trace"]:
            spans.join(metadata["trace"])
        values = [*metadata["context"], *(decode_small(metadata["carried"], self._found) if metadata["carried"] else ())]
        self._variables.set(values)
        return int(metadata["window"])

    def _clear_metadata(self) -> None:
        if self._progress is not None:
            self._progress.flush()
            self._progress = None
        progress.process_reports_to(None)
        self._variables.clear()

    def _unpack(self, frame: Frame) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        try:
            if not frame.function_ref:
                args, kwargs, func = self._contents(frame)
                return func, args, kwargs
            func = self._functions.get(frame.function_ref) or self._find(frame.function_ref)
            if not frame.body:
                return func, (), {}
            args, kwargs = self._contents(frame)
        except TaskNotPicklable:
            raise
        except Exception as error:
            refusal = no_room("the arguments of the call cannot be taken", error, "the worker process")
            if refusal is not None:
                raise refusal from error
            raise TaskNotPicklable(_why_not_unpacked(error)) from error
        return func, args, kwargs

    def _find(self, function_ref: bytes) -> Callable[..., Any]:
        func: Callable[..., Any] = decode_small(function_ref, self._found)
        if len(self._functions) >= _MOST_FUNCTIONS:
            self._functions.clear()
        self._functions[function_ref] = func
        return func

    def _contents(self, frame: Frame) -> Any:
        if frame.memfd:
            return decode_large(frame.memfd, self._found)
        return decode_small(frame.body, self._found if b"__main__" in frame.body else None)

    def _stream(self, func: Callable[..., Any], call: int, items: Iterable[object], window: int) -> None:
        """Send item after item, and rest while the reader is *window* items behind."""
        for item in items:
            while window == 0:
                frame = self._next()
                window += frame is not None and frame.kind == CREDIT
            window -= 1
            self.send(ITEM, call, body=self._pack_result(func, item))
            # The reader may be slow: what it has, we need not keep.
            del item

    def _found(self, module: str) -> None:
        if module != "__main__" or self._main_is_loaded:
            return
        if self._main_error is None:
            try:
                load_main(self._preparation)
            except BaseException as error:  # noqa: BLE001 - it may do anything, and must do it once
                self._main_error = f"{type(error).__name__}: {error}"
            else:
                self._main_is_loaded = True
                self._variables.loaded("__main__")
                return
        hint = 'guard its start with `if __name__ == "__main__":`, or put the task into a module'
        raise TaskNotPicklable(f"the main program cannot be loaded in the worker process ({self._main_error}): {hint}")

    def _pack_result(self, func: Callable[..., Any], result: object) -> bytes | MemfdPayload:
        try:
            return encode(result, self._limit)
        except Exception as error:
            name = getattr(func, "__qualname__", repr(func))
            refusal = no_room(f"the result of {name} was not sent back from its worker process", error)
            if refusal is not None:
                raise refusal from error
            if isinstance(error, LevelpoolError):
                raise
            where, what = blame([("the result", result)])
            raise ResultNotPicklable(f"{where} of {name} cannot travel back from the worker process: {what} ({error})") from error


def _pack_error(error: BaseException) -> bytes | MemfdPayload:
    try:
        return encode(pack_failure(error))
    except NoRoom:
        # A long one: its words are cut rather than lost.
        return encode(brief_failure(error))


def _why_not_unpacked(error: Exception) -> str:
    if "__main__" in str(error):
        hint = "a function of a program without a file (python -c, a prompt) cannot be found by a worker: put it into a module"
    elif type(error).__name__ == "AuthenticationError":
        hint = (
            "a proxy of a multiprocessing manager opens it with the key of its process (multiprocessing.current_process().authkey), and the manager was "
            "started with another one: start it without an authkey, or give the program that key before its first worker starts"
        )
    else:
        hint = "a worker process must be able to import what the call names"
    return f"the call cannot be unpacked in the worker process ({type(error).__name__}: {error}): {hint}"


def _forget_frames(error: BaseException) -> None:
    # The frames of our own machinery explain nothing to the reader of a task's traceback.
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    if tb is not None:
        # Not as an attribute: a frozen dataclass would refuse that.
        error.with_traceback(tb)


def load_main(preparation: State) -> None:
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


class _ProgressSender:
    """Sends reports of progress, at most one in 50 ms, the first one that says that all is done, and always the last."""

    def __init__(self, worker: Worker, call: int) -> None:
        self._worker = worker
        self._call = call
        self._next_at = 0.0
        self._was_full = False
        self._held_back: tuple[float, float, str] | None = None
        self._is_over = False

    def of_this_thread(self, done: float, total: float, message: str) -> None:
        """Likewise for a thread without a context: one that another call has left behind does not count."""
        if call_here() == self._call:
            self(done, total, message)

    def __call__(self, done: float, total: float, message: str) -> None:
        if self._is_over:
            return
        now, is_full = time.monotonic(), 0 < total <= done
        report = (done, total, str(message))
        if now < self._next_at and (self._was_full or not is_full):
            self._held_back = report
            return
        self._next_at = now + _REPORT_EVERY
        self._was_full = is_full
        self._held_back = None
        self._send(report)

    def flush(self) -> None:
        """The task has ended: what was held back is the last report."""
        self._is_over = True
        if self._held_back is not None:
            self._send(self._held_back)

    def _send(self, report: tuple[float, float, str]) -> None:
        self._worker.send(PROGRESS, self._call, body=pickle.dumps(report, 5))


class _LogSender(logging.Handler):
    """Hands log records to the lane's process, which puts them where its own logging is configured to."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._worker.send(LOG, call_here(), body=encode(_plain_record(record)))
        except ConnectionError:
            # The lane is gone, and this process follows it.
            return
        except Exception:  # noqa: BLE001 - logging's own rule: a record that cannot be handled is reported, never raised
            self.handleError(record)


def _plain_record(record: logging.LogRecord) -> dict[str, Any]:
    fields = dict(record.__dict__)
    fields["message"] = fields["msg"] = record.getMessage()
    fields["args"] = None
    if record.exc_info and record.exc_info[1] and not record.exc_text:
        fields["exc_text"] = format_error(record.exc_info[1]).rstrip("\n")
    fields["exc_info"] = None
    plain = (str, int, float, bool, type(None))
    return {key: value if isinstance(value, plain) else repr(value) for key, value in fields.items()}
