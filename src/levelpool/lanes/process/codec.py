"""How calls become bytes and outcomes become objects again: small ones on the spot, large ones in a helper thread, in small steps."""

import asyncio
import contextvars
import logging
import pickle
import sys
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from levelpool.errors import LevelpoolError, ResultNotPicklable, TaskNotPicklable
from levelpool.lanes.backend import Events, LaneParts
from levelpool.lanes.call import Call, LargePayload
from levelpool.lanes.completions import LoopCompletion, StreamCompletion
from levelpool.lanes.context import Carrier
from levelpool.lanes.lane import now
from levelpool.lanes.process.failures import unpack_failure
from levelpool.lanes.process.memfd_payload import (
    HEAVY,
    PAUSE,
    SMALL,
    MemfdPayload,
    MissingModuleError,
    decode_large,
    decode_small,
    encode_large,
    encode_small,
    refuse_missing_module,
)
from levelpool.lanes.process.pickle_diagnosis import task_not_picklable
from levelpool.lanes.process.resource_tracking import track
from levelpool.lanes.process.room import no_room
from levelpool.lanes.process.wire import DONE, LOG, PROGRESS, TRACK, Frame
from levelpool.lanes.stream import WINDOW

_MOST_FUNCTION_REFS = 1024
_LONGEST_FUNCTION_REF = 0xFFFF
_NAMES_A_GLOBAL = b"\x93"
"""The opcode without which a pickle of protocol 5 names no global, so that reading it imports nothing."""


class PickleCodec:
    """
    Turns calls into bytes: a function reference, metadata, and a payload.

    A function that is a module's global travels as a *function reference*, its pickle, which is made once and unpacked once by each worker.
    *Metadata* is what the worker has to know beside the call: context variables, progress, the window of a stream, the trace.
    The payload is arguments, keyword arguments, and any other kind of callable; nothing at all if there is none of it.
    """

    def __init__(
        self,
        parts: LaneParts,
        events: Events,
        *,
        carry: Sequence[contextvars.ContextVar[Any]],
        inspect: Callable[[MemfdPayload], None] | None = None,
        needs_module: str | None = None,
    ) -> None:
        """*inspect* sees each large payload before it is sent, in a helper thread. *needs_module* is why functions of `__main__` cannot travel, if so."""
        self._helpers = parts.helpers
        self._lane_loop = parts.loop
        self._events = events
        self._inspect = inspect
        self._needs_module = needs_module
        self._carrier = Carrier(carry)
        self._function_refs: dict[FunctionType, bytes] = {}

    # ------------------------------------------------------------ calls to bytes

    def pack(self, call: Call) -> bytes | None:
        """The payload, if it is small; a large one is packed by a helper thread."""
        func = call.func
        if call.is_over or func is None:
            return None
        if self._needs_module is not None and getattr(func, "__module__", "") == "__main__":
            self._events.refuse(call, TaskNotPicklable(f"{call.name} cannot travel to a cluster: {self._needs_module}"))
            return None
        try:
            if type(func) is FunctionType:
                call.function_ref = self._function_ref(func)
            self._add_metadata(call)
            payload = encode_small(_contents(call)) if call.args or call.kwargs or not call.function_ref else b""
        except BaseException as error:  # pickling runs the user's code, which may raise anything, SystemExit too
            self._cannot_pack(call, error)
            if isinstance(error, KeyboardInterrupt):
                raise
            return None
        if payload is None:
            self._helpers.do(lambda: self._pack_large(call))
        else:
            call.func, call.args, call.kwargs = None, (), {}
        return payload

    def _function_ref(self, func: FunctionType) -> bytes:
        known = self._function_refs.get(func)
        # Somebody may have given its name to another function meanwhile; then pickle refuses it, and so do we.
        if known is None or getattr(sys.modules.get(func.__module__), func.__name__, None) is not func:
            known = pickle.dumps(func, 5)
            if len(known) > _LONGEST_FUNCTION_REF:
                return b""
            if len(self._function_refs) >= _MOST_FUNCTION_REFS:
                self._function_refs.clear()
            self._function_refs[func] = known
        return known

    def _add_metadata(self, call: Call) -> None:
        wants_progress, is_stream = call.options.on_progress is not None, type(call.completion) is StreamCompletion
        is_plain = not (wants_progress or is_stream or call.span)
        if is_plain and not call.context:
            return
        context, carried, call.skipped_context = self._carrier.pack(call.context)
        if context or carried or not is_plain:
            metadata = {
                "context": context,
                "carried": carried,
                "progress": wants_progress,
                "window": WINDOW if is_stream else 0,
                "trace": call.span.carrier if call.span else None,
            }
            call.metadata = pickle.dumps(metadata, 5)

    def _pack_large(self, call: Call) -> None:
        try:
            payload = encode_large(_contents(call), pause=PAUSE)
            if self._inspect is not None:
                self._inspect(payload)
        except BaseException as error:  # noqa: BLE001 - as above
            self._cannot_pack(call, error)
        else:
            call.func, call.args, call.kwargs = None, (), {}
            self._events.packed(call, payload)

    def _cannot_pack(self, call: Call, error: BaseException) -> None:
        if isinstance(error, TaskNotPicklable):
            self._events.refuse(call, error)
        elif (refusal := no_room(f"{call.name} was not sent", error)) is not None:
            refusal.__cause__ = error
            self._events.refuse(call, refusal)
        elif isinstance(error, KeyboardInterrupt):
            self._events.refuse(call, TaskNotPicklable(f"{call.name} was not sent: Ctrl-C came while it was pickled"))
        else:
            # Looking for the part that cannot travel may take long.
            self._helpers.do(lambda: self._diagnose(call, error))

    def _diagnose(self, call: Call, error: BaseException) -> None:
        func = call.func
        if func is None:
            # It ended meanwhile, and has let go of what it was.
            return
        try:
            refusal = task_not_picklable(func, call.args, call.kwargs, error)
        except BaseException as broken:  # noqa: BLE001 - looking for it runs the user's code too
            # Not even in their own words, which may fail as well.
            why, also = type(error).__name__, type(broken).__name__
            refusal = TaskNotPicklable(
                f"{call.name} cannot travel to a worker process ({why}), and what of it cannot, nobody can say ({also})"
            )
        refusal.__cause__ = error
        self._events.refuse(call, refusal)

    def release(self, payload: bytes | LargePayload | None) -> None:
        """Let go of what was sent. The last one to close a large memory file pays for it, and that must not be a loop."""
        if payload and not isinstance(payload, bytes):
            if payload.length >= HEAVY:
                self._helpers.do(payload.close)
            else:
                payload.close()

    # ------------------------------------------------------------ bytes to outcomes

    def deliver(self, call: Call, frame: Frame) -> None:
        """On the lane's loop, not under the lock: decode the outcome of *call* and hand it over, now if it is small, else in a helper thread."""
        memfd, body = frame.memfd, frame.body
        if memfd is not None and memfd.pickle_length > SMALL:
            self._helpers.do(lambda: self._deliver_apart(call, frame))
            return
        try:
            if memfd is not None:
                # It is read once more, in another thread, if it names a module that is not here yet.
                value = decode_large(memfd.duplicate(), refuse_missing_module, free=self._helpers.do)
            elif _NAMES_A_GLOBAL in body:
                value = decode_small(body, refuse_missing_module)
            else:
                value = pickle.loads(body)  # noqa: S301 - from our own worker
            outcome = value if frame.kind == DONE else unpack_failure(value, refuse_missing_module)
        except MissingModuleError:
            self._helpers.do(lambda: self._deliver_apart(call, frame))
            return
        except BaseException as error:  # unpickling runs the user's code, which may raise anything, SystemExit too
            call.completion.fail(_cannot_unpack(call, error))
            if isinstance(error, KeyboardInterrupt):
                raise
            return
        completion = call.completion
        if frame.kind != DONE:
            completion.fail(outcome)
        elif type(completion) is LoopCompletion and completion.loop is self._lane_loop.loop:
            completion.succeed_here(outcome)
        else:
            completion.succeed(outcome)

    def _deliver_apart(self, call: Call, frame: Frame) -> None:
        began = now()
        try:
            value = self._read_apart(frame)
            outcome = value if frame.kind == DONE else unpack_failure(value)
        except BaseException as error:  # noqa: BLE001 - as above
            call.completion.fail(_cannot_unpack(call, error))
            return
        self._events.decoded(call, now() - began)
        if frame.kind == DONE:
            call.completion.succeed(outcome)
        else:
            call.completion.fail(outcome)

    def _read_apart(self, frame: Frame) -> Any:
        return decode_large(frame.memfd, pause=PAUSE, free=self._helpers.do) if frame.memfd else decode_small(frame.body)

    async def item(self, item: Frame) -> Any:
        """What a generator yielded."""
        if item.memfd is None:
            try:
                return decode_small(item.body, refuse_missing_module)
            except MissingModuleError:
                pass
            except BaseException as error:  # unpickling runs the user's code
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise _cannot_unpack_item(error) from error
        completion = LoopCompletion(asyncio.get_running_loop())

        def unpack() -> None:
            try:
                completion.succeed(self._read_apart(item))
            except BaseException as error:  # noqa: BLE001 - as above
                completion.fail(_cannot_unpack_item(error))

        self._helpers.do(unpack)
        return await completion.future

    def said(self, call: Call | None, frame: Frame) -> None:
        """A call, or what an earlier one has left running, has reported progress or logged something. Not under the lock."""
        if frame.kind == LOG:
            _pass_record(call, frame)
        elif frame.kind == TRACK:
            track(*pickle.loads(frame.body))  # noqa: S301 - from our own worker
        elif frame.kind == PROGRESS and call is not None and call.options.on_progress is not None:
            call.completion.call(call.options.on_progress, *pickle.loads(frame.body))  # noqa: S301 - from our own worker


def _contents(call: Call) -> tuple[Any, ...]:
    return (call.args, call.kwargs) if call.function_ref else (call.args, call.kwargs, call.func)


def _cannot_unpack(call: Call, error: BaseException) -> LevelpoolError:
    refusal = no_room(f"the result of {call.name} cannot be taken", error) or ResultNotPicklable(
        f"the result of {call.name} cannot be unpacked here ({type(error).__name__}: {error})"
    )
    refusal.__cause__ = error
    return refusal


def _cannot_unpack_item(error: BaseException) -> ResultNotPicklable:
    refusal = ResultNotPicklable(f"an item of the stream cannot be unpacked here ({type(error).__name__}: {error})")
    refusal.__cause__ = error
    return refusal


def _pass_record(call: Call | None, frame: Frame) -> None:
    """Put a worker's log record where this process's logging puts its own, in the context of the call."""
    fields = decode_large(frame.memfd) if frame.memfd else decode_small(frame.body)
    record = logging.makeLogRecord(fields)
    record.levelpool_task = call.name if call else ""
    if record.levelname == f"Level {record.levelno}":
        # A name that this program has given the level since the worker started.
        record.levelname = logging.getLevelName(record.levelno)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        if call is None:
            logger.handle(record)
        else:
            call.context.copy().run(logger.handle, record)
