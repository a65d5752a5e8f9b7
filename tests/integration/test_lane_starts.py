"""Workers start in whatever program they are wanted in, are like it, and say so at once where none can start."""

import asyncio
import functools
import logging
import multiprocessing
import os
import resource
import signal
import socket
import stat
import sys
import time
from multiprocessing import managers, spawn
from pathlib import Path

import pytest

import lane_tasks
import start_tasks
from levelpool import ExecutorManager, TaskNotPicklable, WorkerDied
from processes import is_gone, run, until


class Text(str):
    """A text that is not of the plain type."""

    __slots__ = ()


async def _call(func, *args, **options):
    async with ExecutorManager(cpu_workers=1, io_workers=1, **options) as manager, asyncio.timeout(20):
        return await manager.run_cpu_intensive(func, *args)


# ---------------------------------------------------------------- it always starts


@pytest.mark.parametrize(
    "entries",
    [
        [Path("/nowhere")],
        [Text("/nowhere"), None, 7, b"/nowhere"],
        ["/nowhere/\udcff", "/no\nwhere'\"{}"],
        [f"/nowhere/{'deep/' * 30}{number}" for number in range(1000)],
    ],
    ids=["paths", "other types", "odd letters", "150 kB"],
)
async def test_search_path_may_hold_anything(monkeypatch, entries):
    """What Python itself takes or passes over in `sys.path` keeps no worker from starting."""
    monkeypatch.setattr(sys, "path", [*sys.path, *entries])

    *_, found = await _call(start_tasks.surroundings, "")

    assert found == [each for each in sys.path if isinstance(each, str)]


@pytest.mark.parametrize(
    ("given", "found"),
    [(("one", Path("two"), 3, None), ["one", "two", "3", "None"]), ([], []), (["\udcff", "{}"], ["\udcff", "{}"])],
    ids=["other types", "empty", "odd letters"],
)
async def test_arguments_of_the_program_may_be_anything(monkeypatch, given, found):
    """They arrive as texts."""
    monkeypatch.setattr(sys, "argv", given)

    assert await _call(start_tasks.arguments) == found


async def test_program_without_arguments(monkeypatch):
    """An embedded interpreter may have no `sys.argv` at all."""
    monkeypatch.delattr(sys, "argv")

    assert await _call(start_tasks.arguments) == [""]


async def test_variable_that_no_program_can_be_started_with(monkeypatch):
    """The kernel takes no variable of 128 KiB; a worker has it all the same."""
    monkeypatch.setenv("LONG", "x" * 200_000)

    value, *_ = await _call(start_tasks.surroundings, "LONG")

    assert value == "x" * 200_000


async def test_more_descriptors_than_select_can_tell_of():
    """A lane starts, and starts again, in a process with more than 1,024 open descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        async with ExecutorManager(cpu_workers=1, io_workers=1, worker_idle_timeout=0.05) as manager, asyncio.timeout(20):
            for _ in range(2):
                assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1
                await until(lambda: not manager.stats().cpu.workers)
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_time_limit_for_sockets_is_not_for_the_lanes(monkeypatch):
    """`socket.setdefaulttimeout` makes new sockets give up; those to a worker wait until the loop has time for what comes."""
    socket.setdefaulttimeout(0.05)
    try:
        async with ExecutorManager(cpu_workers=1, io_workers=1) as manager, asyncio.timeout(20):
            await manager.run_cpu_intensive(lane_tasks.noop)
            call = asyncio.create_task(manager.run_cpu_intensive(start_tasks.log_many, 3000))
            await asyncio.sleep(0)
            time.sleep(0.4)  # noqa: ASYNC251 - a loop that has no time is what this is about

            assert await call == 3000
    finally:
        socket.setdefaulttimeout(None)


async def test_signals_of_the_starter_are_not_the_workers():
    """Those that the program blocks or ignores are as usual in a worker, except those of the terminal: `nohup` holds for workers, too."""
    ignored = {signal.SIGTERM, signal.SIGUSR1, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD}
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR2, signal.SIGINT})
    try:
        async with ExecutorManager(cpu_workers=1, io_workers=1) as manager, asyncio.timeout(20):
            blocked, still_ignored = await manager.run_cpu_intensive(start_tasks.signals)
            with pytest.raises(WorkerDied) as died:
                await manager.run_cpu_intensive(lane_tasks.leave, 7)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)

    assert blocked == set()
    assert still_ignored & {*ignored, signal.SIGINT} == {signal.SIGHUP}
    assert died.value.exit_code == 7


@pytest.fixture
def no_python(tmp_path, monkeypatch):
    """A program that this interpreter seems to be; it writes down that it was started."""
    program, log = tmp_path / "program", tmp_path / "log"
    program.write_text(f"#!/bin/sh\necho started >> {log}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(spawn, "_python_exe", None)
    monkeypatch.setattr(sys, "executable", str(program))
    return log


async def test_program_that_is_no_python_is_not_started_again(no_python):
    """In an interpreter that another program carries, workers come from the Python of the same prefix."""
    assert await _call(lane_tasks.add, 40, 2) == 42
    assert not no_python.exists()


async def test_named_interpreter_has_the_first_word(no_python, tmp_path, monkeypatch):
    """`multiprocessing.set_executable` is followed, whatever it names."""
    named = tmp_path / "mine"
    named.write_text(f'#!/bin/sh\necho named >> {no_python}\nexec {sys.prefix}/bin/python3 "$@"\n')
    named.chmod(0o700)
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(named))

    assert await _call(lane_tasks.add, 40, 2) == 42
    assert no_python.read_text() == "named\n"


async def test_no_interpreter_at_all_is_a_sentence(no_python, monkeypatch):
    """Where there is no Python to be found, the call says what to do, at once."""
    monkeypatch.setattr(sys, "exec_prefix", "/nowhere")
    monkeypatch.setattr(sys, "base_exec_prefix", "/nowhere")

    with pytest.raises(WorkerDied, match=r"is no Python interpreter.*set_executable"):
        await _call(lane_tasks.add, 1)

    assert not no_python.exists()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("exit 0", "ended itself with exit code 0 before it could start a worker"),
        ("kill -SEGV $$", "killed by SIGSEGV before it could start a worker"),
    ],
)
async def test_named_program_that_is_no_python_is_told(tmp_path, monkeypatch, program, said):
    """What was started and ended by itself is named with how it ended; every call that waits hears it, and the manager closes at once."""
    named = tmp_path / "mine"
    named.write_text(f"#!/bin/sh\necho >> {tmp_path}/starts\n{program}\n")
    named.chmod(0o700)
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(named))
    async with ExecutorManager(cpu_workers=2, io_workers=1) as manager, asyncio.timeout(20):
        errors = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, 1) for _ in range(5)], return_exceptions=True)
        began = time.monotonic()
    closing = time.monotonic() - began

    assert [type(error) for error in errors] == [WorkerDied] * 5
    assert said in str(errors[0])
    assert str(named) in str(errors[0])
    assert len((tmp_path / "starts").read_text().splitlines()) == 1
    assert closing < 2


async def test_error_at_the_start_is_the_calls(monkeypatch):
    """What goes wrong in the new interpreter is said in its words: here it finds no levelpool."""
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "site-packages" not in each and "src" not in each])

    with pytest.raises(WorkerDied, match=r"was not run: the fork server cannot be started: .*levelpool"):
        await _call(lane_tasks.add, 1)


async def test_module_whose_import_ends_the_process_is_named():
    """A preloaded module that takes the fork server down is named with how it ended, the first time."""
    with pytest.raises(WorkerDied, match="exit code 1 while it preloaded dies_on_import"):
        await _call(lane_tasks.add, 1, preload=["dies_on_import"])


def test_program_without_standard_streams(tmp_path):
    """Where input, output and errors are closed, nothing of the lane gets their numbers."""
    program = """
    if __name__ == "__main__":
        results = os.open("results", os.O_WRONLY | os.O_CREAT)
        results = os.dup2(results, 9)
        os.closerange(0, 3)
        manager = ExecutorManager(cpu_workers=1, io_workers=1)
        got = [manager.cpu_executor.submit(lane_tasks.add, 40, 2).result(30), manager.cpu_executor.submit(os.write, 1, b"lost").result(30)]
        manager.shutdown()
        os.write(results, str(got).encode())
        os._exit(0)
    """

    *_, status = run(tmp_path, program, cwd=tmp_path)

    assert (status, (tmp_path / "results").read_text()) == (0, "[42, 4]")


def test_module_of_the_programs_folder_hides_none_of_pythons(tmp_path):
    """A `json.py` beside where a program is started is not what the new interpreter begins with."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit('the wrong one')")
    program = """
    if __name__ == "__main__":
        manager = ExecutorManager(cpu_workers=1, io_workers=1)
        print(manager.cpu_executor.submit(lane_tasks.add, 40, 2).result(30))
        manager.shutdown()
    """

    out, err, status = run(tmp_path, program, cwd=folder)

    assert (out.split(), status) == (["42"], 0), err


# ---------------------------------------------------------------- it is like the program


async def test_worker_that_starts_later_is_like_the_program_then(monkeypatch, tmp_path):
    """Environment, search path, folder, umask and time zone: those of the program when the worker starts, and not when the first one did."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLOUR", "green")
    async with ExecutorManager(cpu_workers=1, io_workers=1, worker_max_tasks=1) as manager, asyncio.timeout(20):
        await manager.run_cpu_intensive(lane_tasks.noop)
        monkeypatch.setenv("COLOUR", "blue")
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        mask = os.umask(0o027)
        try:
            await until(lambda: not manager.stats().cpu.workers)
            changed = await manager.run_cpu_intensive(start_tasks.surroundings, "COLOUR")
            monkeypatch.delenv("COLOUR")
            await until(lambda: not manager.stats().cpu.workers)
            gone = await manager.run_cpu_intensive(start_tasks.surroundings, "COLOUR")
        finally:
            os.umask(mask)

    assert changed == ("blue", str(tmp_path), 0o027, "JST", sys.path)
    assert gone == (None, *changed[1:])


async def test_proxies_of_a_manager_work_in_workers():
    """A queue of `multiprocessing.Manager` is an ordinary argument, also for a worker that was there before the manager, and for its children."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager, asyncio.timeout(30):
        await manager.run_cpu_intensive(lane_tasks.noop)
        with multiprocessing.get_context("spawn").Manager() as shared:
            queue = shared.Queue()
            await manager.run_cpu_intensive(start_tasks.put, queue, "here")
            await manager.run_cpu_intensive(start_tasks.put_from_a_child, queue, "below")

            assert [queue.get(timeout=10), queue.get(timeout=10)] == ["here", "below"]


async def test_proxy_of_a_manager_with_another_key_is_told():
    """The sentence names the key, and what to do."""
    shared = managers.SyncManager(authkey=b"another", ctx=multiprocessing.get_context("spawn"))
    shared.start()
    try:
        with pytest.raises(TaskNotPicklable, match=r"current_process\(\)\.authkey.*start it without an authkey"):
            await _call(start_tasks.put, shared.Queue(), "here")
    finally:
        shared.shutdown()


@pytest.fixture
def kept_records():
    """Every record that the root logger handles."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append((record.levelname, record.name, record.getMessage()))

    handler = Keep()
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


async def test_records_come_by_the_level_of_each_logger_as_it_is_now(kept_records, monkeypatch):
    """A logger of the program that is at DEBUG below a root at WARNING is so in a worker; and a level that is changed holds from the next call on."""
    logging.addLevelName(15, "VERBOSE")
    loud, quiet = logging.getLogger("start.loud"), logging.getLogger("start.quiet")
    monkeypatch.setattr(loud, "level", logging.NOTSET)
    monkeypatch.setattr(quiet, "level", logging.NOTSET)
    root = logging.getLogger().level
    logging.getLogger().setLevel(logging.WARNING)
    loud.setLevel(10)
    quiet.setLevel(logging.ERROR)

    async def come_from(name):
        kept_records.clear()
        await manager.run_cpu_intensive(start_tasks.log_at_all_levels, name)
        await manager.run_cpu_intensive(lane_tasks.noop)
        return [level for level, logger, _ in kept_records if logger == name]

    try:
        async with ExecutorManager(cpu_workers=1, io_workers=1) as manager, asyncio.timeout(20):
            found = [await come_from(name) for name in ("start.loud.inner", "start.quiet.inner", "start.other")]
            loud.setLevel(logging.INFO)
            quiet.setLevel(15)
            changed = [await come_from(name) for name in ("start.loud.inner", "start.quiet.inner")]
            logging.disable(logging.INFO)
            disabled = await come_from("start.loud.inner")
    finally:
        logging.disable(logging.NOTSET)
        logging.getLogger().setLevel(root)

    assert found == [["DEBUG", "VERBOSE", "INFO", "WARNING"], [], ["WARNING"]]
    assert changed == [["INFO", "WARNING"], ["VERBOSE", "INFO", "WARNING"]]
    assert disabled == ["WARNING"]


async def test_warnings_of_tasks_are_logged_where_the_programs_are(kept_records, capfd):
    """`logging.captureWarnings` holds in workers, also when it comes after they have started."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager, asyncio.timeout(20):
        await manager.run_cpu_intensive(start_tasks.warn, "to the screen")
        logging.captureWarnings(True)
        try:
            await manager.run_cpu_intensive(start_tasks.warn, "to the log")
            await manager.run_cpu_intensive(lane_tasks.noop)
        finally:
            logging.captureWarnings(False)

    assert [text for _, name, text in kept_records if name == "py.warnings" and "to the log" in text]
    assert "to the screen" in capfd.readouterr().err


PRINTS = """
    from pathlib import Path
    import prints_on_import
    if __name__ == "__main__":
        sys.stdout.flush()
        manager = ExecutorManager(cpu_workers=2, io_workers=1, preload=["prints_on_import"])
        slow = manager.cpu_executor.submit(prints_on_import.say, "slow", 0.2)
        manager.cpu_executor.submit(prints_on_import.say, "quick").result(30)
        slow.result(30)
        print(*sorted(Path("output").read_text().split()), file=sys.stderr)
        call = manager.cpu_executor.submit(prints_on_import.say, "killed", 30)
        while UNBUFFERED and "killed" not in Path("output").read_text():
            time.sleep(0.01)
        manager.shutdown(0)
"""


@pytest.mark.parametrize("unbuffered", [True, False], ids=["-u", "buffered"])
def test_what_tasks_print_is_written_once(tmp_path, monkeypatch, unbuffered):
    """It is in the file when the call has ended; under `python -u` at once, so that even a call that is killed leaves it there."""
    (tmp_path / "prints_on_import.py").write_text(
        "import time\nprint('imported')\ndef say(what, seconds=0):\n    print(what)\n    time.sleep(seconds)\n"
    )
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    flags = ["-u"] if unbuffered else []
    with (tmp_path / "output").open("w") as output:
        _, so_far, status = run(tmp_path, PRINTS.replace("UNBUFFERED", str(unbuffered)), *flags, stdout=output, cwd=tmp_path)
    lines = (tmp_path / "output").read_text().split()

    # Once by the program, once by the process that workers are forked from.
    assert (so_far.split(), status) == (["imported", "imported", "quick", "slow"], 0)
    assert sorted(lines) == ["imported", "imported", *["killed"] * unbuffered, "quick", "slow"]


# ---------------------------------------------------------------- it ends as any Python


async def test_what_is_registered_for_the_end_of_a_worker_runs(tmp_path):
    """`atexit`, finalizers of multiprocessing and of weakref run in a worker that goes for want of work, and in one that goes with its manager."""
    folders = [tmp_path / "idle", tmp_path / "closed"]
    for folder, idle in zip(folders, (0.05, 60), strict=True):
        folder.mkdir()
        async with ExecutorManager(cpu_workers=1, io_workers=1, worker_idle_timeout=idle) as manager, asyncio.timeout(20):
            await manager.run_cpu_intensive(start_tasks.register, str(folder))
            if idle < 1:
                await until(lambda: not manager.stats().cpu.workers)

    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [["atexit", "finalize", "weakref"]] * 2


async def test_end_of_a_worker_takes_a_bounded_time(tmp_path, capfd):
    """What hangs there is ended, and standard error says where it was. What a preloaded module has registered is not for workers."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, preload=["ends_soon"]) as manager, asyncio.timeout(20):
        pid = await manager.run_cpu_intensive(functools.partial(start_tasks.register, str(tmp_path), hangs=True))

    assert is_gone(pid)
    out, err = capfd.readouterr()
    assert "Timeout" in err
    assert out == ""
