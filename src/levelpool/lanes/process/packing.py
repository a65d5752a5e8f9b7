"""How a call becomes bytes on its way in, and is let go of at its end: the same for worker processes here and on a cluster."""

import asyncio
import contextvars
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from levelpool.errors import LevelpoolError, TaskNotPicklable, TaskTimeout, WorkerDied
from levelpool.lanes.completions import LoopCompletion, ThreadCompletion
from levelpool.lanes.deferred_callbacks import DeferredCallbacks
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane import CallOptions, task_name
from levelpool.lanes.lane_loop import LaneLoop
from levelpool.lanes.process.call import Call, Packer, pack_large, pack_small
from levelpool.lanes.process.decoding import Decoder
from levelpool.lanes.process.memfd_payload import HEAVY, MemfdPayload
from levelpool.lanes.process.pickle_diagnosis import task_not_picklable
from levelpool.lanes.spans import Tracing
from levelpool.lanes.stream import Stream, StreamCompletion


class Packing(Dispatcher[Call]):
    """A lane whose calls leave this process. Its methods without a lock of their own are called under the lane's."""

    _lane_loop: LaneLoop
    _deferred: DeferredCallbacks
    _helpers: HelperThreads

    def _open_packing(self, carry: Sequence[contextvars.ContextVar[Any]]) -> None:
        self._packer = Packer(carry)
        self._tracing = Tracing()
        self._decoder = Decoder(self._helpers, count=self._count_decoding)

    # ------------------------------------------------------------ what each lane says

    @abstractmethod
    def _bind(self, user: asyncio.AbstractEventLoop | None) -> None:
        """Live where *user* (None: somebody without a loop) can use the lane."""

    @abstractmethod
    def _arrive(self, call: Call, payload: bytes | MemfdPayload, skipped: int) -> None:
        """The call is packed; *skipped* context variables stay behind. Takes the lock itself."""

    @abstractmethod
    def _act(self) -> None:
        """Do what follows from what has changed."""

    def _look_at(self, payload: MemfdPayload) -> None:
        """A large call is packed, and not on a loop: the moment to look at it. Takes the lock itself."""

    @abstractmethod
    def _grant(self, call: Call) -> None:
        """The reader of a stream has taken an item: there is room for one more."""

    # ------------------------------------------------------------ admission

    def stream(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Stream[Any]:
        """Run a generator function where calls run, and return its items as they come."""
        loop = asyncio.get_running_loop()
        completion = StreamCompletion(loop)
        call = self._open(completion, func, args, kwargs, options)
        self._set_timers(call, loop, completion)
        return Stream(completion, unpack=self._decoder.item, ask_for_more=lambda: self._grant(call), cancel=lambda: self._cancel(call))

    def _open(
        self,
        completion: LoopCompletion | ThreadCompletion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> Call:
        name, loop = options.name or task_name(func), completion.loop
        span = self._tracing.begin(name)
        try:
            with self._lock:
                self._check_open()
                admission = self._admission.of(options.bulkhead)
                if self._lane_loop.loop is not loop or loop is None:
                    self._bind(loop)
                self._numbers += 1
                counters = self._counters.of(name)
                call = Call(
                    self._numbers,
                    completion,
                    func,
                    args,
                    kwargs,
                    options=options,
                    name=name,
                    counters=counters,
                    admission=admission,
                    span=span,
                )
                self._counters.submitted += 1
                if not admission.has_place(options.priority):
                    self._wait_for_admission(call)
                    return call
                self._calls[call.number] = call
                admission.admitted += 1
        except LevelpoolError:
            if span is not None:
                span.end("refused")
            raise
        self._pack(call)
        return call

    def _on_admitted(self, call: Call) -> None:
        self._deferred.add(self._pack, call)

    def _tell(self, call: Call, error: BaseException) -> None:
        self._deferred.add(call.completion.fail, error)

    def _run_deferred(self) -> None:
        self._deferred.run()

    def _pack(self, call: Call) -> None:
        """Turn the call into bytes: here if they are few, in a helper thread if they are many. Not under the lock: pickling runs foreign code."""
        if call.is_over:
            return
        try:
            skipped = self._packer.address(call)
            payload = pack_small(call)
        except BaseException as error:  # pickling runs the user's code, which may raise anything, SystemExit too
            self._cannot_pack(call, error)
            if isinstance(error, KeyboardInterrupt):
                raise
            return
        if payload is None:
            self._helpers.do(lambda: self._pack_large(call, skipped))
        else:
            self._arrive(call, payload, skipped)

    def _pack_large(self, call: Call, skipped: int) -> None:
        try:
            payload = pack_large(call)
            self._look_at(payload)
        except BaseException as error:  # noqa: BLE001 - as above
            self._cannot_pack(call, error)
        else:
            self._arrive(call, payload, skipped)

    def _cannot_pack(self, call: Call, error: BaseException) -> None:
        if isinstance(error, TaskNotPicklable):
            self._refuse_call(call, error)
        elif isinstance(error, KeyboardInterrupt):
            self._refuse_call(call, TaskNotPicklable(f"{call.name} was not sent: Ctrl-C came while it was pickled"))
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
        self._refuse_call(call, refusal)

    def _refuse_call(self, call: Call, error: BaseException) -> None:
        with self._lock:
            if not call.is_over:
                self._leave(call, "failed")
                self._tell(call, error)
                self._act()
        self._deferred.run()

    def _release(self, payload: bytes | MemfdPayload | None) -> None:
        """Let go of what was sent. The last one to close a large memory file pays for it, and that must not be a loop."""
        if isinstance(payload, MemfdPayload):
            if payload.length >= HEAVY:
                self._helpers.do(payload.close)
            else:
                payload.close()

    # ------------------------------------------------------------ the end of a call

    def _finish(self, call: Call, outcome: str) -> None:
        call.is_over = True
        call.func, call.args, call.kwargs = None, (), {}
        payload, call.payload = call.payload, None
        if payload:
            self._release(payload)
        self._calls.pop(call.number, None)
        self._counters.ended(call.counters, outcome)
        if call.span is not None:
            self._deferred.add(call.span.end, outcome)

    def _count_decoding(self, call: Call, seconds: float) -> None:
        with self._lock:
            call.counters.decode.add(seconds)


def timed_out(call: Call, killed: WorkerDied | None) -> TaskTimeout:
    """The error of a call whose time was up; *killed* is the death of the worker that ran it, if one did."""
    where = "while it ran" if killed else "before it began"
    error = TaskTimeout(f"{call.name} did not end within {call.options.timeout:g} s: its time was up {where}")
    error.__cause__ = killed
    return error
