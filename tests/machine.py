"""
What the tests need of the machine beside installed Python packages: the Debian packages of `tools.txt`, and wheels to install from.

As root on Debian the packages are installed; without root, and where the list says so, they are unpacked into `.cache/debian`. The wheels are downloaded once, so
that a test which really installs asks no index. What cannot be had: the tests that need it are left out, and one line says so.
`python tests/machine.py` does this; the tests ask `find`, `missing` and `WHEELS`.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from wheels import closure_of

AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Before a command: even as root, the rights of files hold for it."""

HERE = Path(__file__).resolve().parents[1]
UNPACKED = HERE / ".cache" / "debian"
WHEELS = HERE / ".cache" / "wheels"
"""The pinned wheels that levelpool with the extra `sheets` asks for."""
_WHEELS_ARE_OF = WHEELS / "pins"
ROOTS = (Path("/"), UNPACKED)


@dataclass(frozen=True, slots=True)
class Tool:
    """One line of tools.txt."""

    package: str
    proof: str  # a path below the root, there when the package is
    marker: str  # the tests that need it
    is_unpacked: bool = False  # never installed, whoever asks
    pythons: str = ""  # the only Python whose tests need it, 3.11, or the first one, 3.15+; empty for all

    def is_needed(self) -> bool:
        """Whether the tests need it on this Python."""
        if self.pythons.endswith("+"):
            return sys.version_info >= tuple(map(int, self.pythons[:-1].split(".")))
        return self.pythons in {"", "{}.{}".format(*sys.version_info)}


def tools() -> tuple[Tool, ...]:
    """The lines of tools.txt."""
    lines = (line.split() for line in (HERE / "tools.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    tools = []
    for package, proof, marker, *more in lines:
        pythons = next((word for word in more if word != "unpack"), "")
        tools.append(Tool(package, proof, marker, is_unpacked="unpack" in more, pythons=pythons))
    return tuple(tools)


def find(package: str) -> Path | None:
    """Where the proof of *package* lies, or None when the package is not there."""
    tool = next(tool for tool in tools() if tool.package == package)
    return next((root / tool.proof for root in ROOTS if (root / tool.proof).exists()), None)


def missing() -> dict[str, list[str]]:
    """Marker -> the packages that its tests would need and that are not there."""
    absent: dict[str, list[str]] = {}
    for tool in tools():
        if tool.is_needed() and find(tool.package) is None:
            absent.setdefault(tool.marker, []).append(tool.package)
    if not _has_wheels():
        absent["wheels"] = ["wheels from the package index"]
    return absent


def _has_wheels() -> bool:
    return _WHEELS_ARE_OF.exists() and _WHEELS_ARE_OF.read_text(encoding="utf-8").split() == _pins()


def _pins() -> list[str]:
    """The versions that are installed here, so that our pins are the constraints."""
    return [f"{name}=={installed.version}" for name, installed in sorted(closure_of(metadata.distribution("levelpool"), "sheets").items())]


def environment() -> dict[str, str]:
    """The environment for a program of these packages: this process's own, and where unpacked libraries and fonts lie."""
    if not UNPACKED.exists():
        return dict(os.environ)
    libraries = sorted({str(path.parent) for path in (UNPACKED / "usr" / "lib").rglob("*.so*")})
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "XDG_DATA_HOME": str(UNPACKED / "usr" / "share")}


def _install(packages: list[str]) -> None:
    run = subprocess.run
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    unpacked = {tool.package for tool in tools() if tool.is_unpacked}
    if os.geteuid() == 0:
        run(["apt-get", "update", "-qq"], check=True, env=environment, stdout=subprocess.DEVNULL)
        installed = [package for package in packages if package not in unpacked]
        if installed:
            run(
                ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *installed],
                check=True,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
        packages = [package for package in packages if package in unpacked]
        if not packages:
            return
    # What apt would install, downloaded and unpacked, its maintainer scripts not run.
    plan = run(["apt-get", "-s", "install", "--no-install-recommends", *packages], check=True, capture_output=True, text=True).stdout
    wanted = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    downloads = HERE / ".cache" / "deb"
    downloads.mkdir(parents=True, exist_ok=True)
    run(["apt-get", "download", "-qq", *wanted], check=True, cwd=downloads, stderr=subprocess.DEVNULL)
    for package in sorted(downloads.glob("*.deb")):
        run(["dpkg", "-x", str(package), str(UNPACKED)], check=True)


def _download_wheels() -> None:
    shutil.rmtree(WHEELS, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(WHEELS), *_pins()], check=True)
    _WHEELS_ARE_OF.write_text("\n".join(_pins()), encoding="utf-8")


def main() -> int:
    """Find or install what is missing; never fails: what cannot be had is said in one line."""
    if not _has_wheels():
        print("downloading the wheels of the tests that install", flush=True)
        try:
            _download_wheels()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"that did not work: {error}", flush=True)
    packages = [tool.package for tool in tools() if tool.is_needed() and find(tool.package) is None]
    if packages and sys.platform == "linux" and shutil.which("apt-get"):
        print(f"installing for the tests: {' '.join(packages)}", flush=True)
        try:
            _install(packages)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"that did not work: {error}", flush=True)
    absent = missing()
    if absent:
        left_out = "; ".join(f"{marker} tests (need {', '.join(names)})" for marker, names in absent.items())
        print(f"left out on this machine: {left_out}. Install these packages and run again.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
