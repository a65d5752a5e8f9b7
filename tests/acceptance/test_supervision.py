"""Web workers and their supervisor as processes: who ends with whom, who is replaced, and what each signal does."""

import os
import signal
import time
from pathlib import Path

import pytest

from running import RunningService, run_levelpool

HANGS = """
import signal
# A call of C code that never gives the interpreter lock away.
signal.signal(signal.SIGUSR1, lambda *_: sum(range(10**15)))
"""

INTERRUPTS = """
import os, signal, sys
# As a terminal does at Ctrl-C; once, in the web worker that is started after the file has been made.
if "spawn_main" in " ".join(sys.orig_argv) and os.path.exists({now!r}):
    os.unlink({now!r})
    # What the supervisor says then would come first, now and again.
    signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
    os.killpg(os.getpgrp(), signal.SIGINT)
"""


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


def family(parent: int) -> dict[int, str]:
    """The processes below *parent* that live, with their command lines."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, above = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(above), []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    left = [parent]
    while left:
        for pid in children.get(left.pop(), []):
            left.append(pid)
            found[pid] = _command(pid)
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def lives(pid: int) -> bool:
    """Whether it is there and no zombie."""
    return _state(pid) not in ("", "Z")


def _state(pid: int) -> str:
    """`R`, `S`, `T`, ...; empty for one that is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def web_workers(service: RunningService) -> list[int]:
    return sorted(pid for pid, command in family(service.process.pid).items() if "spawn_main" in command)


def both(service: RunningService) -> list[int]:
    """The two web workers, as soon as both are there."""
    return wait_for(lambda: len(found := web_workers(service)) == 2 and found, 20, "two web workers start", service)


def serves(pid: int, port: int) -> bool:
    """Whether *pid* has begun to accept connections: its event loop watches the listening socket (proc_pid_fdinfo(5), `tfd`)."""
    listening = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if f":{port:04X} 00000000:0000 0A" in line}
    try:
        ours = {each.name for each in Path(f"/proc/{pid}/fd").iterdir() if str(each.readlink())[8:-1] in listening}
        watched = [
            line.split()[1] for each in Path(f"/proc/{pid}/fdinfo").iterdir() for line in each.read_text().splitlines() if "tfd:" in line
        ]
    except OSError:  # a descriptor that was closed meanwhile
        return False
    return not ours.isdisjoint(watched)


def of_lanes(service: RunningService) -> list[int]:
    """Fork servers, and the workers that are forked from them."""
    return [pid for pid, command in family(service.process.pid).items() if "forkserver" in command]


def wait_for(condition, seconds: float, what: str, service: RunningService):
    """What *condition* says as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} within {seconds:g} s: no\n{service.log.read_text()}")
        time.sleep(0.05)
    return found


@pytest.mark.timeout(180)
def test_nothing_is_left_when_the_supervisor_is_killed_and_the_service_starts_again(tmp_path, start):
    """Web workers, one of them in C code that holds the interpreter lock, fork servers and loading workers are gone 5 s after `kill -9`."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HANGS)
    service = start(tmp_path / "var", "--workers", "2", PYTHONPATH=str(site), LEVELPOOL_WORKER_IDLE_TIMEOUT="600")
    (service.inbox / "many.csv").write_text("Order No,Amount\n" + "".join(f"{number},{number}.5\n" for number in range(400_000)))
    wait_for(lambda: len(of_lanes(service)) >= 2, 20, "a file is loading", service)
    everybody = family(service.process.pid)
    os.kill(web_workers(service)[0], signal.SIGUSR1)

    service.process.kill()
    service.process.wait()
    wait_for(lambda: not any(map(lives, everybody)), 5, "the last process ends", service)
    log, port = service.log.read_text(), service.url.rpartition(":")[2]
    again = start(tmp_path / "var", LEVELPOOL_PORT=port)

    assert log.count("drains for at most") == 1
    assert again.client().get("/api/files").status_code == 200
    assert again.stop(signal.SIGTERM) == 0


def test_web_worker_that_is_killed_is_replaced_and_ctrl_c_ends_all(var, start):
    """The log names both; the signal of the terminal goes to the whole group: status 0, nobody is replaced then, no traceback."""
    service = start(var, "--workers", "2", prefix=("setsid",))
    victim, other = both(service)

    os.kill(victim, signal.SIGKILL)
    (new,) = wait_for(lambda: set(web_workers(service)) - {victim, other}, 20, "another one starts", service)
    log = wait_for(lambda: "takes its place" in (text := service.log.read_text()) and text, 5, "the log says it", service)
    os.killpg(service.process.pid, signal.SIGINT)
    status = service.process.wait(30)

    assert f"web worker {victim} died (exit code -9): web worker {new} takes its place" in log
    assert status == 0
    assert "Traceback" not in (log := service.log.read_text())
    assert log.count("takes its place") == 1


def test_ctrl_c_while_a_web_worker_starts_ends_all_without_a_traceback(tmp_path, start):
    """The terminal interrupts the whole group, and so an interpreter that has only just begun to import."""
    site, now = tmp_path / "site", tmp_path / "now"
    site.mkdir()
    (site / "sitecustomize.py").write_text(INTERRUPTS.format(now=str(now)))
    service = start(tmp_path / "var", "--workers", "2", prefix=("setsid",), PYTHONPATH=str(site))
    everybody = both(service)
    now.touch()

    os.kill(everybody[0], signal.SIGKILL)

    assert service.process.wait(30) == 0
    assert not now.exists()
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["SIGTERM twice", "Ctrl-C twice"]
)
def test_web_worker_that_hangs_does_not_hold_the_end_up(var, start, numbers):
    """After its time is up, or at a second Ctrl-C, it is killed; the other one has drained, and the service has ended well."""
    service = start(var, "--workers", "2", LEVELPOOL_SHUTDOWN_TIMEOUT="0")
    hanging, other = both(service)
    port = int(service.url.rpartition(":")[2])
    # One that is stopped while it starts may hold what the other waits for, and ends at once by the signal below if that comes first.
    wait_for(lambda: serves(hanging, port) and serves(other, port), 20, "both serve", service)
    os.kill(hanging, signal.SIGSTOP)
    wait_for(lambda: _state(hanging) == "T", 10, "it stops", service)

    service.process.send_signal(numbers[0])
    wait_for(lambda: not lives(other), 10, "the other one ends", service)
    status = service.stop(numbers[1])

    assert status == 0
    assert f"web worker {hanging} did not end and was killed" in service.log.read_text()
    assert not lives(hanging)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_closed_terminal_ends_the_service(var, start, workers):
    """SIGHUP to the whole group is like SIGTERM: status 0, nobody is replaced, nobody is left."""
    # Where the tests themselves run under nohup, the service would pass it over.
    service = start(var, "--workers", workers, prefix=("setsid", "env", "--default-signal=HUP"))
    everybody = family(service.process.pid)

    os.killpg(service.process.pid, signal.SIGHUP)

    assert service.process.wait(30) == 0
    wait_for(lambda: not any(map(lives, everybody)), 5, "all end", service)  # helpers of multiprocessing are the last
    assert "takes its place" not in service.log.read_text()


def test_service_under_nohup_serves_on_and_a_second_one_on_its_port_is_refused(var, start):
    """SIGHUP to the whole group ends nobody; the second service says which port is taken and what to do."""
    service = start(var, "--workers", "2", prefix=("setsid", "nohup"))
    before = both(service)
    port = service.url.rpartition(":")[2]

    os.killpg(service.process.pid, signal.SIGHUP)
    second = run_levelpool("serve", data_dir=var, LEVELPOOL_PORT=port)

    assert second.returncode == 2
    assert second.stderr.strip().endswith(
        f"port {port} of 127.0.0.1 is taken: stop what listens there, or set LEVELPOOL_PORT to another port (0 takes any free one)"
    )
    assert service.client().get("/livez").status_code == 200
    assert web_workers(service) == before
    assert service.stop(signal.SIGTERM) == 0


def test_two_services_on_one_data_folder_load_a_file_once(var, start):
    """Both watch the inbox; one of them claims the file, and both tell of it."""
    one, other = start(var), start(var)
    (one.inbox / "orders.csv").write_text("Order No,Amount\n000184,12.50\n000185,7.25\n")
    for service in (one, other):
        service.client().post("/api/sync").raise_for_status()

    def loaded():
        files = other.client().get("/api/files").json()["files"]
        return [each["status"] for each in files] == ["loaded"]

    wait_for(loaded, 20, "the file is loaded", one)

    assert one.client().get("/api/datasets/orders/rows").json()["total"] == 2
    assert (one.stop(), other.stop()) == (0, 0)
    assert "Traceback" not in one.log.read_text()
