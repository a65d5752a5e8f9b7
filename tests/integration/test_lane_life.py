"""Whole programs that use the lanes: how they start, fork, are interrupted, killed, and end."""

import subprocess
import time

import pytest

from processes import parent, run, start, wait_until_gone


@pytest.mark.parametrize("fork", ["", "os.fork() or (time.sleep(8), os._exit(0))"], ids=["alone", "with a fork of it alive"])
def test_no_orphans_after_a_kill(tmp_path, fork):
    """Workers and fork server die with a program killed by -9, stuck in C as they may be, and even while a fork of the program lives."""
    program = f"""
    async def main():
        manager = ExecutorManager(cpu_workers=2, io_workers=1)
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c)),
                 asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep_in_c, 60))]
        await workers(manager, 2)
        {fork or "pass"}
        print(*manager.worker_pids(), flush=True)
        await asyncio.sleep(60)
    asyncio.run(main())
    """
    with start(tmp_path, program) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        fork_server = parent(pids[0])
        process.kill()
        process.wait()
        wait_until_gone([fork_server, *pids], 2.0)

    assert len(pids) == 2
    assert fork_server != process.pid


def test_idle_workers_go_also_when_their_loop_has_ended(tmp_path):
    """A program that goes on after its `asyncio.run` keeps no workers beyond the idle time, and can use the lane again."""
    program = f"""
    manager = ExecutorManager(cpu_workers=2, io_workers=1, worker_idle_timeout=0.5)

    async def use(task, *rows):
        return await asyncio.gather(*[manager.run_cpu_intensive(task, *row) for row in rows])

    os.mkdir("{tmp_path}/met")
    asyncio.run(use(lane_tasks.meet, *[("{tmp_path}/met", 2)] * 2))
    print(*manager.worker_pids(), flush=True)
    sys.stdin.readline()
    assert asyncio.run(use(lane_tasks.add, *[(number, 1) for number in range(8)])) == list(range(1, 9))
    print("well")
    """
    with start(tmp_path, program, stdin=subprocess.PIPE) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        wait_until_gone([parent(pids[0]), *pids], 10.0)

        assert process.communicate("go on\n", timeout=30) == ("well\n", "")
    assert len(pids) == 2


def test_idle_workers_go_at_once_with_the_program(tmp_path):
    """At the end of a program whose loop has ended before, nobody waits for the idle time."""
    program = """
    manager = ExecutorManager(cpu_workers=2, io_workers=1, worker_idle_timeout=600)
    asyncio.run(manager.run_cpu_intensive(lane_tasks.add, 1))
    print(*manager.worker_pids(), flush=True)
    sys.stdin.readline()
    """
    with start(tmp_path, program, stdin=subprocess.PIPE) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        pids.append(parent(pids[0]))
        process.communicate("go on\n", timeout=30)
        wait_until_gone(pids, 2.0)


def test_forked_child_gets_a_lane_of_its_own(tmp_path):
    """After a fork (gunicorn's way) both sides can go on using the same manager."""
    program = """
    manager = get_executor_manager()
    assert manager.cpu_executor.submit(lane_tasks.add, 1).result(10) == 1
    child = os.fork()
    if child == 0:
        assert asyncio.run(manager.run_cpu_intensive(lane_tasks.add, 2)) == 2
        assert asyncio.run(manager.run_io_intensive(lambda: 3)) == 3
        manager.shutdown()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert manager.cpu_executor.submit(lane_tasks.add, 3).result(10) == 3
    manager.shutdown()
    print("well")
    """
    assert run(tmp_path, program) == ("well\n", "", 0)


def test_stuck_call_does_not_keep_the_program(tmp_path):
    """A program whose loop is gone ends at once, whatever its workers and threads still do."""
    program = """
    async def main():
        manager = get_executor_manager()
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep_in_c, 60)),
                 asyncio.create_task(manager.run_io_intensive(time.sleep, 60))]
        await workers(manager, 1)
        print(*manager.worker_pids(), flush=True)
    asyncio.run(main())
    """
    began = time.monotonic()
    out, err, code = run(tmp_path, program)

    assert (err, code) == ("", 0)
    assert time.monotonic() - began < 10
    wait_until_gone([int(word) for word in out.split()], 0.5)


def test_pending_future_is_awaited_at_exit(tmp_path):
    """As with the standard executors, a call that was submitted runs to its end when the program ends."""
    program = """
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    manager.cpu_executor.submit(lane_tasks.mark, sys.argv[0] + ".mark", 0.3)
    """
    out, err, code = run(tmp_path, program)

    assert (out, err, code) == ("", "", 0)
    assert (tmp_path / "program.py.mark").read_text() == "begun\n"


@pytest.mark.parametrize("lane", ["cpu_executor", "io_executor"])
def test_pending_futures_without_a_manager_are_awaited_at_exit(tmp_path, lane):
    """The program kept neither manager nor executor: what was submitted, begun or queued, is done all the same."""
    program = f"""
    executor = ExecutorManager(cpu_workers=1, io_workers=1).{lane}
    executor.submit(lane_tasks.mark, sys.argv[0] + ".first", 0.3)
    executor.submit(lane_tasks.mark, sys.argv[0] + ".second", 0.1)
    del executor
    """
    out, err, code = run(tmp_path, program)

    assert (out, err, code) == ("", "", 0)
    assert [path.read_text() for path in sorted(tmp_path.glob("program.py.*"))] == ["begun\n", "begun\n"]


def test_function_of_the_main_program(tmp_path):
    """Functions, classes and errors defined in the program itself work in workers, when it guards its start."""
    program = """
    class Odd(Exception):
        pass
    def half(number):
        if number % 2:
            raise Odd(number)
        return number // 2
    async def main():
        async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
            print(await manager.run_cpu_intensive(half, 4))
            try:
                await manager.run_cpu_intensive(half, 3)
            except Odd as error:
                print("odd", error)
    if __name__ == "__main__":
        asyncio.run(main())
    """
    assert run(tmp_path, program) == ("2\nodd 3\n", "", 0)


def test_uvloop(tmp_path):
    """The same under uvloop, on the loop itself."""
    program = """
    import uvloop
    async def main():
        async with ExecutorManager(cpu_workers=2, io_workers=1) as manager:
            print(await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, i) for i in range(5)]))
            print(len(await manager.run_cpu_intensive(lane_tasks.return_dicts, 20000)))
            call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 60))
            await workers(manager, 1)
            call.cancel()
            print([i async for i in manager.stream_cpu_intensive(lane_tasks.count, 3)])
    uvloop.run(main())
    """
    assert run(tmp_path, program) == ("[0, 1, 2, 3, 4]\n20000\n[0, 1, 2]\n", "", 0)


def test_owner_loop_closes_under_a_thread(tmp_path):
    """A call from another thread ends well although the loop that used the manager first is closed meanwhile."""
    program = """
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    async def main():
        await manager.run_cpu_intensive(lane_tasks.add, 1)
        future = concurrent.futures.Future()
        thread = threading.Thread(target=lambda: future.set_result(asyncio.run(manager.run_cpu_intensive(lane_tasks.sleep, 0.5, "slept"))))
        thread.start()
        await asyncio.sleep(0.1)
        return thread, future
    thread, future = asyncio.run(main())
    print(future.result(10))
    thread.join()
    print(asyncio.run(manager.run_cpu_intensive(lane_tasks.add, 5)))
    manager.shutdown()
    """
    assert run(tmp_path, program) == ("slept\n5\n", "", 0)


def test_many_loops_and_threads_at_once(tmp_path):
    """Four threads with loops of their own, four without, and one manager: each gets its own answers, and stopping works in each."""
    program = """
    manager = ExecutorManager(cpu_workers=2, io_workers=2)
    answers = []

    async def call(number):
        results = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, number, i) for i in range(100)])
        try:
            async with asyncio.timeout(0.2):
                await manager.run_cpu_intensive(lane_tasks.sleep, 60)
        except TimeoutError:
            results.append(number)
        return results

    def with_a_loop(number):
        answers.append(asyncio.run(call(number)) == [number + i for i in range(100)] + [number])

    def without(number):
        answers.append(list(manager.cpu_executor.map(lane_tasks.add, [number] * 100, range(100))) == [number + i for i in range(100)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4) for work in (with_a_loop, without)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(answers == [True] * 8, manager.stats().cpu.cancelled)
    manager.shutdown()
    """
    assert run(tmp_path, program) == ("True 4\n", "", 0)


def test_second_run_after_calls_were_left_behind(tmp_path):
    """`asyncio.run` ends with calls under way: they are cancelled, their workers are gone, and the next run finds a whole lane."""
    program = """
    manager = ExecutorManager(cpu_workers=2, io_workers=1)
    async def first():
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep_in_c, 60)) for _ in range(2)]
        await workers(manager, 2)
        return manager.worker_pids()
    async def second():
        return await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, i) for i in range(10)])
    print(*asyncio.run(first()), flush=True)
    print(asyncio.run(second()) == list(range(10)), manager.stats().cpu.cancelled)
    manager.shutdown()
    """
    out, err, code = run(tmp_path, program)
    pids, answer = out.splitlines()

    assert (answer, err, code) == ("True 2", "", 0)
    wait_until_gone([int(pid) for pid in pids.split()], 0.5)


def test_blocking_on_the_loops_own_thread(tmp_path):
    """`.result()`, `map` and `wait` in the middle of a coroutine block it, and nothing hangs."""
    program = """
    async def main():
        manager = ExecutorManager(cpu_workers=2, io_workers=2)
        call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 0.2, "beside"))
        await asyncio.sleep(0.05)
        executor = manager.cpu_executor
        print(executor.submit(lane_tasks.add, 1).result(10), list(executor.map(lane_tasks.add, range(4))))
        print(len(concurrent.futures.wait([executor.submit(lane_tasks.add, i) for i in range(3)], timeout=10).done))
        print(await call, await asyncio.get_running_loop().run_in_executor(executor, lane_tasks.add, 7))
        manager.shutdown()
    asyncio.run(main())
    """
    assert run(tmp_path, program) == ("1 [0, 1, 2, 3]\n3\nbeside 7\n", "", 0)


def test_descriptors_are_gone_when_shutdown_returns(tmp_path):
    """Also those of the loop that the lane had to itself, which takes its time to close here."""
    program = """
    class Slow(asyncio.SelectorEventLoop):
        def close(self):
            time.sleep(0.3)
            super().close()
    asyncio.new_event_loop = Slow
    before = os.listdir("/proc/self/fd")
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    print(manager.cpu_executor.submit(lane_tasks.add, 1).result(10))
    manager.shutdown()
    print(os.listdir("/proc/self/fd") == before)
    """
    assert run(tmp_path, program) == ("1\nTrue\n", "", 0)


def test_nothing_stays_in_the_temporary_folder(tmp_path):
    """No file, socket or lock is left where others would have to clean up."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    program = f"""
    import tempfile
    tempfile.tempdir = os.environ["TMPDIR"] = {str(folder)!r}
    async def main():
        async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
            await manager.run_cpu_intensive(lane_tasks.return_dicts, 50000)
            print(os.listdir({str(folder)!r}))
    asyncio.run(main())
    """
    assert run(tmp_path, program) == ("[]\n", "", 0)
    assert not list(folder.iterdir())
