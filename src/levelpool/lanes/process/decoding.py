"""How what a worker sent back reaches its caller: small things are unpacked in the loop, large ones beside it, in small steps."""

import asyncio
import contextlib
import logging
import pickle
from collections.abc import Callable
from typing import Any

from levelpool.errors import ResultNotPicklable
from levelpool.lanes.completions import LoopCompletion, ThreadCompletion
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane import now
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.failures import unpack_failure
from levelpool.lanes.process.memfd_payload import (
    PAUSE,
    SMALL,
    MemfdPayload,
    MissingModuleError,
    decode_large,
    decode_small,
    refuse_missing_module,
)
from levelpool.lanes.process.wire import DONE, Frame

CountDecoding = Callable[[Call, float], None]


class Decoder:
    """Unpacks outcomes and items, never under the lane's lock: unpickling runs foreign code."""

    def __init__(self, helpers: HelperThreads, *, count: CountDecoding) -> None:
        """*count* is told how many seconds the unpacking of a large outcome took."""
        self._helpers = helpers
        self._count = count

    def outcome(self, call: Call, frame: Frame) -> None:
        """Hand the outcome of *call* over: now if it is small, else in a helper thread."""
        if frame.memfd is not None and frame.memfd.pickle_length > SMALL:
            self._helpers.do(lambda: self._outcome_apart(call, frame))
            return
        try:
            value = self._read(frame.memfd) if frame.memfd else decode_small(frame.body, refuse_missing_module)
            outcome = value if frame.kind == DONE else unpack_failure(value, refuse_missing_module)
        except MissingModuleError:
            self._helpers.do(lambda: self._outcome_apart(call, frame))
            return
        except BaseException as error:  # unpickling runs the user's code, which may raise anything, SystemExit too
            call.completion.fail(_cannot_unpack(call, error))
            if isinstance(error, KeyboardInterrupt):
                raise
            return
        _give(call, frame, outcome)

    def _read(self, memfd: MemfdPayload) -> Any:
        # It is read once more, in another thread, if it names a module that is not here yet.
        return decode_large(memfd.duplicate(), refuse_missing_module, free=self._helpers.do)

    def _read_apart(self, frame: Frame) -> Any:
        return decode_large(frame.memfd, pause=PAUSE, free=self._helpers.do) if frame.memfd else decode_small(frame.body)

    def _outcome_apart(self, call: Call, frame: Frame) -> None:
        began = now()
        try:
            value = self._read_apart(frame)
            outcome = value if frame.kind == DONE else unpack_failure(value)
        except BaseException as error:  # noqa: BLE001 - as above
            call.completion.fail(_cannot_unpack(call, error))
            return
        self._count(call, now() - began)
        _give(call, frame, outcome)

    async def item(self, frame: Frame) -> Any:
        """What a generator yielded."""
        if frame.memfd is None:
            with contextlib.suppress(MissingModuleError):
                return decode_small(frame.body, refuse_missing_module)
        completion = LoopCompletion(asyncio.get_running_loop())

        def unpack() -> None:
            try:
                completion.succeed(self._read_apart(frame))
            except BaseException as error:  # noqa: BLE001 - as above
                completion.fail(error)

        self._helpers.do(unpack)
        return await completion.future


def _give(call: Call, frame: Frame, outcome: Any) -> None:
    if frame.kind == DONE:
        call.completion.succeed(outcome)
    else:
        call.completion.fail(outcome)


def _cannot_unpack(call: Call, error: BaseException) -> ResultNotPicklable:
    refusal = ResultNotPicklable(f"the result of {call.name} cannot be unpacked here ({type(error).__name__}: {error})")
    refusal.__cause__ = error
    return refusal


def pass_progress(completion: LoopCompletion | ThreadCompletion, report: Callable[[float, float, str], None], body: bytes) -> None:
    """Call the caller's `on_progress`."""
    completion.call(report, *pickle.loads(body))  # noqa: S301 - from our own worker


def pass_record(call: Call | None, frame: Frame) -> None:
    """Put a worker's log record where this process's logging puts its own, in the context of the call."""
    fields = decode_large(frame.memfd) if frame.memfd else decode_small(frame.body)
    record = logging.makeLogRecord(fields)
    record.levelpool_task = call.name if call else ""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        if call is None:
            logger.handle(record)
        else:
            call.context.copy().run(logger.handle, record)
