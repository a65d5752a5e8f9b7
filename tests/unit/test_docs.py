"""The documentation and the repository's own promises, held against the files as they are."""

import importlib
import json
import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TRACKED = [
    ROOT / name for name in subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
]

PAGES = [path for path in TRACKED if path.suffix == ".md"]
FACES = ["levelpool", "levelpool.sheets", "levelpool.monitoring", "levelpool.web", "levelpool.alerts"]
LINK = re.compile(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")
HOSTS = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|deb\.debian\.org|cdn\.jsdelivr|unpkg\.com|cdnjs")


def direct_dependencies() -> set[str]:
    """The names of all packages that pyproject.toml and package.json ask for."""
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    names = {re.split(r"[\[<>=; ]", line)[0] for group in groups for line in group} - {"levelpool"}
    return names | set(json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"])


@pytest.mark.parametrize("name", sorted(direct_dependencies()))
def test_each_dependency_has_its_reason(name):
    """A package nobody can give a reason for is not taken in."""
    text = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8")

    assert re.search(rf"^\|[^|]*(?<![\w-]){re.escape(name)}(?![\w-])[^|]*\|", text, re.MULTILINE)


def test_no_file_names_a_package_host():
    """Where packages come from is the installer's business: no registry or CDN stands in any file."""
    mine = Path(__file__)
    named = [
        str(path.relative_to(ROOT))
        for path in TRACKED
        if path.is_file() and path != mine and HOSTS.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]

    assert not named


@pytest.mark.parametrize(
    "pins", ["requirements.txt", "requirements-bench.txt", "requirements-node.txt", "requirements-openapi.txt", "requirements-release.txt"]
)
def test_every_pin_has_a_hash(pins):
    """Each package is pinned to one version and to the content of its files."""
    entries = (ROOT / pins).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()

    assert entries
    assert not [entry for entry in entries if entry.strip() and not re.match(r"[\w.-]+==\S+.*--hash=sha256:", entry)]


@pytest.mark.parametrize("more", ["requirements-bench.txt", "requirements-release.txt"])
def test_what_is_installed_for_more_changes_no_version_of_the_suite(more):
    """Whoever installs the peers of the benchmarks, or what a release needs, tests with the same versions as before."""
    suite, peers = [
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / pins).read_text(encoding="utf-8"), re.MULTILINE))
        for pins in ("requirements.txt", more)
    ]

    assert suite.keys() & peers.keys()
    assert not {name for name in suite.keys() & peers.keys() if suite[name] != peers[name]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    """A link to another page of the documentation finds that page."""
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]

    assert not [target for target in targets if not (page.parent / target).exists()]


def test_every_extra_is_named_where_it_is_told_how_to_install():
    """Nobody has to read pyproject.toml to find what can be installed."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Install it")[2].partition("\n## ")[0]

    assert PROJECT["project"]["optional-dependencies"].keys() <= set(re.findall(r"`(\w+)`", section))


def test_pictures_are_there_and_small():
    """Each is a file of the repository that a slow line loads within seconds; `make picture` makes the README's anew."""
    shown = {
        (page.parent / name).resolve() for page in PAGES for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }

    assert ROOT / "docs" / "page.webp" in shown
    assert shown <= set(TRACKED)
    assert all(picture.stat().st_size < 200_000 for picture in shown)


def test_list_of_pages_for_programs_has_every_page_with_its_subject():
    """llms.txt names each page of the site once, with what it is about, and no other."""
    hook = runpy.run_path(str(ROOT / "deploy" / "llms.py"))
    text = hook["index"](ROOT / "docs", "levelpool", "A summary.")
    listed = re.findall(r"^- \[([^\]]+)\]\(([^)]+)/\): (.+)$", text, re.MULTILINE)

    assert text.startswith("# levelpool\n\n> A summary.\n\n## Start here\n")
    assert sorted(address for _, address, _ in listed) == sorted(
        str(page.relative_to(ROOT / "docs").with_suffix("")).replace("index", ".") for page in PAGES if ROOT / "docs" in page.parents
    )
    assert "- [Threat model](explanation/threat-model/): Who may do what; A hostile file; A hostile user;" in text


@pytest.mark.parametrize("face", FACES)
def test_every_public_name_is_in_the_reference(face):
    """What a face offers stands on a page of the reference, or it is not public."""
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES if "docs/reference" in str(page))
    names = importlib.import_module(face).__all__

    assert names
    assert not [name for name in names if not re.search(rf"(?<!\w){name}(?!\w)", pages)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page):
    """`make something` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^\$ |`)(?:\w+=\S+ )?make ([a-z][a-z-]*)\b", page.read_text(encoding="utf-8"), re.MULTILINE))

    assert named <= targets
