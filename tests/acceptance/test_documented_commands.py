"""
Every command that README, quickstart and the guides show, run as it stands there.

Commands of `levelpool` and `curl` are run here, page after page, against the service that `make run` starts: a new one needs no more than the
files and numbers that it speaks of (`desk`, `stands_for`). Any other stands in `RUN_BY` with the test that runs it, or in
`docs/reference/not-run.md` with the reason why nothing runs it here.
"""

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import httpx
import pytest

from levelpool.cli import cli
from levelpool.settings import Settings
from running import ADMIN_TOKEN, environment

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "docs" / "quickstart.md", *sorted((ROOT / "docs" / "howto").glob("*.md"))]
NOT_RUN_PAGE = ROOT / "docs" / "reference" / "not-run.md"

BLOCK = re.compile(r"^```(console|sh|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)

RUN_HERE = re.compile(r"(levelpool (?!serve|top)|curl )")

RUN_BY = {
    r"make run": "acceptance/test_documented_commands.py::service",
    r"levelpool serve": "acceptance/test_commands.py::test_first_start_shows_the_admin_token_once",
    r"levelpool serve --workers \d": "acceptance/test_commands.py::test_two_web_workers_share_the_port_and_load_a_file_once",
    r"uvicorn shop:app .*": "acceptance/test_resources_guide.py::test_several_web_workers_of_ones_own_service",
    r"dask (scheduler|worker) .*": "integration/test_dask.py::test_lane_and_service_come_back_with_the_scheduler",
    r"podman build .*": "container.py::build",
    r"podman run .*": "container.py::do_the_main_job",
    r"podman (logs|exec) .*": "container.py::do_the_main_job",
    r"podman update .*": "container.py::resize_in_place",
    r"podman stop .*": "container.py::drain",
    r"make wheel": "acceptance/test_extras.py::test_sdist_and_wheel_hold_the_scripts_of_the_page",
    r'pip install "\$\(ls dist/\*\.whl\)\[service\]"': "acceptance/test_extras.py::test_pip_installs_it_and_its_command_runs",
    r"make check": "acceptance/test_documented_commands.py::test_continuous_integration_runs_it",
    r"make test": "acceptance/test_documented_commands.py::test_continuous_integration_runs_it",
}
"""What a command looks like, and what runs it: with other addresses and numbers, since the documented ones are examples."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page, without its comment."""

    page: Path
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text}"


def commands(page: Path) -> list[Command]:
    """All commands of the page, in their order; what a block shows as output is left out."""
    found = []
    for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = block.replace("\\\n", " ").splitlines()
        if kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        texts = (" ".join(re.sub(r"(^|\s+)#\s.*", "", line).split()) for line in lines)
        found += [Command(page, text) for text in texts if text]
    return found


@cache
def not_run() -> dict[str, str]:
    """Command -> why nothing runs it here, from the page that says so to readers."""
    section = NOT_RUN_PAGE.read_text(encoding="utf-8").partition("## Commands")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE))


def run_by(command: Command) -> str | None:
    """The test that runs it somewhere else."""
    return next((test for pattern, test in RUN_BY.items() if re.fullmatch(pattern, command.text)), None)


def exported(command: Command) -> dict[str, str]:
    """The variables that it sets for the commands after it; none when it does something else."""
    first, *words = shlex.split(command.text)
    return dict(word.split("=", 1) for word in words if "=" in word) if first == "export" else {}


def runs_here(command: Command) -> bool:
    return command.text not in not_run() and not run_by(command) and RUN_HERE.match(command.text) is not None


ALL = [command for page in GUIDES for command in commands(page)]


def test_every_command_is_run_or_named_as_not_run():
    """A command that nobody tries is a promise that nobody keeps: name its test in RUN_BY, or its reason in docs/reference/not-run.md."""
    untried = [
        str(command) for command in ALL if not (runs_here(command) or run_by(command) or command.text in not_run() or exported(command))
    ]

    assert not untried


def test_no_command_is_excused_that_no_page_shows():
    """Lists of exceptions only shrink by themselves when somebody looks."""
    shown = {command.text for command in ALL}

    assert not not_run().keys() - shown
    assert not [pattern for pattern in RUN_BY if not any(re.fullmatch(pattern, text) for text in shown)]


@pytest.mark.parametrize("test", sorted(set(RUN_BY.values())))
def test_what_runs_a_command_elsewhere_is_there(test):
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))

    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_continuous_integration_runs_it():
    """`make test` and `make check` are what the workflow runs, on every change."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")

    assert {"make test", "make check"} <= set(re.findall(r"run: (make \w+)$", workflow, re.MULTILINE))


def test_command_in_a_sentence_is_one_that_there_is():
    """`levelpool ...` in the text of any page names a command, with options that it has."""
    pages = [*GUIDES, *sorted((ROOT / "docs").rglob("*.md"))]
    named = {text for page in pages for text in re.findall(r"`(levelpool [a-z][^`]*)`", page.read_text(encoding="utf-8"))}
    wrong = []
    for text in named:
        command: click.Command | None = cli
        for word in text.split()[1:]:
            if isinstance(command, click.Group):
                command = command.commands.get(word)
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} if command else set()
        if command is None or not set(re.findall(r"--[a-z-]+", text)) <= known | {"--help"}:
            wrong.append(text)

    assert len(named) > 20
    assert not wrong


def test_variables_that_the_guides_export_are_settings_with_values_that_are_taken():
    """`export NAME=value` in a guide is a variable that levelpool reads."""
    known = {each.name for each in Settings.variables()}
    for command in ALL:
        variables = exported(command)

        assert variables.keys() <= known, str(command)
        Settings.read({"LEVELPOOL_DASK_SCHEDULER": "tcp://127.0.0.1:8786", **variables})


# ---------------------------------------------------------------- the service that `make run` starts, and the files that the guides speak of


@dataclass(frozen=True, slots=True)
class Started:
    """What `make run` started."""

    url: str
    data: Path
    file_id: int  # a file that came in, with a title above its header


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """`make run`, the README's first command, with the sample inbox it writes; Ctrl-C ends it with status 0."""
    folder = tmp_path_factory.mktemp("run")
    log = folder / "log"
    # This Python and its packages are set up already: make may not look whether a pin has changed since.
    there = (f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.installed", "--old-file=src/levelpool/service/static/vendor/.built")
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["make", "--no-print-directory", "run", *there],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(folder / "var", LEVELPOOL_ADMIN_TOKEN=ADMIN_TOKEN),
        ) as process,
    ):
        try:
            yield _when_the_samples_are_in(process, log, folder / "var")
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(40)
    assert "sample files written to" in log.read_text()
    assert "Traceback" not in log.read_text()


def _when_the_samples_are_in(process: subprocess.Popen[bytes], log: Path, data: Path) -> Started:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        address = re.search(r"serves (http://\S+)", log.read_text())
        if address is None:
            time.sleep(0.1)
            continue
        with httpx.Client(base_url=address[1], headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20) as client:
            files = {each["name"]: each for each in client.get("/api/files", params={"limit": 100}).raise_for_status().json()["files"]}
        if len(files) >= 11 and all(each["status"] not in {"pending", "running"} for each in files.values()):
            return Started(address[1], data, files["Orders_2026-11-01.xlsx"]["id"])
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
def desk(tmp_path, service):
    """A folder with every file that a guide names."""
    samples = {
        "export.xlsx": "Inventory_2026-11.xlsx",
        "Orders.xlsx": "Orders_2026-11-02.xlsx",
        "orders.xlsx": "Orders_2026-11-02.xlsx",
        "exports/Retouren.csv": "Retouren 2026-11.csv",
    }
    for name, sample in samples.items():
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(service.data / "inbox" / sample, target)
    (tmp_path / "Orders.csv").write_bytes("订单\n\n\n订单号,数量\n000184,2\n000185,7\n".encode("gb18030"))
    return tmp_path


@pytest.mark.postgres
@pytest.mark.timeout(180)
def test_commands_of_the_guides_run(desk, service, postgres_url):
    """Page after page, in their order; the first that fails is shown with what it said."""
    stands_for = {
        "http://127.0.0.1:8000": service.url,
        "/files/7/": f"/files/{service.file_id}/",
        "token revoke 3": "token revoke 2",
        "postgresql://user@host/db": shlex.quote(postgres_url),
    }
    lines = "\n".join(command.text for command in ALL if runs_here(command))
    for documented, real in stands_for.items():
        assert documented in lines
        lines = lines.replace(documented, real)
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "command_runner.py"],
        cwd=desk,
        input=lines,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env={
            **environment(service.data, LEVELPOOL_URL=service.url, LEVELPOOL_TOKEN=ADMIN_TOKEN, TOKEN=ADMIN_TOKEN),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), f"{done.stdout}\n{done.stderr}"
