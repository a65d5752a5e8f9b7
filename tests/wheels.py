"""The wheel of this tree, what its metadata asks for, and environments that hold that and nothing else."""

import compileall
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path("src/levelpool/service/static/vendor")
"""Where `make assets` puts what comes from npm; git does not know it."""


def copy_clone(folder: Path, *, with_scripts: bool) -> Path:
    """What a clone of this tree would hold, in *folder*, and the page's scripts too if wanted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.split("\0"):
        # What only tests read need not be copied: no wheel holds it.
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    if with_scripts:
        shutil.copytree(ROOT / SCRIPTS, folder / SCRIPTS)
    return folder


def make_wheel(clone: Path, dist: Path) -> "subprocess.CompletedProcess[str]":
    """What `make wheel` says in *clone*, with the packages of this environment; sdist and wheel are in *dist* then."""
    environment, scripts = Path(sys.prefix), SCRIPTS / ".built"
    # Neither the packages nor the scripts are to be fetched anew, whatever is older than what.
    kept = ("--assume-old", str(environment / ".installed"), "--assume-old", str(scripts))
    return subprocess.run(
        ["make", "wheel", f"VENV={environment}", f"DIST={dist}", *kept], cwd=clone, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel, unpacked."""

    path: Path
    unpacked: Path

    @classmethod
    def unpack(cls, path: Path, folder: Path) -> "Wheel":
        """Unpack the wheel at *path* into *folder*."""
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        # Once, and not by the first process of each environment.
        compileall.compile_dir(folder, quiet=1)
        return cls(path, folder)

    @property
    def distribution(self) -> Distribution:
        """What its metadata says."""
        (info,) = self.unpacked.glob("*.dist-info")
        return PathDistribution(info)

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras that its metadata names."""
        return tuple(self.distribution.metadata.get_all("Provides-Extra") or ())

    def requirements(self, extra: str = "") -> list[str]:
        """What it asks for with *extra* ("": without any), its own extras resolved, as lines for an installer."""
        return sorted({str(each) for each in _direct(self.distribution, {extra, ""})})

    def closure(self, extra: str = "") -> dict[str, Distribution]:
        """The installed distributions that an installer would bring for it with *extra*, by name."""
        return closure_of(self.distribution, extra)


def closure_of(ours: Distribution, extra: str = "") -> dict[str, Distribution]:
    """The installed distributions that an installer would bring for *ours* with *extra*, by name."""
    found: dict[str, Distribution] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    todo = list(_direct(ours, {extra, ""}))
    while todo:
        asked = todo.pop()
        key = (canonicalize_name(asked.name), frozenset(asked.extras))
        if key in done:
            continue
        done.add(key)
        try:
            found[key[0]] = distribution(asked.name)
        except PackageNotFoundError:
            raise AssertionError(f"{asked} is asked for with the extra {extra!r}, and is not among the pins") from None
        assert asked.specifier.contains(found[key[0]].version, prereleases=True), f"the pin of {asked.name} is not within {asked}"
        todo += _asked(found[key[0]], asked.extras | {""})
    return found


def _direct(ours: Distribution, extras: set[str], seen: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    """What *ours* asks for with *extras*; those of its own that they name are resolved."""
    for asked in _asked(ours, extras):
        if canonicalize_name(asked.name) == canonicalize_name(ours.metadata["Name"]):
            yield from _direct(ours, asked.extras - seen, seen | asked.extras)
        else:
            asked.marker = None
            yield asked


def _asked(of: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """The requirements of a distribution that hold here with *extras*."""
    for line in of.requires or ():
        asked = Requirement(line)
        if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
            yield asked


def modules_of(installed: Distribution) -> set[str]:
    """The names under which what it brings is imported."""
    return {file.parts[0].partition(".")[0] for file in installed.files or () if file.suffix in {".py", ".so"}}


def link_environment(wheel: Wheel, extra: str, folder: Path) -> Path:
    """The Python of a new environment in *folder* with *wheel* and what it asks for with *extra*: links to the files that are installed here."""
    python = empty_environment(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in wheel.unpacked.rglob("*"):
        if path.is_file():
            _link(path, site / path.relative_to(wheel.unpacked))
    for installed in wheel.closure(extra).values():
        for file in installed.files or ():
            if ".." not in file.parts:  # programs, which lie beside the packages
                _link(Path(str(installed.locate_file(file))), site / file)
    return python


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two distributions may say that a file of a shared folder is theirs.
    if source.exists() and not target.exists():
        target.symlink_to(source)


def empty_environment(folder: Path) -> Path:
    """The Python of a new environment in *folder* with nothing in it."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    return folder / "bin" / "python"


def install(what: str, python: Path, wheels: Path) -> None:
    """Let pip install *what* into the environment of *python*, from the files in *wheels* alone."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)),
            *("install", "--no-index", "--no-compile", "--find-links", str(wheels), what),
        ],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without what would bring packages or settings of ours into another."""
    foreign = ("LEVELPOOL_", "PYTHON", "VIRTUAL_ENV", "COV_", "COVERAGE_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)}, **settings}
