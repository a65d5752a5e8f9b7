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
from levelpool.lanes.process.delivery import Delivery
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.pool import ProcessLane
from levelpool.lanes.process.wire import Frame
from levelpool.lanes.remote.packet import Item, Load, Outcome, Packet
from levelpool.lanes.stream import Stream, StreamTicket

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
        self._delivery = _Unopened(self._crew, book=self._book_decoding)
        self._tellers: dict[int, Teller] = {}

    async def perform(self, packet: Packet, tell: Teller) -> Outcome:
        """Run a call to its end; cancelling this kills its child process. Raises what the lane itself has to say, `WorkerDied` above all."""
        frame = await self.run(_packed, (packet, tell), {}, CallOptions(name=packet.name))
        return _outcome(frame)

    def open_stream(self, packet: Packet, tell: Teller) -> "Pull":
        """Begin a call that answers with many things."""
        ticket = StreamTicket(asyncio.get_running_loop())
        call = self._open(ticket, _packed, (packet, tell), {}, CallOptions(name=packet.name))
        return Pull(ticket, unpack=self._delivery.item, ask_for_more=lambda: self._grant(call), cancel=lambda: self._cancel(call))

    # ------------------------------------------------------------ in place of packing

    def _pack(self, call: Call) -> None:
        if call.is_over:
            return
        packet, tell = call.args
        call.reference, call.wishes = packet.reference, packet.wishes
        self._tellers[call.number] = tell
        if packet.load.is_large:
            self._crew.do(lambda: self._unpack_load(call, packet.load))
        else:
            self._arrive(call, packet.load.unpack(), 0)

    def _unpack_load(self, call: Call, load: Load) -> None:
        try:
            payload = load.unpack()
        except OSError as error:
            self._turn_away(call, error)
        else:
            self._arrive(call, payload, 0)

    def _on_word(self, link: Link, frame: Frame) -> None:
        teller = self._tellers.get(frame.call)
        if frame.kind in {wire.PROGRESS, wire.LOG} and teller is not None and frame.parcel is None:
            self._errands.add(teller, frame.kind, frame.body)
        else:
            super()._on_word(link, frame)

    def _finish(self, call: Call, outcome: str) -> None:
        self._tellers.pop(call.number, None)
        super()._finish(call, outcome)

    def _bury(self, link: Link) -> None:
        super()._bury(link)
        if link.pid:
            self._crew.do(functools.partial(_remove_left, self._scratch, link.pid))


class Pull(Stream[Item]):
    """The items of a call, taken one by one, and its outcome behind the last one."""

    def __init__(self, ticket: StreamTicket, **ways: Any) -> None:
        super().__init__(ticket, **ways)
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
        return _outcome(await self._ticket.future)


class _Unopened(Delivery):
    """Hands over what came from a child process as it came."""

    def outcome(self, call: Call, frame: Frame) -> None:
        call.ticket.succeed(frame)

    async def item(self, frame: Frame) -> Any:
        return Item(_load(frame))


def _packed() -> None:
    """Stands for the function of a call that came packed."""


def _outcome(frame: Frame) -> Outcome:
    return Outcome(frame.kind, frame.meta, _load(frame))


def _load(frame: Frame) -> Load:
    return Load.of(frame.parcel if frame.parcel is not None else frame.body)


def _remove_left(scratch: Path, pid: int) -> None:
    for left in scratch.glob(f"levelpool-{pid}-*"):
        shutil.rmtree(left, ignore_errors=True)
