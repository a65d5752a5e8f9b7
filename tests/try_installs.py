"""
The newest, or the oldest, versions that the bounds of `pyproject.toml` allow: `try_installs.py newest|oldest WHEEL [extra ...]`.

For the base and each extra of the wheel: uv resolves, a new environment gets the result, and `first_commands` runs there. Takes
minutes and the package index, so `make test` has no part in it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from first_commands import FIRST, Installed
from wheels import Wheel, empty_environment

RESOLUTION = {"newest": "highest", "oldest": "lowest-direct"}
UV = str(Path(sys.executable).with_name("uv"))


def main(arguments: list[str]) -> int:
    """Try all of them; 1 when one did not work."""
    which, path, *wanted = arguments
    folder = Path(tempfile.mkdtemp(prefix="levelpool-installs-"))
    wheel = Wheel.unpack(Path(path).resolve(), folder / "unpacked")
    failed = []
    try:
        if which == "newest":
            said = _try_as_a_tool(wheel, folder)
            print(f"uv tool install: {said or 'works'}", flush=True)
            failed += ["uv tool install"] if said else []
        for extra in wanted or ("", *wheel.extras):
            said = _try(wheel, extra, which, folder / (extra or "base"))
            print(f"{which} [{extra}]: {said or 'works'}", flush=True)
            failed += [extra] if said else []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{which}: {len(failed)} did not work{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed else 0


def _try_as_a_tool(wheel: Wheel, folder: Path) -> str:
    """As the README says it, into folders of our own; what went wrong, or nothing."""
    environment = {**os.environ, "UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "programs")}
    for command in ([UV, "tool", "install", "--quiet", f"{wheel.path}[service]"], [str(folder / "programs" / "levelpool"), "capacity"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return ""


def _try(wheel: Wheel, extra: str, which: str, folder: Path) -> str:
    """What went wrong, or nothing."""
    folder.mkdir()
    python = empty_environment(folder / "environment")
    asked, pins = folder / "asked.txt", folder / "pins.txt"
    # As lines of their own: for uv, what a wheel asks for is not asked for directly.
    asked.write_text("".join(f"{line}\n" for line in wheel.requirements(extra)))
    resolve = ("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:", "--python", str(python))
    steps = (
        (*resolve, "--resolution", RESOLUTION[which], str(asked), "--output-file", str(pins)),
        ("pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python), "--requirement", str(pins)),
        ("pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel.path)),
        ("pip", "check", "--quiet", "--python", str(python)),
    )
    for step in steps:
        done = subprocess.run([UV, *step], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"uv {' '.join(step[:2])} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    if which == "oldest" and (lies := _lying_bounds(asked, pins)):
        return f"a bound allows what does not exist, or what does not go with the others: {', '.join(lies)}"
    print(f"{which} [{extra}]: {' '.join(pins.read_text().split())}", flush=True)
    for first in FIRST.get(extra, ()):
        try:
            first(Installed(python, folder))
        except Exception as error:  # noqa: BLE001 - the others are tried too
            return f"{first.__name__}: {type(error).__name__}: {error}"
    return "" if extra in FIRST else "it has no first command: write one in tests/first_commands.py"


def _lying_bounds(asked: Path, pins: Path) -> list[str]:
    """The lower bounds whose version was not to be had."""
    had = {canonicalize_name(pin.name): pin for pin in map(Requirement, pins.read_text().splitlines())}
    found = []
    for each in map(Requirement, asked.read_text().splitlines()):
        (version,) = (specifier.version for specifier in had[canonicalize_name(each.name)].specifier)
        (bound,) = (specifier.version for specifier in each.specifier if specifier.operator == ">=")
        if Version(bound) != Version(version):
            found.append(f"{each} (uv took {version})")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
