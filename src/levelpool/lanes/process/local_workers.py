"""
Worker processes of this host as the backend of a lane: asked for, sent to, heard, watched, killed and reaped.

Who runs what is decided in `schedule`; how bytes travel stands in `wire`; how processes come and go in `fork_server_client`. What it all means for a call
is for the dispatcher to say.
"""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Protocol

from levelpool.errors import LevelpoolError, WorkerDied
from levelpool.lanes.backend import Events, LaneParts, StartError
from levelpool.lanes.call import Call
from levelpool.lanes.completions import StreamCompletion
from levelpool.lanes.lane import now
from levelpool.lanes.place import Place, WorkerStack
from levelpool.lanes.process import wire
from levelpool.lanes.process.fork_server_client import Answer, ForkServerClient, death, end_in_words
from levelpool.lanes.process.fork_server_supervisor import ForkServerSupervisor
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.log_levels import levels_version, log_levels
from levelpool.lanes.process.memfd_payload import MemfdPayload
from levelpool.lanes.process.poison_tasks import PoisonTasks
from levelpool.lanes.process.program_state import as_bytes
from levelpool.lanes.process.stack_dump import stack_in
from levelpool.lanes.process.wire import CREDIT, DONE, FAILED, LEVELS, REPORT, SPAWN_FAILED, SPAWNED, STOP, TASK, WARNING, Frame, pack
from levelpool.lanes.schedule import TakeBack

logger = logging.getLogger(__name__)

MEMORY_TICK = 0.05
"""Seconds between two looks at the memory of busy workers."""

AHEAD_TICK = 0.005
"""Seconds after which a call that was sent ahead is taken back from behind a slow one."""

DEATH_NOTICE_TIMEOUT = 1.0
"""Seconds to wait for the fork server's word on how a worker died that has closed its socket."""

START_AGAIN = 1.0
"""Seconds after a start that no other one would better, in which none is tried."""

REAP_TIMEOUT = 1.0
"""Seconds to wait for the end of a fork server that has closed its socket."""

BOOT_TIMEOUT = 60.0
"""Seconds in which what was started as a fork server must have said that it is one."""

_PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EINTR})
"""What keeps a process from being started now, and perhaps not a moment later."""

GROWN = 0.6
"""An idle worker that holds this share of its memory limit is replaced."""


class FrameReader(Protocol):
    """What reads the frames of workers; never called under the lane's lock, except `release`."""

    def deliver(self, call: Call, frame: Frame) -> None:
        """Hand the outcome of *call* over."""
        ...

    def said(self, call: Call | None, frame: Frame) -> None:
        """A call, or what an earlier one has left running, has reported progress or logged something."""
        ...

    def release(self, payload: MemfdPayload | None) -> None:
        """Let go of what nobody wants."""
        ...


class LocalWorkers:
    """Worker processes: killable, limited in memory, replaced when they die. Methods without a lock of their own are called under the lane's."""

    tells_start = False
    trouble = None

    def __init__(
        self,
        parts: LaneParts,
        events: Events,
        limits: ProcessLimits,
        *,
        reader: FrameReader,
        poison_tasks: PoisonTasks | None = None,
        on_reaped: Callable[[int], None] | None = None,
    ) -> None:
        """*on_reaped* is told the process id of each worker that is gone."""
        self._lock = parts.lock
        self._loop = parts.loop
        self._deferred = parts.deferred
        self._helpers = parts.helpers
        self._alarm = parts.alarm
        self._schedule = parts.schedule
        self._counters = parts.counters
        self._events = events
        self._limits = limits
        self._reader = reader
        self.breaker = poison_tasks
        self._on_reaped = on_reaped
        self._links: dict[int, Link] = {}
        self._hopeless = (0.0, "")
        """When a fork server last ended in a way in which the next one will, too, and how."""
        self._warnings: list[str] = []
        """What the fork server that is there now has said of modules that it has preloaded."""
        self._fork_server = ForkServerSupervisor(
            parts.loop,
            parts.helpers,
            preload=limits.preload,
            environment=limits.environment,
            variables=limits.variables,
            max_result_bytes=limits.max_result_bytes,
            idle_timeout=limits.idle_timeout,
            listener=self._on_control,
        )
        self.place = Place(
            pids=self._pids, ask_for_stacks=self._ask_for_stacks, stacks=self._stacks, withheld_variables=self._fork_server.withheld
        )

    # ------------------------------------------------------------ what the dispatcher says

    def start(self, slot: int) -> bool:
        """Ask for a worker process; it says itself when it is ready."""
        try:
            self._refuse_while_hopeless()
            self._links[slot] = self._ask_for_worker(slot)
        except StartError:
            raise
        except Exception as error:
            # Whatever it is, such as an environment or arguments of the program that nobody foresaw: those who wait for the worker are to hear of it.
            is_passing = isinstance(error, OSError) and error.errno in _PASSING
            said = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            raise StartError(f"no worker process can be started: {said}", is_lasting=not is_passing) from error
        return False

    def _refuse_while_hopeless(self) -> None:
        """A burst of calls does not start a program over and over that has just ended by itself."""
        since, why = self._hopeless
        if why and now() - since < START_AGAIN:
            raise StartError(why, is_lasting=True)

    def _note_end(self, fork_server: ForkServerClient) -> tuple[str, bool]:
        why, is_lasting = fork_server.why_it_ended()
        if is_lasting:
            self._hopeless = (now(), why)
        return why, is_lasting

    def _ask_for_worker(self, slot: int) -> Link:
        is_new = self._fork_server.is_absent
        fork_server = self._fork_server.current()
        if is_new:
            self._loop.later(BOOT_TIMEOUT, fork_server.give_up_boot, BOOT_TIMEOUT)
        try:
            return Link(slot, fork_server, lock=self._lock, lane_loop=self._loop, listener=self._on_readable)
        except ConnectionError:
            # It has gone, and there was no loop to hear of it.
            self._fork_server.hear(fork_server, fork_server.control)
            self._lose_fork_server(fork_server)
            if not fork_server.has_started:
                fork_server.wait(REAP_TIMEOUT)
                why, is_lasting = self._note_end(fork_server)
                raise StartError(why, is_lasting=is_lasting) from None
            return Link(slot, self._fork_server.current(), lock=self._lock, lane_loop=self._loop, listener=self._on_readable)

    def send(self, slot: int, call: Call) -> None:
        """Send the call to its worker."""
        link, payload = self._links[slot], call.payload
        link.sent[call.number] = call
        is_ahead = len(link.sent) > 1
        if link.levels != (levels := levels_version()):
            link.levels = levels
            link.send(pack(LEVELS, body=as_bytes(log_levels())))
        if isinstance(payload, MemfdPayload):
            link.send(pack(TASK, call.number, call.metadata, payload, call.function_ref), payload.fd)
        elif isinstance(payload, bytes):
            frame = pack(TASK, call.number, call.metadata, payload, call.function_ref)
            if is_ahead:
                link.send_soon(frame)
            else:
                link.send(frame)
        if is_ahead:
            self._alarm.set(AHEAD_TICK)
        elif self._limits.memory_limit is not None:
            self._alarm.set(MEMORY_TICK)

    def revoke(self, slot: int, call: int) -> None:
        """Take a call back that was sent ahead, if the worker has not begun it."""
        link = self._links[slot]
        link.flags.take_back(call)
        link.taken[call] = now()
        self._alarm.set(AHEAD_TICK)

    def kill(self, slot: int, call: Call, cause: str, note: str = "") -> WorkerDied:
        """Kill the worker that the call was sent to."""
        link = self._links[slot]
        link.kill(cause)
        return death(call.name, cause=cause, status=None, rss=link.rss, limit=self._limits.memory_limit, note=note)

    def retire(self, slot: int) -> None:
        """Let an idle worker end by itself."""
        self._links[slot].send(pack(STOP))

    def grant(self, slot: int, call: int) -> None:
        """The worker may yield one more item."""
        self._links[slot].send(pack(CREDIT, call))

    def has_begun(self, slot: int, call: Call) -> bool:
        """Whether the worker says so."""
        return self._links[slot].flags.started == call.number

    def resize(self, workers: int) -> None:
        """There is nothing to say against it."""

    def what_if_late(self, call: Call, killed: WorkerDied | None) -> str:  # noqa: ARG002 - as for every backend
        """In words."""
        if killed is None:
            return "its time was up before it began"
        return "".join(["its time was up while it ran", *(f"; {each}" for each in self._warnings)])

    def unstartable(self, call: Call, why: str) -> tuple[str, LevelpoolError]:
        """The call dies of it."""
        return "died", WorkerDied(f"{call.name} was not run: {why}", cause="exit", task=call.name)

    @property
    def workers(self) -> int:
        """Those that live or are being started."""
        return len(self._links)

    # ------------------------------------------------------------ what workers say

    def _on_readable(self, link: Link, talk: socket.socket) -> None:
        with self._lock:
            if link.talk is not talk:
                return
            if not self._hear(link):
                self._lose_touch(link)
            self._events.act()
        if self._deferred.due:
            # A socket that is still the link's is watched by the lane's loop.
            self._deferred.run_here()

    def _hear(self, link: Link) -> bool:
        """Hear once; False when the worker has closed its end."""
        frames = link.hear()
        if frames is None:
            return False
        for frame in frames:
            if frame.kind == DONE or frame.kind == FAILED:  # noqa: PLR1714 - a set would be built each time
                self._on_end(link, frame)
            else:
                self._on_word(link, frame)
        return True

    def _on_end(self, link: Link, frame: Frame) -> None:
        number = frame.call
        call = link.sent.pop(number, None)
        if link.taken:
            link.taken.pop(number, None)
            link.flags.clear(number)
        if self._schedule.ended(link.number, number, now()):
            self._counters.recycled += 1
        if call is None or call.is_over:
            self._reader.release(frame.memfd)
            return
        started, run, cpu, peak, size = REPORT.unpack(frame.meta)
        wait = started - call.created
        took = (max(0.0, wait), run, cpu, peak, size)
        self._events.ended(call, took, succeeded=frame.kind == DONE, worker=link.pid)
        self._deferred.add(self._reader.deliver, call, frame)

    def _on_word(self, link: Link, frame: Frame) -> None:
        call = link.sent.get(frame.call)
        match frame.kind:
            case wire.PROGRESS:
                if call is not None and not call.is_over:
                    self._deferred.add(self._reader.said, call, frame)
            case wire.LOG | wire.TRACK:
                self._deferred.add(self._reader.said, call, frame)
            case wire.ITEM:
                self._on_item(call, frame)
            case wire.READY:
                self._schedule.ready(link.number, now())
                self._alarm.set(self._limits.idle_timeout)
            case wire.SKIPPED:
                link.taken.pop(frame.call, None)
                link.flags.clear(frame.call)
                link.sent.pop(frame.call, None)
                self._schedule.skipped(link.number, frame.call, now())

    def _on_item(self, call: Call | None, frame: Frame) -> None:
        if call is not None and not call.is_over and isinstance(call.completion, StreamCompletion):
            call.completion.item(frame)
        else:
            self._reader.release(frame.memfd)

    def _drain_socket(self, link: Link) -> None:
        """What the worker sent before it died still counts."""
        while link.has_word() and self._hear(link):
            pass

    def _lose_touch(self, link: Link) -> None:
        """The worker closed its socket: it is dead, and the fork server will say how."""
        link.hang_up()
        if link.status is not None or self._is_lost(link.fork_server):
            self._reap(link)
        else:
            self._loop.later(DEATH_NOTICE_TIMEOUT, self._reap_late, link)

    def _is_lost(self, fork_server: ForkServerClient) -> bool:
        """Whether nothing more is to be heard from it. Of one that never started it is still to be said why."""
        return fork_server.has_started and not self._fork_server.is_current(fork_server)

    def _reap_late(self, link: Link) -> None:
        with self._lock:
            if self._links.get(link.number) is link and link.fork_server.has_started:
                link.kill("exit")
                self._reap(link)
                self._events.act()
        self._deferred.run()

    def _on_control(self, fork_server: ForkServerClient, control: socket.socket) -> None:
        with self._lock:
            answers, is_there = self._fork_server.hear(fork_server, control)
            for answer in answers:
                if answer.what == WARNING:
                    self._warnings.append(answer.text)
                    self._deferred.add(logger.warning, "%s", answer.text)
                elif (link := self._links.get(answer.number)) is not None:
                    self._hear_of(link, answer)
            if not is_there:
                self._lose_fork_server(fork_server)
            self._events.act()
        self._deferred.run()

    def _hear_of(self, link: Link, answer: Answer) -> None:
        if answer.what == SPAWNED:
            link.pid = answer.pid
        elif answer.what == SPAWN_FAILED:
            self._reap(link, f"the fork server cannot fork: {os.strerror(answer.status)}")
        else:
            link.status = answer.status
            link.rss = max(link.rss, answer.rss)
            self._drain_socket(link)
            self._reap(link)

    def _lose_fork_server(self, fork_server: ForkServerClient) -> None:
        """The fork server is gone: what it was to spawn is lost; what it has spawned lives on until its socket closes."""
        self._fork_server.lose(fork_server)
        self._warnings.clear()
        if not fork_server.has_started:
            # Those who wait for it are to hear why, which is known when it is reaped.
            self._helpers.do(lambda: self._fail_start(fork_server))
            return
        for link in list(self._links.values()):
            if link.fork_server is fork_server and (link.pid == 0 or link.talk is None):
                self._reap(link)

    def _fail_start(self, fork_server: ForkServerClient) -> None:
        fork_server.wait()
        with self._lock:
            why, is_lasting = self._note_end(fork_server)
            for link in [link for link in self._links.values() if link.fork_server is fork_server]:
                self._reap(link, why, is_lasting=is_lasting)
            self._events.act()
        self._deferred.run()

    # ------------------------------------------------------------ their death

    def _reap(self, link: Link, why: str | None = None, *, is_lasting: bool = False) -> None:
        """The worker is gone, *why* where it never was; with *is_lasting* another one would go likewise."""
        if self._links.pop(link.number, None) is None:
            return
        began = link.flags.started
        if link.cause == "descriptors":
            self._lose_all(link)
            began = 0
        casualties = self._schedule.died(link.number, running=began if began in link.sent else None)
        if casualties.lost is not None:
            self._lose(link.sent[casualties.lost], link)
        for number in casualties.given_up:
            self._lose(link.sent[number], link, note=" before the call began, for the third time")
        link.close()
        if link.pid and self._on_reaped is not None:
            self._on_reaped(link.pid)
        self._events.fail_hopeless(why or f"worker processes die before they are ready: {end_in_words(link.status)}", at_once=is_lasting)

    def _lose_all(self, link: Link) -> None:
        """What the worker said last is lost, and which of its calls had ended nobody knows: none of them must run twice."""
        for number, call in link.sent.items():
            self._schedule.withdraw(number)
            self._lose(call, link)

    def _lose(self, call: Call, link: Link, note: str = "") -> None:
        """The worker has died under the call."""
        if call.is_over:
            self._counters.died(link.cause or "exit")
            return
        error = death(call.name, cause=link.cause, status=link.status, rss=link.rss, limit=self._limits.memory_limit, note=note)
        payload = call.payload
        if self.breaker is None:
            self._events.died(call, error)
        elif isinstance(payload, MemfdPayload) and payload.digest is None:
            # Its caller hears of it when it is written down: whoever tries again at once is judged already.
            call.payload = None
            self._helpers.do(lambda: self._digest_and_tell(call, payload, error))
        else:
            self.breaker.killed(call, payload, now())
            self._events.died(call, error)

    def _digest_and_tell(self, call: Call, payload: MemfdPayload, error: WorkerDied) -> None:
        try:
            payload.take_digest()
        finally:
            with self._lock:
                if self.breaker is not None:
                    self.breaker.killed(call, payload, now())
                self._events.died(call, error)
                self._events.act()
            self._deferred.run()
            payload.close()

    # ------------------------------------------------------------ time

    def tick(self, moment: float) -> None:
        """Look at what was taken back, and at the memory."""
        self._check_taken(moment)
        self._check_memory()

    def look_again(self, *, is_needed: bool) -> None:
        """As long as there is something to look at. When nobody has needed a worker for a while, the fork server goes too."""
        if not is_needed:
            fork_server = self._fork_server.close()
            if fork_server is not None:
                self._helpers.do(fork_server.wait)
        if self._limits.memory_limit is not None and self._schedule.busy:
            self._alarm.set(MEMORY_TICK)
        if self._schedule.has_ahead() or any(link.taken for link in self._links.values()):
            self._alarm.set(AHEAD_TICK)

    def _check_taken(self, moment: float) -> None:
        for action in list(self._schedule.stale(moment, AHEAD_TICK)):
            self._revoke_stale(action)
        for link in list(self._links.values()):
            for number, since in list(link.taken.items()):
                if number not in link.taken:
                    continue
                if link.flags.started == number:
                    self._leave_begun(link, number)
                elif moment - since >= AHEAD_TICK / 2 and not self._has_ended(link, number):
                    # Both sides write before they look, and this long ago: it will not begin. Its slot stays taken until the worker passes it.
                    del link.taken[number]
                    link.sent.pop(number, None)
                    self._schedule.moved(link.number, number)

    def _revoke_stale(self, action: TakeBack) -> None:
        self.revoke(action.worker, action.call)

    def _leave_begun(self, link: Link, number: int) -> None:
        """It had begun before it was taken back: a call that is wanted goes on, one that is not dies."""
        del link.taken[number]
        link.flags.clear(number)
        self._schedule.begun(link.number, number)
        if link.sent[number].is_over:
            self._schedule.condemn(link.number)
            link.kill("cancelled")

    def _has_ended(self, link: Link, number: int) -> bool:
        """Whether a call that is not being run has been run: the worker reports the end before it unwrites the beginning, so the report is there to read."""
        self._drain_socket(link)
        return number not in link.taken

    def _check_memory(self) -> None:
        limit = self._limits.memory_limit
        if limit is None:
            return
        for link in list(self._links.values()):
            if link.cause is not None:
                continue
            if link.sent:
                if link.read_rss() > limit:
                    self._schedule.condemn(link.number)
                    link.kill("memory")
            elif link.read_rss() > limit * GROWN and self._schedule.recycle(link.number):
                self._counters.recycled += 1

    # ------------------------------------------------------------ the end, and moves

    def kill_all(self) -> None:
        """Kill every worker; a fork server that does not answer for them goes with them, a moment later."""
        for link in list(self._links.values()):
            self._schedule.condemn(link.number)
            link.kill("cancelled")
        if self._links:
            self._loop.later(DEATH_NOTICE_TIMEOUT, self._drop_fork_server)

    def _drop_fork_server(self) -> None:
        """The fork server does not answer, busy with what it preloads perhaps: it is killed, and what it was to spawn is lost."""
        with self._lock:
            if not self._fork_server.is_absent:
                self._lose_fork_server(self._fork_server.current())
            self._events.act()
        self._deferred.run()

    def close(self, done: Callable[[], None]) -> None:
        """Let the fork server go."""
        fork_server = self._fork_server.close()

        def finish() -> None:
            if fork_server is not None:
                fork_server.wait()
            done()

        self._helpers.do(finish)

    def bind(self, user: asyncio.AbstractEventLoop | None) -> None:
        """Live where *user* can use the lane, and take the sockets along."""
        left = self._loop.bind(user)
        if left is None:
            return
        for link in self._links.values():
            link.move(left)
        self._fork_server.move(left)
        self._alarm.reset()
        self._alarm.set(AHEAD_TICK)

    def terminate(self) -> None:
        """Kill everything now."""
        with self._lock:
            links = list(self._links.values())
        for link in links:
            link.cause = link.cause or "cancelled"
            link.line.close()
        self._fork_server.terminate()

    def after_fork_in_child(self) -> None:
        """Let go of the parent's workers."""
        for link in list(self._links.values()):
            link.after_fork_in_child()
        self._fork_server.after_fork_in_child()

    # ------------------------------------------------------------ what can be told

    def _pids(self) -> tuple[int, ...]:
        with self._lock:
            return tuple(link.pid for link in self._links.values() if link.pid)

    def _ask_for_stacks(self) -> None:
        with self._lock:
            for link in self._links.values():
                if link.flags.started and link.fork_server.is_open:
                    link.ask_for_stack()

    def _stacks(self) -> tuple[WorkerStack, ...]:
        with self._lock:
            answers = [
                (link.pid, call.name, now() - self._schedule.since(link.number), link.stack_dump.read())
                for link in self._links.values()
                if (call := link.sent.get(link.flags.started)) is not None
            ]
        return tuple(WorkerStack(pid=pid, task=task, seconds=seconds, stack=stack_in(text)) for pid, task, seconds, text in answers)
