"""
What levelpool is made of, with everything that `levelpool[all]` asks for and the page's scripts: `python deploy/parts.py licences|sbom`.

`licences` writes docs/reference/licences.md; `sbom` writes dist/levelpool.cdx.json, a bill of materials in CycloneDX. Both look at the
distributions that are installed beside the running Python, which `make` installs from the pins.
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "licences.md"
SBOM = ROOT / "dist" / "levelpool.cdx.json"
EVERYTHING = "levelpool[all]"

ALLOWED = {
    "0BSD": "asks for nothing",
    "Apache-2.0": "our own licence",
    "BSD-2-Clause": "permissive: its notice stays with its files",
    "BSD-3-Clause": "permissive: its notice stays with its files",
    "ISC": "permissive: its notice stays with its files",
    "LGPL-3.0-only": "weak copyleft, for a library: psycopg is installed as it is published, imported, and can be replaced by whoever runs levelpool; none of it is copied",
    "MIT": "permissive: its notice stays with its files",
    "MIT-0": "asks for nothing",
    "MPL-2.0": "weak copyleft, for its own files: certifi is installed as it is published, and none of it is changed or copied",
    "PSF-2.0": "permissive: the licence of Python itself",
}
"""A licence of a dependency, and why it may go with a program under Apache-2.0. Whatever is not here is refused."""

TOLD_BY_THEIR_FILES = {
    "aiosqlite": "MIT",
    "jinja2": "BSD-3-Clause",
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "olefile": "BSD-2-Clause",
    "partd": "BSD-3-Clause",
    "sortedcontainers": "Apache-2.0",
    "uvloop": "MIT OR Apache-2.0",
    "xlrd": "BSD-3-Clause",
    "zict": "BSD-3-Clause",
}
"""Packages whose metadata name no licence in SPDX's words; theirs is read from the licence file that they bring."""


@dataclass(frozen=True, slots=True)
class Part:
    """One dependency."""

    name: str
    version: str
    licence: str  # an SPDX expression
    source: str  # "PyPI" or "npm"


def python_parts() -> list[Part]:
    """Every distribution that EVERYTHING asks for on this machine, directly or through another one, without levelpool itself."""
    waiting, seen = [Requirement(EVERYTHING)], set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        asked = [Requirement(line) for line in metadata.requires(wanted.name) or ()]
        waiting += [
            each for each in asked if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in (*wanted.extras, ""))
        ]
    names = sorted({name for name, _ in seen} - {"levelpool"})
    return [Part(name, metadata.version(name), _licence(name), "PyPI") for name in names]


def page_parts() -> list[Part]:
    """The npm packages whose files the wheel holds."""
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return [
        Part(path.removeprefix("node_modules/"), package["version"], package["license"], "npm")
        for path, package in packages.items()
        if path
    ]


def choices(licence: str) -> set[str]:
    """The licences of an SPDX expression without brackets: of those joined by OR we may take any, of those joined by AND all hold."""
    return {name for either in licence.split(" OR ") for name in either.split(" AND ")}


def allowed(licence: str) -> bool:
    """Whether a package under that expression may go with ours."""
    return any(set(either.split(" AND ")) <= ALLOWED.keys() for either in licence.split(" OR "))


def _licence(name: str) -> str:
    if name in TOLD_BY_THEIR_FILES:
        return TOLD_BY_THEIR_FILES[name]
    about = metadata.metadata(name)
    return about.get("License-Expression") or about.get("License")


# ---------------------------------------------------------------- the page of licences


def licences_page() -> str:
    """docs/reference/licences.md as it should be."""
    parts = [*python_parts(), *page_parts()]
    used = sorted({licence for part in parts for licence in choices(part.licence)})
    return "\n".join([
        "# Licences",
        "",
        "levelpool is under the Apache License 2.0. It copies no code of others: the packages below are installed beside it, each as its makers publish it; of the two npm",
        "packages the page's scripts lie in the wheel, with their licences beside them. `make licences` writes this page, and a test holds it against what is installed.",
        "",
        "| package | licence | from |",
        "|---|---|---|",
        *(f"| {part.name} | {part.licence} | {part.source} |" for part in parts),
        "",
        "## Why each may go with ours",
        "",
        "A package under any other licence fails the tests.",
        "",
        "| licence | why |",
        "|---|---|",
        *(f"| {licence} | {ALLOWED[licence]} |" for licence in used),
        "",
        "Of `OR` we may choose one side; with `AND` both hold. Wheels of psycopg-binary, lxml, pyarrow and cryptography bring compiled libraries along, whose licences lie in those wheels.",
        "",
    ])  # fmt: skip


# ---------------------------------------------------------------- the bill of materials


def write_sbom() -> None:
    """Write SBOM, valid by CycloneDX's own schema; raises `ValueError` when it is not."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415  (only a release has it)
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    bill = _bill_of_python()
    components = {canonicalize_name(each["name"]): each for each in bill["components"]}
    levelpool = bill["metadata"]["component"]
    levelpool["version"] = metadata.version("levelpool")
    levelpool["purl"] = f"pkg:pypi/levelpool@{levelpool['version']}"
    for part in page_parts():
        reference = f"pkg:npm/{part.name}@{part.version}"
        bill["components"].append({
            "bom-ref": reference,
            "type": "library",
            "name": part.name,
            "version": part.version,
            "purl": reference,
            "scope": "required",
            "licenses": [{"license": {"id": part.licence}}],
        })  # fmt: skip
        bill["dependencies"].append({"ref": reference})
        _root_of(bill).setdefault("dependsOn", []).append(reference)
    licences = {part.name: part.licence for part in python_parts()}
    missing = licences.keys() - components.keys()
    if missing:
        raise ValueError(f"the bill of materials lacks {', '.join(sorted(missing))}")
    for name in TOLD_BY_THEIR_FILES.keys() & components.keys():
        components[name]["licenses"] = [{"expression": licences[name], "acknowledgement": "concluded"}]
    text = json.dumps(bill, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ValueError(f"the bill of materials is not valid CycloneDX 1.6: {fault}")
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(text, encoding="utf-8")


def _bill_of_python() -> dict:
    """What cyclonedx-py says of an environment that holds levelpool and what it asks for, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        packages = Path(sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder}))
        for name in ["levelpool", *(part.name for part in python_parts())]:
            about = Path(str(metadata.distribution(name).locate_file(""))) / _about_folder(name)
            (packages / about.name).symlink_to(about)
        program = [sys.executable, "-m", "cyclonedx_py", "environment", "--sv", "1.6", "--output-reproducible", "--mc-type", "application"]
        done = subprocess.run([*program, "--pyproject", str(ROOT / "pyproject.toml"), folder], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _about_folder(name: str) -> str:
    """The folder of a distribution's metadata, NAME-VERSION.dist-info."""
    files = metadata.files(name) or ()
    return next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))


def _root_of(bill: dict) -> dict:
    root = bill["metadata"]["component"]["bom-ref"]
    return next(each for each in bill["dependencies"] if each["ref"] == root)


def main(arguments: list[str]) -> int:
    """Write what is asked for."""
    match arguments:
        case ["licences"]:
            PAGE.write_text(licences_page(), encoding="utf-8")
            print(f"{PAGE.relative_to(ROOT)}: {len(python_parts())} packages from PyPI, {len(page_parts())} from npm")
        case ["sbom"]:
            write_sbom()
            print(f"{SBOM.relative_to(ROOT)}: valid CycloneDX 1.6")
        case _:
            print("usage: python deploy/parts.py licences|sbom", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
