"""The version stands in one file, and everything that shows it says the same."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import levelpool
from levelpool.service.app import create_app
from levelpool.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

RELEASE = re.compile(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def test_the_project_file_takes_the_version_from_the_source():
    """Nobody has to keep a second number in step."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert "version" not in project["project"]
    assert (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8").count(levelpool.__version__) == 1


def test_the_installed_package_has_that_version():
    assert metadata.version("levelpool") == levelpool.__version__


def test_the_command_prints_that_version():
    shown = subprocess.run([sys.executable, "-m", "levelpool", "--version"], capture_output=True, text=True, check=True)

    assert shown.stdout.split()[-1] == levelpool.__version__


def test_the_description_of_the_http_interface_has_that_version():
    assert create_app(Settings()).version == levelpool.__version__


def test_the_changelog_has_that_version_as_its_newest_release():
    """Releases stand newest first, each with its day."""
    releases = RELEASE.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))

    assert releases[0][0] == levelpool.__version__
    assert [day for _, day in releases] == sorted((day for _, day in releases), reverse=True)


def test_each_change_stands_once_in_the_changelog():
    """A merge that keeps both sides may bring lines back that a release has taken to its own part."""
    lines = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("- ")]

    assert not {line for line in lines if lines.count(line) > 1}


def test_no_page_speaks_of_another_version():
    spoken_of = {
        (page.name, version)
        for page in PAGES
        for version in re.findall(r"\blevelpool[ =-]+v?(\d+\.\d+\.\d+)", page.read_text(encoding="utf-8"))
    }

    assert spoken_of == {("index.md", levelpool.__version__)}
