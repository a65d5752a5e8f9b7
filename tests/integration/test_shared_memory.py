"""Shared memory between a program and its tasks: a worker that goes takes away nothing that it did not make, and nothing that others still need."""

from multiprocessing import shared_memory
from pathlib import Path

from processes import run

PROGRAM = """
import multiprocessing
from multiprocessing import shared_memory

def total(name, unlink=False):
    memory = shared_memory.SharedMemory(name=name)
    found = sum(memory.buf[:100])
    memory.close()
    if unlink:
        memory.unlink()
    return found

def make(value):
    memory = shared_memory.SharedMemory(create=True, size=100)
    memory.buf[:100] = bytes([value]) * 100
    memory.close()
    return memory.name

def in_a_process_of_its_own(name):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(total, (name,))

def first(name):
    words = shared_memory.ShareableList(name=name)
    found = words[0]
    words.shm.close()
    return found

if __name__ == "__main__":
    manager = ExecutorManager(cpu_workers=1, io_workers=1, worker_max_tasks=1)

    def call(*what):
        found = manager.cpu_executor.submit(*what).result(30)
        while manager.stats().cpu.workers:
            time.sleep(0.01)
        return found

    ours = shared_memory.SharedMemory(create=True, size=100)
    ours.buf[:100] = bytes([1]) * 100
    words = shared_memory.ShareableList(["one", "two"])
    print(call(total, ours.name), call(in_a_process_of_its_own, ours.name), call(total, ours.name), call(first, words.shm.name), call(first, words.shm.name))
    print(call(total, "OUTSIDE"))
    theirs = call(make, 2)
    print(call(total, theirs), total(theirs, unlink=True))
    print(call(total, ours.name, True))
    ours.close()
    words.shm.close()
    words.shm.unlink()
    print(call(make, 3))
    manager.shutdown()
"""


def test_segment_belongs_to_its_maker(tmp_path):
    """One that a task attached to stays until its maker removes it, be that this program or another; one that a task made stays until the program ends."""
    outside = shared_memory.SharedMemory(create=True, size=100)
    try:
        out, err, status = run(tmp_path, PROGRAM.replace("OUTSIDE", outside.name), seconds=60)
        *lines, left = out.splitlines()

        assert (lines, status) == (["100 100 100 one one", "0", "200 200", "100"], 0), err
        # Its tracker has nothing to complain of: that something was left goes unsaid where warnings are errors.
        assert err == ""
        assert not Path("/dev/shm", left).exists()
        assert Path("/dev/shm", outside.name).exists()
    finally:
        outside.close()
        outside.unlink()
