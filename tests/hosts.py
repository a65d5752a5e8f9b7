"""
levelpool in other people's hosts, each for real: `make test-hosts`, `hosts.py NAME ...` tries some of them.

Servers answer a request whose calls ran in both lanes, and are stopped with SIGTERM; programs run to their end. In both cases no process may be left
and no traceback printed. What a host needs besides levelpool comes from requirements-hosts.txt, into an environment of its own. PID 1, a
read-only root and a missing /dev/shm are namespaces of Linux.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import TESTS, children, wait_until_gone

HOSTED = TESTS / "hosted"
ANSWERS_WITHIN = 60.0
ENDS_WITHIN = 30.0
_ROOT_OF_ITS_OWN = () if os.geteuid() == 0 else ("--user", "--map-root-user")


class HostError(AssertionError):
    """What did not hold in a host, with what it has printed."""


@dataclass(frozen=True)
class Trial:
    """One host: its interpreter, and a folder for whatever it writes."""

    python: str
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The host finds the programs of `hosted`, and nothing of this suite's run."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "LEVELPOOL"))}
        return inherited | {"PYTHONPATH": str(TESTS), "HOME": str(self.folder), "CPU_EXECUTOR_WORKERS": "1"} | more

    def run(self, *command: str, **more: str) -> str:
        """What a program prints that runs to its end."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(**more), capture_output=True, text=True, timeout=180, check=False
        )
        _check(f"{done.stdout}{done.stderr}", done.returncode == 0, f"exit code {done.returncode}")
        return done.stdout

    def program(self, *command: str, **more: str) -> None:
        """A program that prints where its calls ran, at its end."""
        _check_places(json.loads(self.run(*command, **more).strip().splitlines()[-1]))

    def module(self, name: str, *arguments: str) -> list[str]:
        """A command that is a module of the host's environment."""
        return [self.python, "-m", name, *arguments]

    @contextmanager
    def server(self, *command: str, port: int, gracefully: int = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
        """A server, from its first answer to its end."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment(), stdout=output, stderr=output)
        try:
            _wait_for_answer(process, port, log)
            yield process
            family = _family(process.pid)
            process.send_signal(gracefully)
            process.wait(ENDS_WITHIN)
            wait_until_gone(family, ENDS_WITHIN)
        finally:
            process.kill()
        _check(log.read_text(errors="replace"), True, "")


def _check(printed: str, holds: bool, complaint: str) -> None:
    if not holds or "Traceback" in printed:
        raise HostError(f"{complaint or 'a traceback'}:\n{printed[-4000:]}")


def _check_places(places: dict[str, int]) -> None:
    if places["cpu"] == places["server"] or places["io"] != places["server"]:
        raise HostError(f"the calls did not run where they should: {places}")


def _ask(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=ANSWERS_WITHIN) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            _check_places(_ask(port))
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if process.poll() is not None or time.monotonic() > ends:
                raise HostError(f"no answer ({error}):\n{log.read_text(errors='replace')[-4000:]}") from error
            time.sleep(0.1)
        else:
            return


def _family(pid: int) -> list[int]:
    """Everything below a process."""
    found = list(children(pid))
    for child in list(found):
        try:
            found += _family(child)
        except FileNotFoundError:
            continue
    return found


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------- servers


def uvicorn(trial: Trial) -> None:
    """`uvicorn app:app`."""
    port = free_port()
    with trial.server(*trial.module("uvicorn", "hosted.asgi:app", "--port", str(port)), port=port):
        _check_places(_ask(port))


def uvicorn_reload(trial: Trial) -> None:
    """`uvicorn --reload`: a changed file starts the app anew, and the workers of the old one go."""
    port = free_port()
    source = trial.folder / "reloaded.py"
    source.write_text("from hosted.asgi import app  # first\n")
    command = trial.module(
        "uvicorn", "reloaded:app", "--port", str(port), "--reload", "--reload-dir", str(trial.folder), "--app-dir", str(trial.folder)
    )
    with trial.server(*command, port=port):
        before = _ask(port)
        source.write_text("from hosted.asgi import app  # second\n")
        ends = time.monotonic() + ANSWERS_WITHIN
        while True:
            try:
                if _ask(port)["server"] != before["server"]:
                    break
            except (urllib.error.URLError, ConnectionError):
                pass
            if time.monotonic() > ends:
                raise HostError("the changed app was not loaded anew")
            time.sleep(0.1)
        wait_until_gone([before["server"], before["cpu"]], ENDS_WITHIN)


def uvicorn_workers(trial: Trial) -> None:
    """`uvicorn --workers 2`."""
    port = free_port()
    with trial.server(*trial.module("uvicorn", "hosted.asgi:app", "--port", str(port), "--workers", "2"), port=port):
        for _ in range(10):
            _check_places(_ask(port))


def gunicorn(trial: Trial) -> None:
    """gunicorn with uvicorn-worker and `max_requests`: workers of a server process that has had its share go with it."""
    port = free_port()
    options = ("-k", "uvicorn_worker.UvicornWorker", "-w", "2", "--max-requests", "3", "-b", f"127.0.0.1:{port}")
    with trial.server(*trial.module("gunicorn", "hosted.asgi:app", *options), port=port):
        first = _ask(port)
        seen = {first["server"]}
        ends = time.monotonic() + ANSWERS_WITHIN
        while len(seen) < 4:
            if time.monotonic() > ends:
                raise HostError(f"no server process was replaced: {seen}")
            seen.add(_ask_again(port)["server"])
        wait_until_gone([first["server"], first["cpu"]], ENDS_WITHIN)


def _ask_again(port: int) -> dict[str, int]:
    """While one server process is replaced, a connection may be closed."""
    ends = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            return _ask(port)
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


def granian(trial: Trial) -> None:
    """`granian --interface asgi`."""
    port = free_port()
    with trial.server(*trial.module("granian", "--interface", "asgi", "--port", str(port), "hosted.asgi:app"), port=port):
        _check_places(_ask(port))


def hypercorn(trial: Trial) -> None:
    """`hypercorn app:app`."""
    port = free_port()
    with trial.server(*trial.module("hypercorn", "hosted.asgi:app", "--bind", f"127.0.0.1:{port}"), port=port):
        _check_places(_ask(port))


def django(trial: Trial) -> None:
    """An async view of Django under uvicorn."""
    port = free_port()
    with trial.server(*trial.module("uvicorn", "hosted.django_asgi:app", "--port", str(port)), port=port):
        _check_places(_ask(port))


def flask(trial: Trial) -> None:
    """Flask's own server, a thread for each request, by the executors of both lanes."""
    port = free_port()
    with trial.server(*trial.module("hosted.flask_threads", str(port)), port=port, gracefully=signal.SIGINT):
        _check_places(_ask(port))


# ---------------------------------------------------------------- notebooks, prompts, test runners


def ipython(trial: Trial) -> None:
    """A file that is run at IPython's prompt, and `await` at the prompt itself."""
    prompt = trial.module("IPython", "--no-banner", "--colors=NoColor", "--simple-prompt")
    trial.program(*prompt, str(HOSTED / "program.py"))
    lines = (
        "import os, json; from levelpool import get_executor_manager; m = get_executor_manager()",
        "print(json.dumps({'server': os.getpid(), 'cpu': await m.run_cpu_intensive(os.getpid), 'io': await m.run_io_intensive(os.getpid)}))",
    )
    trial.program(*prompt, "-c", "\n".join(lines))


def jupyter(trial: Trial) -> None:
    """A notebook whose cells await calls."""
    program = """
import nbformat
from nbclient import NotebookClient
cell = '''import os
from levelpool import get_executor_manager
manager = get_executor_manager()
ran = (os.getpid(), await manager.run_cpu_intensive(os.getpid), await manager.run_io_intensive(os.getpid))
assert ran[0] != ran[1] and ran[0] == ran[2], ran
print("ran")'''
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
NotebookClient(book, kernel_name="python3", timeout=60).execute()
assert book.cells[0].outputs[0]["text"].strip() == "ran", book.cells[0].outputs
"""
    trial.run(*trial.module("ipykernel", "install", "--user", "--name", "python3"))
    trial.run(trial.python, "-c", program)


def xdist(trial: Trial) -> None:
    """pytest with xdist: its processes have workers of their own, and all go."""
    (trial.folder / "test_squares.py").write_text((HOSTED / "squares_suite.py").read_text())
    said = trial.run(*trial.module("pytest", "-q", "-p", "no:cacheprovider", "-n", "2", str(trial.folder)))
    if "20 passed" not in said:
        raise HostError(said)


# ---------------------------------------------------------------- programs


def python_m(trial: Trial) -> None:
    """`python -m package.module`."""
    trial.program(*trial.module("hosted.program"))


def zipapp(trial: Trial) -> None:
    """An archive that Python runs."""
    archive = trial.folder / "app.pyz"
    (trial.folder / "app").mkdir()
    (trial.folder / "app" / "__main__.py").write_text((HOSTED / "program.py").read_text())
    trial.run(*trial.module("zipapp", str(trial.folder / "app"), "-o", str(archive)))
    trial.program(trial.python, str(archive))


def frozen(trial: Trial) -> None:
    """A program frozen by PyInstaller, one folder."""
    trial.run(
        *trial.module(
            "PyInstaller", "--log-level", "ERROR", "--onedir", "--name", "frozen", "--distpath", "dist", str(HOSTED / "program.py")
        )
    )
    trial.program(str(trial.folder / "dist" / "frozen" / "frozen"))


def pid_1(trial: Trial) -> None:
    """The first process of a container, who has nobody to reap its children but itself."""
    trial.program("unshare", *_ROOT_OF_ITS_OWN, "--pid", "--fork", "--mount-proc", *trial.module("hosted.program"))


def read_only_root(trial: Trial) -> None:
    """Nothing but /tmp can be written, as in a container with `readOnlyRootFilesystem`."""
    steps = f"mount --make-rprivate / && mount -t tmpfs tmpfs /tmp && mount -o remount,bind,ro / && cd /tmp && exec {trial.python} -m hosted.program"
    trial.program("unshare", *_ROOT_OF_ITS_OWN, "--mount", "sh", "-c", steps, PYTHONDONTWRITEBYTECODE="1", HOME="/nowhere")


def no_shared_memory(trial: Trial) -> None:
    """There is no /dev/shm that could be written."""
    steps = f"mount --make-rprivate / && mount -t tmpfs -o ro tmpfs /dev/shm && exec {trial.python} -m hosted.program"
    trial.program("unshare", *_ROOT_OF_ITS_OWN, "--mount", "sh", "-c", steps)


# ---------------------------------------------------------------- where it says that it cannot


def gevent(trial: Trial) -> None:
    """A patched program: threads work, and worker processes say at once why not."""
    _refused(trial, "from gevent import monkey; monkey.patch_all()", "gevent")


def eventlet(trial: Trial) -> None:
    """The same of eventlet."""
    _refused(trial, "import eventlet; eventlet.monkey_patch()", "eventlet")


def _refused(trial: Trial, patch: str, name: str) -> None:
    program = f"""
{patch}
import os
from levelpool import ExecutorManager
manager = ExecutorManager(cpu_workers=1, io_workers=1)
print(manager.io_executor.submit(os.getpid).result(30) == os.getpid())
try:
    manager.cpu_executor.submit(os.getpid)
except RuntimeError as error:
    print(error)
manager.shutdown(0)
"""
    said = trial.run(trial.python, "-W", "ignore", "-c", program)
    if not said.startswith("True\n") or f"in a program that {name} has patched" not in said:
        raise HostError(said)


def trio(trial: Trial) -> None:
    """An executor in a thread of trio works, and what needs asyncio says so."""
    program = """
import os, trio
from levelpool import ExecutorManager
async def main():
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    print(await trio.to_thread.run_sync(manager.cpu_executor.submit(pow, 7, 2).result))
    try:
        await manager.run_cpu_intensive(os.getpid)
    except RuntimeError as error:
        print(error)
    await trio.to_thread.run_sync(manager.shutdown)
trio.run(main)
"""
    said = trial.run(trial.python, "-c", program)
    if not said.startswith("49\n") or "awaited in trio" not in said:
        raise HostError(said)


HOSTS: dict[str, Callable[[Trial], None]] = {
    "uvicorn": uvicorn,
    "uvicorn --reload": uvicorn_reload,
    "uvicorn --workers": uvicorn_workers,
    "gunicorn with uvicorn-worker, max_requests": gunicorn,
    "granian": granian,
    "hypercorn": hypercorn,
    "Django, ASGI": django,
    "Flask, threads": flask,
    "IPython": ipython,
    "Jupyter": jupyter,
    "pytest with xdist": xdist,
    "python -m": python_m,
    "zipapp": zipapp,
    "frozen by PyInstaller": frozen,
    "PID 1": pid_1,
    "read-only root": read_only_root,
    "no /dev/shm": no_shared_memory,
    "gevent": gevent,
    "eventlet": eventlet,
    "trio": trio,
}


def main(wanted: list[str]) -> int:
    """Try them; 1 when one did not hold."""
    unknown = set(wanted) - set(HOSTS)
    if unknown:
        print(f"no such host: {', '.join(sorted(unknown))}; there are {', '.join(HOSTS)}")
        return 2
    failed = []
    for name in wanted or HOSTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="levelpool-host-") as folder:
            try:
                HOSTS[name](Trial(sys.executable, Path(folder)))
            except (AssertionError, OSError, subprocess.SubprocessError, ValueError) as error:
                failed.append(name)
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
            else:
                print(f"{name}: holds ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{len(failed)} of {len(wanted or HOSTS)} did not hold{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
