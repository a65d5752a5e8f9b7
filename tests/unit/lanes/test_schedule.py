"""The decisions of the process lane, played in thousands of orders without a process."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levelpool.lanes.schedule import AHEAD, Kill, Retire, Schedule, Send, Start, TakeBack

PATIENCE = 0.005


class Turnstile:
    """A gate that somebody else opens and closes."""

    def __init__(self):
        self.most = 1

    def allow(self, workers):
        return workers <= self.most

    def settle(self, workers, ready, *, ended):
        """Nothing to do."""

    def leave_line(self):
        """Nothing to do."""

    def resize(self, workers):
        """Nothing to do."""


class World:
    """Workers that obey the schedule, a clock, and the account of every call."""

    def __init__(self, workers, max_tasks=None, bulkheads=(), gate=None):
        self.bulkheads = dict(bulkheads)
        self.groups = {}
        self.orders = {}
        self.gate = gate
        self.schedule = Schedule(workers, max_tasks=max_tasks, idle_timeout=1.0, gate=gate, bulkheads=self.bulkheads)
        self.is_closing = False
        self.head_since = {}
        self.moved = set()
        self.clock = 0.0
        self.unready = set()
        self.inbox = {}
        self.taken = {}
        self.doomed = set()
        self.retiring = set()
        self.ends = {}
        self.ran = []
        self.calls = 0

    def act(self):
        for action in self.schedule.decide(self.clock):
            match action:
                case Start(worker):
                    self.pass_the_gate()
                    self.unready.add(worker)
                    self.inbox[worker] = []
                    self.taken[worker] = set()
                case Send():
                    self.deliver(action)
                case Retire(worker):
                    assert not self.inbox[worker]
                    self.retiring.add(worker)
        self.check()

    def deliver(self, send):
        assert send.worker not in self.unready | self.doomed | self.retiring
        assert send.call not in self.ends
        if send.worker not in self.busy():
            self.head_since[send.worker] = self.clock
            assert len(self.busy()) < self.schedule.max_workers, "more workers are busy than may be"
            self.pass_the_gate()
        self.inbox[send.worker].append(send.call)
        self.check_order(send.call)
        assert len(self.inbox[send.worker]) <= AHEAD

    def check_order(self, sent):
        """Who is sent was the most urgent of its group."""
        sent_too = {call for worker, calls in self.inbox.items() for call in calls if (worker, call) not in self.moved}
        group = self.groups[sent]
        waiting = [call for call, its in self.groups.items() if its == group and call not in self.ends and call not in sent_too]
        assert all(self.orders[sent] < self.orders[call] for call in waiting), "a call of a group overtakes a more urgent one"

    def pass_the_gate(self):
        assert self.gate is None or len(self.busy()) + len(self.unready) < self.gate.most, "a worker slips past the gate"

    def busy(self):
        """Workers with something to run or to pass over; what has moved to another worker does not count."""
        return [worker for worker, calls in self.inbox.items() if any((worker, call) not in self.moved for call in calls)]

    def idle(self):
        return [worker for worker, calls in self.inbox.items() if not calls and worker not in self.unready | self.doomed | self.retiring]

    def could_run_more(self):
        """Whether a worker has nothing to do and may have."""
        at_work = len(self.busy()) + len(self.unready)
        return bool(self.idle()) and len(self.busy()) < self.schedule.max_workers and (self.gate is None or self.gate.allow(at_work + 1))

    def check(self):
        assert self.schedule.busy == len(self.busy())
        if not self.could_run_more():
            return
        assert not self.schedule.waiting, "a call waits while a worker is idle"
        for name, limit in self.bulkheads.items():
            sent = {
                call
                for worker, calls in self.inbox.items()
                for call in calls
                if self.groups[call] == name and (worker, call) not in self.moved
            }
            assert len(sent) <= limit, "a bulkhead leaks"
            held = [call for call, group in self.groups.items() if group == name and call not in self.ends and call not in sent]
            assert not held or len(sent) >= limit, "a call waits though its bulkhead has room"

    def check_patience(self):
        """What was sent ahead does not sit behind a slow call while a worker is idle."""
        if self.could_run_more():
            # What it only passes over keeps nobody waiting.
            to_run = {worker: [call for call in calls if call not in self.taken[worker]] for worker, calls in self.inbox.items()}
            behind = [
                call
                for worker, calls in to_run.items()
                for call in calls[1:]
                if worker not in self.doomed and self.clock - self.head_since[worker] > PATIENCE
            ]
            assert not behind, "a call sits behind a slow one while a worker is idle"

    def end(self, call, how):
        assert call not in self.ends, f"call {call} ended twice: {self.ends[call]} and {how}"
        self.ends[call] = how

    # -- what can happen

    def arrive(self, priority, quick, bulkhead=None):
        if self.is_closing:
            # A lane that closes refuses it at admission.
            return
        self.calls += 1
        self.groups[self.calls] = bulkhead
        self.orders[self.calls] = (-priority, self.calls)
        worker = self.schedule.arrive(self.calls, self.clock, priority=priority, quick=quick, bulkhead=bulkhead)
        if worker is not None:
            self.deliver(Send(worker, self.calls))

    def birth(self, pick):
        if self.unready:
            worker = sorted(self.unready)[pick % len(self.unready)]
            self.unready.discard(worker)
            self.schedule.ready(worker, self.clock)

    def finish(self, pick):
        """A worker gets on: it passes over what was taken back, and ends the call that it runs."""
        able = sorted(w for w, calls in self.inbox.items() if calls and w not in self.doomed)
        if able:
            worker = able[pick % len(able)]
            call = self.inbox[worker].pop(0)
            self.head_since[worker] = self.clock
            if call in self.taken[worker]:
                self.taken[worker].discard(call)
                self.moved.discard((worker, call))
                self.schedule.skipped(worker, call, self.clock)
            else:
                self.ran.append(call)
                if call not in self.ends:
                    self.end(call, "done")
                self.schedule.ended(worker, call, self.clock)

    def die(self, pick, has_begun=True):
        if self.inbox:
            worker = sorted(self.inbox)[pick % len(self.inbox)]
            calls = self.inbox.pop(worker)
            running = next(iter(calls), None)
            if running in self.taken[worker] or not has_begun:
                running = None
            casualties = self.schedule.died(worker, running=running)
            assert all(self.ends[call] == "cancelled" for call in casualties.dropped)
            for group in (self.unready, self.doomed, self.retiring):
                group.discard(worker)
            if casualties.lost is not None and casualties.lost not in self.ends:
                self.end(casualties.lost, "lost")
            for call in casualties.given_up:
                self.end(call, "given up")
            for call in self.schedule.hopeless():
                self.end(call, "hopeless")

    def cancel(self, pick):
        open_calls = [call for call in range(1, self.calls + 1) if call not in self.ends]
        if open_calls:
            call = open_calls[pick % len(open_calls)]
            self.end(call, "cancelled")
            self.obey(self.schedule.withdraw(call))

    def obey(self, action):
        match action:
            case Kill(worker, _):
                self.doomed.add(worker)
            case TakeBack(worker, call) if self.inbox[worker][0] != call:
                self.taken[worker].add(call)

    def notice(self, pick):
        """The lane sees that a call which it took back had begun before: it goes on if it is wanted, else its worker is killed."""
        late = [w for w, calls in sorted(self.inbox.items()) if calls and w not in self.doomed and calls[0] not in self.taken[w]]
        if late:
            worker = late[pick % len(late)]
            call = self.inbox[worker][0]
            self.schedule.begun(worker, call)
            if call in self.ends:
                self.kill(worker)

    def overgrow(self, pick):
        """A busy worker is over its memory limit, an idle one holds much of it."""
        able = [worker for worker in sorted(self.inbox) if worker not in self.unready | self.doomed]
        if able:
            worker = able[pick % len(able)]
            if self.inbox[worker]:
                self.kill(worker)
            else:
                self.schedule.recycle(worker)

    def kill(self, worker):
        self.schedule.condemn(worker)
        self.doomed.add(worker)

    def resize(self, workers):
        self.schedule.max_workers = workers

    def turn(self, most):
        """The other lanes of the host leave us more or less room."""
        if self.gate is not None:
            self.gate.most = most

    def drain(self):
        self.is_closing = self.schedule.retire_all = True

    def tick(self):
        self.clock += 0.004
        for action in list(self.schedule.stale(self.clock, PATIENCE)):
            worker, call = action
            if self.inbox[worker][0] != call:
                self.taken[worker].add(call)
                self.schedule.moved(worker, call)
                self.moved.add((worker, call))
        for action in self.schedule.retire_idle(self.clock):
            self.retiring.add(action.worker)

    def settle(self):
        """Everything that can happen by itself happens: the drain must end."""
        self.drain()
        self.turn(1)
        for _ in range(5000):
            for worker in sorted(self.doomed | self.retiring):
                self.die(sorted(self.inbox).index(worker))
                self.act()
            if not self.schedule.workers and not self.schedule.waiting + self.schedule.held:
                return
            self.birth(0)
            self.act()
            self.finish(0)
            self.act()
            self.tick()
            self.act()
        raise AssertionError("the drain does not end")


PICK = st.integers(0, 30)
EVENTS = st.one_of(
    st.tuples(st.just("arrive"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("arrive"), st.just(0), st.just(True)),
    st.tuples(st.just("arrive"), st.integers(0, 2), st.booleans(), st.sampled_from(["one", "two"])),
    *[st.tuples(st.just(often), PICK) for often in ("birth", "birth", "finish", "finish", "finish")],
    st.tuples(st.sampled_from(["cancel", "notice", "overgrow"]), PICK),
    st.tuples(st.just("die"), PICK, st.booleans()),
    st.tuples(st.just("tick")),
    st.tuples(st.just("tick")),
    st.tuples(st.just("resize"), st.integers(1, 4)),
    st.tuples(st.just("turn"), st.integers(0, 4)),
)


@pytest.mark.timeout(300)
@settings(max_examples=600)
@given(
    workers=st.integers(1, 4),
    max_tasks=st.sampled_from([None, None, 1, 3]),
    gate=st.sampled_from([None, None, Turnstile]),
    # Hypothesis makes lists little longer than they must be.
    events=st.lists(EVENTS, min_size=25, max_size=90),
    more=st.lists(EVENTS, max_size=20),
)
def test_every_call_ends_exactly_once(workers, max_tasks, gate, events, more):
    """
    Whatever arrives, dies, is cancelled, resized or drained, and in whatever order: each call ends once, and runs once at most;
    no more workers are busy than may be; nothing waits beside an idle worker, nor behind a slow call; and the drain ends.
    """
    world = World(workers, max_tasks, {"one": 1, "two": 2}, gate and gate())
    for name, *arguments in [*events, ("drain",), *more]:
        getattr(world, name)(*arguments)
        world.act()
        if name == "tick":
            world.check_patience()
    world.settle()

    assert set(world.ends) == set(range(1, world.calls + 1))
    assert len(world.ran) == len(set(world.ran)), "a call ran twice"


def test_larger_priority_runs_first():
    """Calls run by priority, and in order of arrival within one."""
    schedule = Schedule(1)
    for call, priority in ((1, 0), (2, 5), (3, 5), (4, 0)):
        schedule.arrive(call, 0.0, priority=priority)
    order = []
    list(schedule.decide(0.0))
    schedule.ready(1, 0.0)
    for _ in range(4):
        (send,) = [action for action in schedule.decide(0.0) if isinstance(action, Send)]
        order.append(send.call)
        schedule.ended(1, send.call, 0.0)

    assert order == [2, 3, 1, 4]


def test_larger_priority_runs_first_within_a_bulkhead_too():
    """A call that has a place of its group and has not begun gives it to a more urgent one, and is next."""
    schedule = Schedule(1, bulkheads={"reports": 1})
    for call, priority in ((1, 0), (2, 0), (3, 5)):
        schedule.arrive(call, 0.0, priority=priority, bulkhead="reports")
    order = []
    list(schedule.decide(0.0))
    schedule.ready(1, 0.0)
    for _ in range(3):
        (send,) = [action for action in schedule.decide(0.0) if isinstance(action, Send)]
        order.append(send.call)
        schedule.ended(1, send.call, 0.0)

    assert order == [3, 1, 2]


def test_calls_of_a_group_that_give_up_are_forgotten():
    """Whoever waits for a place behind more urgent calls, and gives up, leaves nothing behind, however many they are."""
    schedule = Schedule(1, bulkheads={"reports": 1})
    schedule.arrive(1, 0.0, priority=1, bulkhead="reports")
    list(schedule.decide(0.0))
    schedule.ready(1, 0.0)
    list(schedule.decide(0.0))
    for call in range(1, 1000, 2):
        schedule.arrive(call + 1, 0.0, bulkhead="reports")
        schedule.withdraw(call + 1)
        schedule.arrive(call + 2, 0.0, priority=1, bulkhead="reports")
        schedule.ended(1, call, 0.0)
        assert list(schedule.decide(0.0)) == [Send(1, call + 2)]

    assert len(schedule._bulkheads._groups["reports"].line) < 100


def test_only_quick_calls_are_sent_ahead():
    """A call of unknown or long duration waits for a worker of its own."""
    schedule = Schedule(1)
    for call, quick in ((1, True), (2, True), (3, False)):
        schedule.arrive(call, 0.0, quick=quick)
    list(schedule.decide(0.0))
    schedule.ready(1, 0.0)

    assert list(schedule.decide(0.0)) == [Send(1, 1), Send(1, 2)]


def test_slow_call_does_not_hold_what_was_sent_ahead():
    """What sits behind a call that turned out slow is taken back as soon as somebody else could run it."""
    schedule = Schedule(2)
    for call in (1, 2, 3):
        schedule.arrive(call, 0.0, quick=True)
    list(schedule.decide(0.0))
    schedule.ready(1, 0.0)
    list(schedule.decide(0.0))

    assert list(schedule.stale(0.001, PATIENCE)) == []
    assert list(schedule.stale(0.01, PATIENCE)) == [TakeBack(1, 2)] or schedule.workers == 2


def test_births_that_fail_end_in_an_answer():
    """When no worker can be started, the waiting calls are given up instead of waiting for ever."""
    schedule = Schedule(1)
    schedule.arrive(1, 0.0)
    for _ in range(3):
        (start,) = schedule.decide(0.0)
        schedule.died(start.worker, running=None)

    assert schedule.hopeless() == (1,)


def test_cancelled_call_does_not_come_back_when_its_worker_dies_before_it_began():
    """A call that nobody wants is dropped with its worker, also if the worker had not begun it."""
    schedule = Schedule(1)
    schedule.arrive(1, 0.0)
    (start,) = schedule.decide(0.0)
    schedule.ready(start.worker, 0.0)
    (send,) = schedule.decide(0.0)

    assert isinstance(schedule.withdraw(send.call), Kill)
    assert schedule.died(start.worker, running=None).dropped == (send.call,)
    assert list(schedule.decide(0.0)) == []


def test_full_bulkhead_leaves_the_other_workers_alone():
    """Two of three calls of a group of one wait, and start no worker; the third worker is for the others."""
    schedule = Schedule(3, bulkheads={"reports": 1})
    for call in (1, 2, 3):
        schedule.arrive(call, 0.0, bulkhead="reports")

    assert list(schedule.decide(0.0)) == [Start(1)]
    schedule.ready(1, 0.0)
    assert list(schedule.decide(0.0)) == [Send(1, 1)]
    assert schedule.held == 2
    schedule.ended(1, 1, 0.0)
    assert list(schedule.decide(0.0)) == [Send(1, 2)]
