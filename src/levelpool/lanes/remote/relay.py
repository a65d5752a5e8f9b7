"""The far end of a remote lane: a process lane whose calls come packed, and whose outcomes leave packed. Nothing is unpacked but in the child processes."""

import asyncio
import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from levelpool.errors import LevelpoolError
from levelpool.lanes.lane import CallOptions
from levelpool.lanes.process import wire
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.decoding import Decoder
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.local_workers import ProcessLane
from levelpool.lanes.process.wire import Frame
from levelpool.lanes.remote.remote_call import Item, Outcome, RemoteCall, RemotePayload
from levelpool.lanes.stream import Stream, StreamCompletion

Teller = Callable[[int, bytes], None]
"""Told what a call says meanwhile: the kind (`wire.PROGRESS`, `wire.LOG`) and the packed words."""


class Relay(ProcessLane):
    """Runs packed calls in child processes. What a child that died has left in the temporary folder under its name is removed."""

    def __init__(self, name: str, workers: int, limits: ProcessLimits, *, scratch: Path) -> None:
        """*scratch* is the temporary folder of the children: what is in it and begins with `levelpool-PID-` goes with that process."""
        self._scratch = scratch
        super().__init__(name, workers, limits)

    def _reset(self) -> None:
        super()._reset()
        self._decoder = _Unopened(self._helpers, count=self._count_decoding)
        self._tellers: dict[int, Teller] = {}

    async def perform(self, remote_call: RemoteCall, tell: Teller) -> Outcome:
        """Run a call to its end; cancelling this kills its child process. Raises what the lane itself has to say, `WorkerDied` above all."""
        frame = await self.run(_packed, (remote_call, tell), {}, CallOptions(name=remote_call.name))
        return _outcome(frame)

    def open_stream(self, remote_call: RemoteCall, tell: Teller) -> "Pull":
        """Begin a call that answers with many things."""
        completion = StreamCompletion(asyncio.get_running_loop())
        call = self._open(completion, _packed, (remote_call, tell), {}, CallOptions(name=remote_call.name))
        return Pull(completion, unpack=self._decoder.item, ask_for_more=lambda: self._grant(call), cancel=lambda: self._cancel(call))

    # ------------------------------------------------------------ in place of packing

    def _pack(self, call: Call) -> None:
        if call.is_over:
            return
        remote_call, tell = call.args
        call.function_ref, call.metadata = remote_call.function_ref, remote_call.metadata
        self._tellers[call.number] = tell
        if remote_call.payload.is_large:
            self._helpers.do(lambda: self._unpack_payload(call, remote_call.payload))
        else:
            self._arrive(call, remote_call.payload.unpack(), 0)

    def _unpack_payload(self, call: Call, payload: RemotePayload) -> None:
        try:
            unpacked = payload.unpack()
        except OSError as error:
            self._refuse_call(call, error)
        else:
            self._arrive(call, unpacked, 0)

    def _on_word(self, link: Link, frame: Frame) -> None:
        teller = self._tellers.get(frame.call)
        if frame.kind in {wire.PROGRESS, wire.LOG} and teller is not None and frame.memfd is None:
            self._deferred.add(teller, frame.kind, frame.body)
        else:
            super()._on_word(link, frame)

    def _finish(self, call: Call, outcome: str) -> None:
        self._tellers.pop(call.number, None)
        super()._finish(call, outcome)

    def _reap(self, link: Link) -> None:
        super()._reap(link)
        if link.pid:
            self._helpers.do(functools.partial(_remove_left, self._scratch, link.pid))


class Pull(Stream[Item]):
    """The items of a call, taken one by one, and its outcome behind the last one."""

    def __init__(self, completion: StreamCompletion, **ways: Any) -> None:
        super().__init__(completion, **ways)
        self._is_drained = asyncio.Event()

    async def next(self) -> Item | None:
        """The next item; None when there is none any more, however that came."""
        try:
            return await anext(self)
        except (StopAsyncIteration, LevelpoolError):
            self._is_drained.set()
            return None

    async def end(self) -> Outcome:
        """How the call ended, once all items were taken; raises what the lane itself has to say."""
        await self._is_drained.wait()
        return _outcome(await self._completion.future)


class _Unopened(Decoder):
    """Hands over what came from a child process as it came."""

    def outcome(self, call: Call, frame: Frame) -> None:
        call.completion.succeed(frame)

    async def item(self, frame: Frame) -> Any:
        return Item(_remote_payload(frame))


def _packed() -> None:
    """Stands for the function of a call that came packed."""


def _outcome(frame: Frame) -> Outcome:
    return Outcome(frame.kind, frame.meta, _remote_payload(frame))


def _remote_payload(frame: Frame) -> RemotePayload:
    return RemotePayload.of(frame.memfd if frame.memfd is not None else frame.body)


def _remove_left(scratch: Path, pid: int) -> None:
    for left in scratch.glob(f"levelpool-{pid}-*"):
        shutil.rmtree(left, ignore_errors=True)
