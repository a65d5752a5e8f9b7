"""
The workers of a process lane: when they are asked for, what they say, how they are watched, and how they go.

Who runs what is decided in `schedule`; how bytes travel stands in `wire`; how processes come and go in `fork_server_client`. What it all means for the calls is for
the lane to say, in `local_workers`.
"""

import asyncio
import concurrent.futures
import socket
from abc import abstractmethod

from levelpool.errors import WorkerDied
from levelpool.lanes.alarm import Alarm
from levelpool.lanes.deferred_callbacks import DeferredCallbacks
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane import now
from levelpool.lanes.lane_loop import LaneLoop
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.fork_server_client import ForkServerClient
from levelpool.lanes.process.fork_server_supervisor import ForkServerSupervisor
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.stack_dump import WorkerStack, stack_in
from levelpool.lanes.process.wire import DONE, FAILED, SPAWNED, STOP, Frame, pack
from levelpool.lanes.schedule import Retire, Schedule, Send, Start, TakeBack

MEMORY_TICK = 0.05
"""Seconds between two looks at the memory of busy workers."""

GATE_TICK = 0.02
"""Seconds after which a gate that kept a call from beginning is asked again: it belongs to several processes, and none tells the others."""

AHEAD_TICK = 0.005
"""Seconds after which a call that was sent ahead is taken back from behind a slow one."""

DEATH_NOTICE_TIMEOUT = 1.0
"""Seconds to wait for the fork server's word on how a worker died that has closed its socket."""

GROWN = 0.6
"""An idle worker that holds this share of its memory limit is replaced."""


class Supervisor(Dispatcher[Call]):
    """A lane that has workers. Its methods without a lock of their own are called under the lane's."""

    def __init__(self, name: str, workers: int, limits: ProcessLimits) -> None:
        self.name = name
        self._limits = limits
        self._workers_wanted = workers
        self._reset()

    def _reset(self) -> None:
        """The state of a lane that was never used."""
        limits = self._limits
        self._open_admission(limits.queue_limit, self._workers_wanted, limits.bulkheads)
        self._lane_loop = LaneLoop(self.name)
        self._deferred = DeferredCallbacks(self.name, self._lane_loop)
        self._schedule = Schedule(
            self._workers_wanted,
            max_tasks=limits.max_tasks,
            idle_timeout=limits.idle_timeout,
            gate=limits.gate,
            bulkheads={name: each.workers for name, each in limits.bulkheads.items()},
        )
        self._helpers = HelperThreads(f"{self.name}-chores", 2)
        self._alarm = Alarm(self._lane_loop, self._tick)
        self._fork_server = ForkServerSupervisor(
            self._lane_loop,
            self._helpers,
            preload=limits.preload,
            environment=limits.environment,
            max_result_bytes=limits.max_result_bytes,
            idle_timeout=limits.idle_timeout,
            listener=self._on_control,
        )
        self._links: dict[int, Link] = {}
        self._spawn_errors: dict[int, str] = {}

    # ------------------------------------------------------------ what it means for the calls

    @abstractmethod
    def _send_call(self, worker: int, call: Call) -> None:
        """Send the call to the worker."""

    @abstractmethod
    def _on_end(self, link: Link, frame: Frame) -> None:
        """A call has ended in its worker."""

    @abstractmethod
    def _on_word(self, link: Link, frame: Frame) -> None:
        """A worker has said something else."""

    @abstractmethod
    def _lose(self, call: Call, link: Link, note: str = "") -> None:
        """The worker has died under the call."""

    @abstractmethod
    def _wind_up(self) -> None:
        """While the lane closes: see whether it is over."""

    # ------------------------------------------------------------ what they are told

    def _act(self) -> None:
        """Do what the schedule says."""
        for action in self._schedule.decide(now()):
            match action:
                case Send():
                    self._send_call(action.worker, self._calls[action.call])
                case Start():
                    self._start(action.worker)
                case Retire():
                    self._links[action.worker].send(pack(STOP))
        if self._schedule.held_up:
            self._alarm.set(GATE_TICK)
        if self._spawn_errors:
            self._fail_unstartable()
        if self._closed is not None:
            self._wind_up()

    def _start(self, number: int) -> None:
        try:
            self._links[number] = self._ask_for_worker(number)
        except OSError as error:
            self._spawn_errors[number] = f"no worker process can be started: {error}"

    def _ask_for_worker(self, number: int) -> Link:
        fork_server = self._fork_server.fork_server()
        try:
            return Link(number, fork_server, lock=self._lock, lane_loop=self._lane_loop, listener=self._on_talk)
        except ConnectionError:
            # It has gone, and there was no loop to hear of it.
            self._lose_fork_server(fork_server)
            return Link(number, self._fork_server.fork_server(), lock=self._lock, lane_loop=self._lane_loop, listener=self._on_talk)

    def _take_back(self, action: TakeBack) -> None:
        link = self._links[action.worker]
        link.flags.take_back(action.call)
        link.taken[action.call] = now()
        self._alarm.set(AHEAD_TICK)

    # ------------------------------------------------------------ what they say

    def _on_talk(self, link: Link, talk: socket.socket) -> None:
        with self._lock:
            if link.talk is not talk:
                return
            if not self._hear(link):
                self._lose_touch(link)
            self._act()
        self._deferred.run()

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

    def _drain_socket(self, link: Link) -> None:
        """What the worker sent before it died still counts."""
        while link.has_word() and self._hear(link):
            pass

    def _lose_touch(self, link: Link) -> None:
        """The worker closed its socket: it is dead, and the fork server will say how."""
        link.hang_up()
        if link.status is not None or not self._fork_server.is_current(link.fork_server):
            self._reap(link)
        else:
            self._lane_loop.later(DEATH_NOTICE_TIMEOUT, self._reap_late, link)

    def _reap_late(self, link: Link) -> None:
        with self._lock:
            if self._links.get(link.number) is link:
                link.kill("exit")
                self._reap(link)
                self._act()
        self._deferred.run()

    def _on_control(self, fork_server: ForkServerClient, control: socket.socket) -> None:
        with self._lock:
            answers, is_there = self._fork_server.hear(fork_server, control)
            for answer in answers:
                link = self._links.get(answer.number)
                if link is None:
                    continue
                if answer.what == SPAWNED:
                    link.pid = answer.pid
                else:
                    link.status = answer.status
                    link.rss = max(link.rss, answer.rss)
                    self._drain_socket(link)
                    self._reap(link)
            if not is_there:
                self._lose_fork_server(fork_server)
            self._act()
        self._deferred.run()

    def _lose_fork_server(self, fork_server: ForkServerClient) -> None:
        """The fork server is gone: what it was to spawn is lost; what it has spawned lives on until its socket closes."""
        self._fork_server.lose(fork_server)
        for link in list(self._links.values()):
            if link.fork_server is fork_server and (link.pid == 0 or link.talk is None):
                self._reap(link)

    # ------------------------------------------------------------ their death

    def _reap(self, link: Link) -> None:
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
        self._give_up_if_hopeless(f"worker processes die before they are ready (wait status {link.status})")

    def _lose_all(self, link: Link) -> None:
        """What the worker said last is lost, and which of its calls had ended nobody knows: none of them must run twice."""
        for number, call in link.sent.items():
            self._schedule.withdraw(number)
            self._lose(call, link)

    def _fail_unstartable(self) -> None:
        """Workers that could not even be asked for."""
        errors, self._spawn_errors = self._spawn_errors, {}
        for number in errors:
            self._schedule.died(number, running=None)
        self._give_up_if_hopeless(next(iter(errors.values())))
        if self._schedule.waiting:
            self._alarm.set(MEMORY_TICK)

    def _give_up_if_hopeless(self, why: str) -> None:
        for number in self._schedule.hopeless():
            call = self._calls[number]
            self._counters.died("exit")
            self._leave(call, "died")
            self._tell(call, WorkerDied(f"{call.name} was not run: {why}", cause="exit", task=call.name))

    # ------------------------------------------------------------ time

    def _tick(self) -> None:
        with self._lock:
            self._alarm.reset()
            moment = now()
            self._check_taken(moment)
            self._check_memory()
            for action in self._schedule.retire_idle(moment):
                self._links[action.worker].send(pack(STOP))
            self._act()
            self._rest_or_tick_again(moment)
        self._deferred.run()

    def _rest_or_tick_again(self, moment: float) -> None:
        idle_end = self._schedule.next_idle_end()
        if idle_end is not None:
            self._alarm.set(max(0.001, idle_end - moment))
        elif self._links:
            self._alarm.set(max(MEMORY_TICK, self._limits.idle_timeout))
        elif not self._calls:
            # Nobody has needed a worker for a while: the fork server goes too.
            fork_server = self._fork_server.close()
            if fork_server is not None:
                self._helpers.do(fork_server.wait)
        if self._limits.memory_limit is not None and self._schedule.busy:
            self._alarm.set(MEMORY_TICK)
        if self._schedule.has_ahead() or any(link.taken for link in self._links.values()):
            self._alarm.set(AHEAD_TICK)
        if self._schedule.waiting and not self._links:
            self._alarm.set(MEMORY_TICK)

    def _check_taken(self, moment: float) -> None:
        for action in list(self._schedule.stale(moment, AHEAD_TICK)):
            self._take_back(action)
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

    # ------------------------------------------------------------ seen and moved by others

    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live now."""
        with self._lock:
            return tuple(link.pid for link in self._links.values() if link.pid)

    def ask_for_stacks(self) -> None:
        """Have every worker that runs a call write down what it does."""
        with self._lock:
            for link in self._links.values():
                if link.flags.started and link.fork_server.is_open:
                    link.ask_for_stack()

    def stacks(self) -> tuple[WorkerStack, ...]:
        """What the workers that run a call have answered."""
        with self._lock:
            answers = [
                (link.pid, call.name, now() - self._schedule.since(link.number), link.stack_dump.read())
                for link in self._links.values()
                if (call := link.sent.get(link.flags.started)) is not None
            ]
        return tuple(WorkerStack(pid=pid, task=task, seconds=seconds, stack=stack_in(text)) for pid, task, seconds, text in answers)

    def use_private_loop(self) -> None:
        """Move to a private loop, if the lane is not there yet: whoever blocks a thread must not block the lane."""
        with self._lock:
            if self._closed is None or not self._closed.done():
                self._bind(None)

    def terminate(self) -> None:
        """Kill everything now, without a loop's help; at interpreter exit."""
        with self._lock:
            links = list(self._links.values())
            if self._closed is None:
                self._closed = concurrent.futures.Future()
        for link in links:
            link.cause = link.cause or "cancelled"
            link.line.close()
        self._fork_server.terminate()

    def after_fork_in_child(self) -> None:
        """Start anew in a forked child: workers, loop and calls belong to the parent."""
        for link in list(self._links.values()):
            link.after_fork_in_child()
        self._fork_server.after_fork_in_child()
        self._reset()

    def _bind(self, user: asyncio.AbstractEventLoop | None) -> None:
        """Live where *user* (None: somebody without a loop) can use the lane."""
        left = self._lane_loop.bind(user)
        if left is None:
            return
        for link in self._links.values():
            link.move(left)
        self._fork_server.move(left)
        self._alarm.reset()
        self._alarm.set(AHEAD_TICK)

    def _is_waiting(self, call: Call) -> bool:
        holder = self._schedule.holder(call.number)
        return holder is None or self._schedule.runs(holder) != call.number

    def _count(self) -> tuple[int, int]:
        return len(self._links), self._schedule.busy
