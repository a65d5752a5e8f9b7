"""The far end of a remote lane: a process lane whose calls come packed, and whose outcomes leave packed. Nothing is unpacked but in the child processes."""

import asyncio
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from levelpool.errors import LevelpoolError
from levelpool.lanes.backend import Events, LaneParts
from levelpool.lanes.call import Call, LargePayload
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.lane import CallOptions
from levelpool.lanes.process import wire
from levelpool.lanes.process.codec import PickleCodec
from levelpool.lanes.process.lane import lane_limits
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.local_workers import LocalWorkers
from levelpool.lanes.process.wire import Frame
from levelpool.lanes.remote.remote_call import Item, Outcome, RemoteCall, RemotePayload
from levelpool.lanes.stream import Stream

Teller = Callable[[int, bytes], None]
"""Told what a call says meanwhile: the kind (`wire.PROGRESS`, `wire.LOG`) and the packed words."""


class Relay:
    """Runs packed calls in child processes. What a child that died has left in the temporary folder under its name is removed."""

    def __init__(self, name: str, workers: int, limits: ProcessLimits, *, scratch: Path) -> None:
        """*scratch* is the temporary folder of the children: what is in it and begins with `levelpool-PID-` goes with that process."""

        def make(parts: LaneParts, events: Events) -> tuple[_PassThrough, LocalWorkers]:
            def remove_left(pid: int) -> None:
                parts.helpers.do(lambda: _remove_left(scratch, pid))

            codec = _PassThrough(parts, events)
            return codec, LocalWorkers(parts, events, limits, reader=codec, on_reaped=remove_left)

        self._lane = Dispatcher(name, workers, lane_limits(limits), make)

    async def perform(self, remote_call: RemoteCall, tell: Teller) -> Outcome:
        """Run a call to its end; cancelling this kills its child process. Raises what the lane itself has to say, `WorkerDied` above all."""
        frame = await self._lane.run(_packed, (remote_call, tell), {}, CallOptions(name=remote_call.name))
        return _outcome(frame)

    def open_stream(self, remote_call: RemoteCall, tell: Teller) -> "Pull":
        """Begin a call that answers with many things."""
        return Pull(self._lane.stream(_packed, (remote_call, tell), {}, CallOptions(name=remote_call.name)))

    def close(self, timeout: float) -> Any:
        """As every lane is closed."""
        return self._lane.close(timeout)


class Pull:
    """The items of a call, taken one by one, and its outcome behind the last one. Use it with `async with`."""

    def __init__(self, stream: Stream[Item]) -> None:
        self._stream = stream
        self._is_drained = asyncio.Event()

    async def next(self) -> Item | None:
        """The next item; None when there is none any more, however that came."""
        try:
            return await anext(self._stream)
        except (StopAsyncIteration, LevelpoolError):
            self._is_drained.set()
            return None

    async def end(self) -> Outcome:
        """How the call ended, once all items were taken; raises what the lane itself has to say."""
        await self._is_drained.wait()
        return _outcome(await self._stream.outcome())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()


class _PassThrough:
    """The codec of what is packed elsewhere: calls are sent as they came, and what a child process sends is handed over as it is."""

    def __init__(self, parts: LaneParts, events: Events) -> None:
        self._helpers = parts.helpers
        self._events = events
        # For what is logged when no call is there to be told of it.
        self._codec = PickleCodec(parts, events, carry=())
        self._tellers: weakref.WeakKeyDictionary[Call, Teller] = weakref.WeakKeyDictionary()

    def pack(self, call: Call) -> bytes | LargePayload | None:
        if call.is_over:
            return None
        remote_call, tell = call.args
        call.func, call.args = None, ()
        call.function_ref, call.metadata = remote_call.function_ref, remote_call.metadata
        self._tellers[call] = tell
        payload: RemotePayload = remote_call.payload
        if payload.is_large:
            self._helpers.do(lambda: self._unpack_payload(call, payload))
            return None
        return payload.unpack()

    def _unpack_payload(self, call: Call, payload: RemotePayload) -> None:
        try:
            unpacked = payload.unpack()
        except OSError as error:
            self._events.refuse(call, error)
        else:
            self._events.packed(call, unpacked)

    def release(self, payload: bytes | LargePayload | None) -> None:
        self._codec.release(payload)

    def deliver(self, call: Call, frame: Frame) -> None:
        call.completion.succeed(frame)

    async def item(self, item: Frame) -> Item:
        return Item(_remote_payload(item))

    def said(self, call: Call | None, frame: Frame) -> None:
        teller = self._tellers.get(call) if call is not None else None
        if frame.kind in {wire.PROGRESS, wire.LOG} and teller is not None and frame.memfd is None:
            teller(frame.kind, frame.body)
        else:
            self._codec.said(call, frame)


def _packed() -> None:
    """Stands for the function of a call that came packed."""


def _outcome(frame: Frame) -> Outcome:
    return Outcome(frame.kind, frame.meta, _remote_payload(frame))


def _remote_payload(frame: Frame) -> RemotePayload:
    return RemotePayload.of(frame.memfd if frame.memfd is not None else frame.body)


def _remove_left(scratch: Path, pid: int) -> None:
    for left in scratch.glob(f"levelpool-{pid}-*"):
        shutil.rmtree(left, ignore_errors=True)
