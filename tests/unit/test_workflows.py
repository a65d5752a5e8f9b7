"""The workflows that a code host runs, held against the project as it is; their form is checked by `make check`."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CLAIMED = re.findall(r"Programming Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def jobs(path: Path) -> dict[str, dict]:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))["jobs"]


@pytest.mark.parametrize(("workflow", "job"), [("ci.yml", "test")])
def test_every_python_that_is_claimed_is_tried(workflow, job):
    """What the classifiers say, the suite and the published wheel are run with, and no other."""
    matrix = jobs(ROOT / ".github" / "workflows" / workflow)[job]["strategy"]["matrix"]

    assert matrix["python"] == CLAIMED


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_that_a_workflow_calls_exist(path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = {
        name
        for job in jobs(path).values()
        for step in job["steps"]
        for name in [
            *re.findall(r"^\s*make ([\w-]+)", step.get("run", ""), re.MULTILINE),
            *job.get("strategy", {}).get("matrix", {}).get("target", []),
        ]
    }

    assert called
    assert called <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_job_may_write_to_the_repository(path):
    """A job has the rights that it names, at most to read the repository, and to sign with its own identity where it publishes."""
    rights = {(name, *right) for name, job in jobs(path).items() for right in job["permissions"].items()}
    signing = {("attest", "attestations", "write"), ("attest", "id-token", "write"), ("publish", "id-token", "write")}

    assert {right for right in rights if right[2] != "read"} == (signing if path.stem == "release" else set())
