"""In programs that are not asyncio's a lane says so, at once. `make test-hosts` tries the real gevent, eventlet and trio; here they only seem to be there."""

import sys
from types import SimpleNamespace

import pytest

from levelpool.executor import ExecutorManager


@pytest.fixture
def manager():
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    yield manager
    manager.shutdown()


@pytest.mark.parametrize(("module", "question"), [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")])
def test_patched_threads_are_refused(monkeypatch, manager, module, question):
    """No worker process could ever answer: a sentence names who has patched what, and threads go on."""
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{question: {"thread": True, "socket": True}.get}))

    with pytest.raises(RuntimeError, match=rf"{module.partition('.')[0]} has patched \(thread, socket\)"):
        manager.cpu_executor.submit(len, "abc")
    assert manager.io_executor.submit(len, "abc").result(10) == 3
    assert manager.stats().cpu.queued == 0


@pytest.mark.parametrize("module", ["gevent.monkey", "eventlet.patcher"])
def test_imported_and_unused_is_no_harm(monkeypatch, manager, module):
    """A library that only imports gevent or eventlet stops nothing."""
    nothing = SimpleNamespace(is_module_patched=lambda _: False, is_monkey_patched=lambda _: False)
    monkeypatch.setitem(sys.modules, module, nothing)

    assert manager.cpu_executor.submit(len, "abc").result(30) == 3


@pytest.mark.parametrize("lane", ["run_cpu_intensive", "run_io_intensive"])
def test_awaited_in_trio(monkeypatch, manager, lane):
    """The sentence names trio and the way that works there, and no call is left behind."""
    monkeypatch.setitem(sys.modules, "trio", SimpleNamespace(lowlevel=SimpleNamespace(current_trio_token=object)))

    with pytest.raises(RuntimeError, match=r"trio\.to_thread\.run_sync\(manager\.cpu_executor"):
        getattr(manager, lane)(len, "abc").send(None)

    assert manager.stats().cpu.submitted == manager.stats().io.submitted == 0


def test_awaited_without_any_loop(manager):
    """The sentence says what works without one."""
    with pytest.raises(RuntimeError, match=r"no event loop of asyncio runs here.*cpu_executor\.submit"):
        manager.run_cpu_intensive(len, "abc").send(None)
