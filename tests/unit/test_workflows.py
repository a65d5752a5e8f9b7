"""The workflows that a code host runs, held against the project as it is; their form is checked by `make check`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import levelpool
from levelpool.settings import Settings

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CLAIMED = re.findall(r"Programming Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def jobs(path: Path) -> dict[str, dict]:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))["jobs"]


@pytest.mark.parametrize(("workflow", "job"), [("ci.yml", "test"), ("release.yml", "try")])
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


@pytest.mark.parametrize(("tag", "status"), [(f"v{levelpool.__version__}", 0), ("v9.9.9", 1), (levelpool.__version__, 1)])
def test_only_a_tag_with_the_version_of_the_source_is_built(tag, status):
    """The step of the workflow, run as it stands there: nothing is published under another number."""
    steps = jobs(ROOT / ".github" / "workflows" / "release.yml")["build"]["steps"]
    check = next(step["run"] for step in steps if "GITHUB_REF_NAME" in step.get("run", ""))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(["bash", "-ec", check], cwd=ROOT, check=False, env={"GITHUB_REF_NAME": tag, "PATH": path})

    assert done.returncode == status


def test_development_container_is_set_up_with_what_is_there():
    """Its Python is the oldest that is claimed, its commands are targets of the Makefile, its port is the service's."""
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    program, *targets = container["postCreateCommand"].split()
    dry = subprocess.run([program, "--dry-run", *targets], cwd=ROOT, capture_output=True, check=False)

    assert f":{CLAIMED[0]}-" in container["image"]
    assert dry.returncode == 0
    assert container["forwardPorts"] == [Settings().port]
