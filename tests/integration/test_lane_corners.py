"""The corners of the lanes, each of which once lost a call, a descriptor or a thread."""

import asyncio
import collections
import contextlib
import datetime as dt
import errno
import gc
import itertools
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from zoneinfo import ZoneInfo

import pytest

import corner_tasks
import lane_tasks
import processes
from levelpool import ExecutorManager, LaneFull, NoRoom, RemoteError, TaskNotPicklable, WorkerDied
from levelpool.lanes.admission import Admission
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane import DEFAULT_OPTIONS
from levelpool.lanes.thread import thread_lane


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=1, io_workers=1) as made:
        yield made


# ---------------------------------------------------------------- streams


async def test_stream_that_is_left_gives_its_memory_back(manager):
    """Items that came and were never read leave no memory file behind."""
    before = corner_tasks.memory_files()
    for _ in range(3):
        async with manager.stream_cpu_intensive(corner_tasks.large_items, 20, 1 << 20) as stream:
            async for _item in stream:
                await processes.until(lambda: corner_tasks.memory_files() > before)
                break
        del stream, _item

    gc.collect()
    await processes.until(lambda: corner_tasks.memory_files() <= before)


async def test_stream_is_over_after_a_wait_that_was_given_up(manager):
    """A reader that gave up once is told the end, instead of waiting for an item that nobody makes."""
    stream = manager.stream_cpu_intensive(lane_tasks.slow_count, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anext(stream)

    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_closing_a_stream_ends_the_loop_of_its_reader(manager):
    """Another task may close a stream: the reader's loop ends, and the reader is not cancelled."""
    stream = manager.stream_cpu_intensive(lane_tasks.slow_count, 3)

    async def read():
        return [item async for item in stream]

    reader = asyncio.create_task(read())
    await processes.running_pid(manager)
    await stream.aclose()

    assert await reader == []


@pytest.mark.parametrize("task", [corner_tasks.stop_in_the_middle, corner_tasks.stop_at_once])
async def test_error_that_looks_like_an_end_is_an_error(manager, task):
    """StopIteration and StopAsyncIteration of a task do not end the stream as if all had come."""
    with pytest.raises(RuntimeError, match="the task raised Stop"):
        async for _ in manager.stream_cpu_intensive(task):
            pass


# ---------------------------------------------------------------- threads that meet


def test_submit_runs_nobody_elses_callback():
    """A thread that submits while it holds a lock does not run the callback of another call, which wants that lock."""
    manager = ExecutorManager(cpu_workers=2, io_workers=1, cpu_queue_limit=5000)
    executor, lock, ran_in = manager.cpu_executor, threading.Lock(), set()

    def callback(_):
        with lock:
            ran_in.add(threading.current_thread().name)

    def submit_many():
        for _ in range(2000):
            with lock:
                future = executor.submit(lane_tasks.noop)
            future.add_done_callback(callback)

    submitter = threading.Thread(target=submit_many, name="submitter", daemon=True)
    submitter.start()
    submitter.join(40)
    assert not submitter.is_alive()
    manager.shutdown()
    assert "levelpool-cpu" in ran_in


@pytest.mark.parametrize("lane", ["cpu_executor", "io_executor"])
def test_callback_that_ends_its_thread_costs_nobody_elses_call(lane, caplog):
    """A done-callback that raises SystemExit is logged; the lane goes on."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    executor, go = getattr(manager, lane), threading.Event()
    future = executor.submit(lane_tasks.sleep, 0.2)
    future.add_done_callback(lambda _: (go.set(), sys.exit("from a callback")))
    future.result(30)
    assert go.wait(30)

    assert executor.submit(lane_tasks.add, 1, 2).result(30) == 3
    assert any("a callback of lane" in message for message in caplog.messages)
    manager.shutdown()


def test_callbacks_that_try_again_do_not_pile_up():
    """Hundreds of calls fail at once, and the callback of each submits another one: no stack grows with them."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1, cpu_queue_limit=5000, preload=["dies_on_import"])
    executor, again, depths = manager.cpu_executor, [], []

    def retry(_):
        depth, frame = 0, sys._getframe()
        while frame:
            depth, frame = depth + 1, frame.f_back
        depths.append(depth)
        again.append(executor.submit(lane_tasks.noop))

    for future in [executor.submit(lane_tasks.noop) for _ in range(300)]:
        future.add_done_callback(retry)
    processes.wait_until(lambda: len(again) == 300, 30)
    for future in again:
        with pytest.raises(WorkerDied):
            future.result(30)

    assert max(depths) < 60
    manager.shutdown()


def test_job_that_comes_as_its_thread_leaves_is_run(monkeypatch):
    """A thread whose idle time is up, and which has not got the lock yet, takes the job that came meanwhile."""
    monkeypatch.setattr("levelpool.lanes.helper_threads.IDLE_TIMEOUT", 0.05)
    monkeypatch.setattr("levelpool.lanes.thread.IDLE_TIMEOUT", 0.05)
    helpers, lane, ran = HelperThreads("test", 2), thread_lane("io", 1), threading.Event()
    helpers.do(lambda: None)
    lane.submit(int, (), {}, DEFAULT_OPTIONS).result(10)
    processes.wait_until(lambda: helpers._idle == 1 and lane.backend.idle == 1)
    with helpers._counting:
        time.sleep(0.15)  # the thread's time is over, and it waits for the lock
        helpers.do(ran.set)
    with lane.lock:
        time.sleep(0.15)
        future = lane.submit(int, (), {}, DEFAULT_OPTIONS)

    assert ran.wait(10)
    assert future.result(10) == 0


async def test_view_that_is_collected_in_a_ring_costs_no_helper(manager):
    """Large results that die in reference cycles leave the helper threads alive for the next large thing."""
    for _ in range(3):
        ring = {"view": await manager.run_cpu_intensive(corner_tasks.view, 4 << 20)}
        ring["self"] = ring
        del ring
        gc.collect()

    assert await manager.run_cpu_intensive(lane_tasks.length, list(range(200_000))) == 200_000


def test_closed_manager_starts_no_thread():
    """`shutdown` after `aclose`, and a touch of the drop-in, leave nothing behind."""

    async def use():
        async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
            await manager.run_cpu_intensive(lane_tasks.noop)
        return manager

    before = set(threading.enumerate())
    manager = asyncio.run(use())
    manager.shutdown()
    assert manager.cpu_executor is not None

    assert "levelpool-cpu" not in {thread.name for thread in threading.enumerate() if thread not in before}


def test_ctrl_c_while_an_argument_is_pickled_is_for_the_caller():
    """KeyboardInterrupt in the submitting thread is not turned into an error of the call."""

    class Interrupted:
        def __reduce__(self):
            signal.raise_signal(signal.SIGINT)
            return int, ()

    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    with pytest.raises(KeyboardInterrupt):
        manager.cpu_executor.submit(lane_tasks.noop, Interrupted())
    manager.shutdown()


# ---------------------------------------------------------------- limits


async def test_loop_turns_while_it_is_looked_for_what_cannot_travel(manager):
    """To name the part of an argument that cannot travel takes several picklings of the whole, and none of them happens on the loop."""
    loop, looking, go = threading.get_ident(), threading.Event(), threading.Event()

    class Stubborn:
        def __reduce__(self):
            if threading.get_ident() != loop:
                looking.set()
                go.wait(30)
            raise TypeError("never")

    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.add, [1, {"key": Stubborn()}]))
    await processes.until(looking.is_set)
    go.set()

    with pytest.raises(TaskNotPicklable, match=r"argument 0\[1\]\['key'\] of add .*Stubborn"):
        await call


async def test_drain_ends_with_a_call_that_cannot_travel(manager):
    """The last call of a closing manager turns out not to travel: then there is nothing left to wait for."""
    loop, looking, go = threading.get_ident(), threading.Event(), threading.Event()

    class Stubborn:
        def __reduce__(self):
            if threading.get_ident() != loop:
                looking.set()
                go.wait(30)
            raise TypeError("never")

    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.add, Stubborn()))
    await processes.until(looking.is_set)
    closing = asyncio.create_task(manager.aclose(timeout=600))
    await asyncio.sleep(0)
    go.set()

    await asyncio.wait_for(closing, 30)
    with pytest.raises(TaskNotPicklable):
        await call


async def test_refusal_comes_also_when_nobody_can_say_what_cannot_travel(manager):
    """A key that cannot be shown spoils the search for the culprit; the caller gets its answer all the same."""

    class Unspeakable:
        def __repr__(self):
            raise ValueError("no words")

    with pytest.raises(TaskNotPicklable, match=r"nobody can say \(ValueError\)"):
        await manager.run_cpu_intensive(lane_tasks.add, {Unspeakable(): threading.Lock()})


async def test_admission_that_is_over_refuses_at_once():
    """A deadline that has passed, as a negative time, refuses like 0; it does not wait for ever."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, cpu_queue_limit=0, io_queue_limit=0) as manager:
        late = manager.with_options(admission_timeout=-0.5)
        for run, refused in ((manager.run_cpu_intensive, late.run_cpu_intensive), (manager.run_io_intensive, late.run_io_intensive)):
            busy = asyncio.create_task(run(lane_tasks.sleep, 0.5))
            await asyncio.sleep(0)
            with pytest.raises(LaneFull):
                await refused(lane_tasks.noop)
            await busy


async def test_worker_never_runs_more_than_its_share():
    """With worker_max_tasks=1 no process runs two calls, however quick they are and however many wait."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, worker_max_tasks=1) as manager:
        for _ in range(3):
            await manager.run_cpu_intensive(corner_tasks.pid)
        pids = await asyncio.gather(*[manager.run_cpu_intensive(corner_tasks.pid) for _ in range(10)])

    assert max(collections.Counter(pids).values()) == 1


async def test_no_descriptor_left_costs_one_call(manager):
    """A result that cannot be taken because this process can open no more files fails with that sentence; the next call runs."""
    await manager.run_cpu_intensive(lane_tasks.noop)
    await processes.until(lambda: not manager.stats().cpu.busy)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.return_bytes, 1 << 20))
    await asyncio.sleep(0)
    assert manager.stats().cpu.busy == 1, "it was sent to the worker that is there"
    hoard = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hoard + 1, hard))
    try:
        with pytest.raises(WorkerDied, match="no file descriptor left") as died:
            await call
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(hoard)

    assert died.value.cause == "descriptors"
    assert manager.stats().cpu.deaths == {"descriptors": 1}
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


@contextlib.contextmanager
def limited(limit, value):
    """As if the program had been started under `ulimit`; of descriptors there are no more than it has open."""
    soft, hard = resource.getrlimit(limit)
    hoard = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(limit, (hoard + 1 if limit == resource.RLIMIT_NOFILE else value, hard))
    try:
        yield
    finally:
        resource.setrlimit(limit, (soft, hard))
        os.close(hoard)


@pytest.mark.parametrize(
    ("limit", "cause"), [(resource.RLIMIT_NOFILE, "descriptors"), (resource.RLIMIT_FSIZE, "file size")], ids=["descriptors", "size"]
)
async def test_no_room_for_what_is_large_is_told_as_that(manager, limit, cause):
    """Arguments that find none here, and a result that finds none in its worker, are not said to be impossible to pickle; the worker lives on."""
    pid = await manager.run_cpu_intensive(lane_tasks.pid)
    with limited(limit, 200_000), pytest.raises(NoRoom, match=r"lane_tasks\.noop was not sent: .*ulimit") as here:
        await manager.run_cpu_intensive(lane_tasks.noop, bytes(300_000))
    with pytest.raises(NoRoom, match=r"result of return_bytes_within was not sent back.*ulimit") as there:
        await manager.run_cpu_intensive(lane_tasks.return_bytes_within, limit, 200_000, 300_000)

    assert (here.value.cause, there.value.cause) == (cause, cause)
    assert await manager.run_cpu_intensive(lane_tasks.pid) == pid


async def test_long_error_without_room_arrives_in_brief(manager):
    """The worker has no descriptor left to send all of it with: its type and the beginning of its words are told."""
    with pytest.raises(RemoteError, match="ValueError: xxx") as brief:
        await manager.run_cpu_intensive(lane_tasks.fail_at_length_without_descriptors, 300_000)

    assert brief.value.type_name == "ValueError"


async def test_large_things_travel_without_memfd(monkeypatch):
    """In both directions, where neither this process nor its workers may make memory files of their own kind."""

    def refuse(*_args):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "memfd_create", refuse)
    async with ExecutorManager(cpu_workers=1, io_workers=1, preload=["without_memfd"]) as manager:
        assert await manager.run_cpu_intensive(lane_tasks.add, bytes(300_000), b"1") == bytes(300_000) + b"1"


# ---------------------------------------------------------------- what travels


async def test_value_that_is_not_plain_stays_behind(manager):
    """A context variable with an instance of a subclass of str breaks no call."""
    await manager.run_cpu_intensive(lane_tasks.noop)
    without = manager.stats().cpu.skipped_context
    token = corner_tasks.OTHER.set(corner_tasks.Text("x"))
    try:
        await manager.run_cpu_intensive(lane_tasks.noop)
        assert manager.stats().cpu.skipped_context == 2 * without + 1
    finally:
        corner_tasks.OTHER.reset(token)


def test_variable_of_the_main_program_is_there_in_the_first_call(tmp_path):
    """The first call of a worker sees the context variables of the main program, as the second does."""
    out, err, status = processes.run(
        tmp_path,
        """
        import contextvars
        REQUEST = contextvars.ContextVar("REQUEST", default="none")

        def read():
            return REQUEST.get()

        async def main():
            REQUEST.set("r-7")
            async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
                print([await manager.run_cpu_intensive(read) for _ in range(2)])

        if __name__ == "__main__":
            asyncio.run(main())
        """,
    )

    assert (out, err, status) == ("['r-7', 'r-7']\n", "", 0)


def test_main_program_is_not_run_for_the_sake_of_its_variables(tmp_path):
    """A worker that runs a function of another module leaves the main program alone, whatever context variables that has set."""
    out, err, status = processes.run(
        tmp_path,
        """
        import contextvars
        REQUEST = contextvars.ContextVar("REQUEST", default="none")

        if __name__ == "__mp_main__":
            print("the main program runs in a worker", flush=True)
        else:
            REQUEST.set("r-7")
            manager = ExecutorManager(cpu_workers=1, io_workers=1)
            print(manager.cpu_executor.submit(lane_tasks.add, 1, 2).result())
            manager.shutdown()
        """,
    )

    assert (out, err, status) == ("3\n", "", 0)


@pytest.mark.parametrize("start", [["-m", "program"], ["program"]], ids=" ".join)
def test_function_of_a_package_that_is_run_is_found(tmp_path, start):
    """`python -m package` and `python folder` are programs as any other: their functions and variables are there in workers."""
    (tmp_path / "program").mkdir()
    (tmp_path / "program/__init__.py").touch()
    (tmp_path / "program/__main__.py").write_text(
        textwrap.dedent("""
            import contextvars
            from levelpool import ExecutorManager
            REQUEST = contextvars.ContextVar("REQUEST")

            def read():
                return REQUEST.get()

            if __name__ == "__main__":
                REQUEST.set("r-7")
                manager = ExecutorManager(cpu_workers=1, io_workers=1)
                print(manager.cpu_executor.submit(read).result())
                manager.shutdown()
        """)
    )

    ended = subprocess.run([sys.executable, *start], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    assert (ended.stdout, ended.stderr, ended.returncode) == ("r-7\n", "", 0)


def test_variable_that_the_main_program_imports_reaches_its_task(tmp_path):
    """A context variable that several modules hold is set in a worker that knows only one of them."""
    out, err, status = processes.run(
        tmp_path,
        """
        import corner_tasks
        from corner_tasks import TENANT

        if __name__ == "__main__":
            TENANT.set("acme")
            manager = ExecutorManager(cpu_workers=1, io_workers=1)
            print(manager.cpu_executor.submit(corner_tasks.tenant).result())
            manager.shutdown()
        """,
    )

    assert (out, err, status) == ("acme\n", "", 0)


class OwnZone(dt.tzinfo):
    """A time zone that no worker knows."""

    def __reduce__(self):
        raise TypeError("stays here")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ("x" * 4096, True),
        ("x" * 4097, False),
        ("é" * 2048, True),
        ("é" * 2049, False),
        (b"x" * 4096, True),
        (("",) * 4096, True),
        (("",) * 4097, False),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), True),
        (dt.datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC")), True),
        (dt.datetime(2026, 1, 2, tzinfo=OwnZone()), False),
    ],
    ids=itertools.count(),
)
async def test_four_kibibytes_of_plain_values_travel(manager, value, arrives):
    """A size is bytes, not characters or parts; what does not travel stays behind and breaks no call."""
    token = corner_tasks.TENANT.set(value)
    try:
        found = await manager.run_cpu_intensive(corner_tasks.tenant)
    finally:
        corner_tasks.TENANT.reset(token)

    assert found == (value if arrives else "nobody")


async def test_error_of_a_module_that_is_not_here_is_imported_beside_the_loop(manager):
    """The loop goes on while the module of an exception is imported."""
    beats = []

    async def beat():
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    heart = asyncio.create_task(beat())
    with pytest.raises(Exception, match="as told") as raised:
        await manager.run_cpu_intensive(corner_tasks.raise_of_a_slow_module)
    heart.cancel()

    assert type(raised.value).__name__ == "SlowError"
    # The import sleeps for 0.3 s: on the loop that would be one gap of at least as long.
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < 0.3


async def test_large_key_travels_in_a_memory_file(manager):
    """What is large in a small dict is noticed, key or value."""
    assert [len(key) for key in await manager.run_cpu_intensive(corner_tasks.large_key, 5 << 20)] == [5 << 20]
    assert manager.stats().tasks[0].result_bytes >= 5 << 20


async def test_call_that_is_not_understood_leaves_nothing_in_the_worker(manager):
    """Large arguments of a function that the worker cannot find are given back."""

    def only_here(_):
        """Pretends to be a function of a module."""

    corner_tasks.only_here = only_here
    only_here.__module__, only_here.__qualname__ = "corner_tasks", "only_here"
    before = await manager.run_cpu_intensive(corner_tasks.memory_files)
    for _ in range(3):
        with pytest.raises(TaskNotPicklable):
            await manager.run_cpu_intensive(only_here, bytes(1 << 20))

    assert await manager.run_cpu_intensive(corner_tasks.memory_files) == before


@pytest.mark.parametrize(("steps", "total"), [(5, 10), (500, 0), (20, 10)])
async def test_last_report_of_progress_always_comes(manager, steps, total):
    """Few reports travel, and the last one always does: before its total, without one, and beyond it."""
    reports = []
    told = manager.with_options(on_progress=lambda done, _total, _message: reports.append(done))
    await told.run_cpu_intensive(corner_tasks.report_up_to, steps, total)
    await processes.until(lambda: reports and reports[-1] == steps)

    assert len(reports) <= 10


async def test_thread_that_is_left_behind_speaks_for_no_other_call(manager, tmp_path, caplog):
    """What such a thread, or one that it starts, reports and logs is not taken for the next call's; a thread of that call is."""
    reports = []
    told = manager.with_options(name="next", on_progress=lambda *report: reports.append(report))
    await manager.run_cpu_intensive(corner_tasks.leave_threads, tmp_path)
    await told.run_cpu_intensive(corner_tasks.let_threads_speak, tmp_path)
    await processes.until(lambda: reports[-1:] == [(2, 2, "own")])

    assert reports == [(1, 2, "own thread"), (2, 2, "own")]
    assert [(record.message, record.levelpool_task) for record in caplog.records] == [
        ("left behind", ""),
        ("left behind", ""),
        ("own thread", "next"),
    ]


async def test_thread_of_a_pool_speaks_for_the_call_whose_context_it_carries(manager):
    """A pool that a module keeps has threads of an earlier call; a call whose context is handed to them is meant."""
    reports = []
    told = manager.with_options(on_progress=lambda done, *_: reports.append(done))
    for step, carries_context in enumerate([True, True, False, True]):
        await told.run_cpu_intensive(corner_tasks.report_in_a_pool, step, carries_context)
    await processes.until(lambda: reports[-1:] == [3])

    assert reports == [0, 1, 3]


@pytest.mark.parametrize(("task", "records"), [(corner_tasks.log_from_a_signal, 3000), (corner_tasks.log_from_finalizers, 200)])
async def test_logging_in_the_midst_of_logging_ends(manager, task, records):
    """A signal handler or a finalizer that logs while a record is being sent does not stop its task."""
    async with asyncio.timeout(40):
        assert await manager.run_cpu_intensive(task, records) == records


async def test_child_of_a_task_may_log(manager, capfd):
    """A child that a task forks logs without noise, and without writing into its parent's socket."""
    assert await manager.run_cpu_intensive(corner_tasks.log_from_a_child) == 0
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1

    assert "Logging error" not in capfd.readouterr().err


def test_forked_child_waits_for_none_of_its_parents_calls(tmp_path):
    """In a forked child the drop-in of the parent can be shut down at once, though the parent's call still runs."""
    out, err, status = processes.run(
        tmp_path,
        """
        if __name__ == "__main__":
            manager = ExecutorManager(cpu_workers=1, io_workers=1)
            executor = manager.cpu_executor
            call = executor.submit(lane_tasks.sleep, 60)
            child = os.fork()
            if child == 0:
                executor.shutdown()
                print("shut down", flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            call.cancel()
            manager.shutdown(0)
        """,
    )

    assert (out, err, status) == ("shut down\n", "", 0)


def test_cancelling_many_that_wait_is_quick():
    """Each of many thousands who wait for a place can be forgotten without a look at all the others."""
    admission = Admission(0, 0)
    calls = [object() for _ in range(50_000)]
    for call in calls:
        admission.wait(call, 0)
    steps = []
    sys.setprofile(lambda *_: steps.append(None))
    try:
        for call in calls[1:]:
            admission.stop_waiting(call)
    finally:
        sys.setprofile(None)

    assert len(steps) < 50_000 * 20
    assert admission.waiting == 1
    assert admission.clear_waiting() == calls[:1]


def test_main_program_that_cannot_be_loaded_is_named(tmp_path):
    """A program whose start is not guarded is told so, each time, and its SystemExit is not taken for the task's."""
    out, err, status = processes.run(
        tmp_path,
        """
        def task():
            return 1

        if __name__ == "__mp_main__":
            sys.exit("not guarded")
        manager = ExecutorManager(cpu_workers=1, io_workers=1)
        for _ in range(2):
            try:
                manager.cpu_executor.submit(task).result()
            except TaskNotPicklable as error:
                print(error)
        manager.shutdown()
        """,
    )

    assert (err, status) == ("", 0)
    assert out.count("the main program cannot be loaded in the worker process (SystemExit: not guarded): guard its start") == 2
