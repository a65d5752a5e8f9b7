"""What `make test-pythons` says, without running it; and that what is claimed is what it runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import machine
import pythons

ROOT = Path(__file__).parents[2]
THIS = "{}.{}".format(*sys.version_info)


def test_versions_are_those_of_the_classifiers_and_of_the_readme():
    """Nobody claims a Python that the runner leaves out."""
    last_line = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[-1]

    assert pythons.claimed()[0] == "3.11"
    assert re.findall(r"3\.\d+", last_line) == pythons.claimed()


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("1 failed, 3551 passed, 2 skipped, 4 deselected in 690.82s (0:11:30)", "3.15.2        3551       1               6     11.5"),
        ("2 failed, 10 passed, 3 errors in 9.31s", "3.15.2          10       5               0     11.5"),
        ("471 passed in 444.44s (0:07:24)", "3.15.2         471       0               0     11.5"),
    ],
)
def test_row_of_the_table_counts_what_pytest_says(line, row):
    """Errors are failures; what is skipped or deselected is not applicable."""
    assert pythons.Result("3.15.2", pythons.counts(line), 0, 11.52).row() == row


def test_run_that_broke_off_is_told_apart():
    """Figures that are not there are no zero failures."""
    row = pythons.Result("3.15.2", pythons.counts("Interrupted"), 2, 0.1).row()

    assert row.endswith("pytest ended with 2")


def test_version_that_cannot_be_had_is_named_in_one_line(capsys, monkeypatch):
    """It is left out, and fails nothing."""
    monkeypatch.setattr(pythons, "in_debian", lambda _: None)

    assert pythons.main(["3.99"]) == 0
    assert "left out on this machine: Python 3.99 (put it on PATH" in capsys.readouterr().out


def test_python_that_runs_the_tests_is_taken_first():
    """Whatever else is on PATH."""
    assert pythons.on_this_machine(THIS) == pythons.Interpreter(THIS, sys.executable)


def test_command_in_a_root_runs_below_it_and_mounts_for_itself_alone(tmp_path):
    """The mounts are made in a namespace that ends with the command."""
    command = pythons.Interpreter("3.15", "/usr/bin/python3.15", tmp_path).command("python3.15", "-V")

    assert command[:4] == ["unshare", "--mount", "--propagation", "private"]
    assert f"chroot {tmp_path} env -i " in command[-1]
    assert "cd /opt/levelpool/3.15/source && exec python3.15 -V" in command[-1]


def test_settings_of_pip_are_handed_in_with_the_files_that_they_name(tmp_path, monkeypatch):
    """A file of constraints, and the folder around a local index."""
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "constraints.txt").touch()
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{tmp_path}/index/simple")

    variables, paths = pythons.pip_settings()

    assert variables["PIP_CONSTRAINT"] == str(tmp_path / "constraints.txt")
    assert {tmp_path / "constraints.txt", tmp_path / "index"} <= set(paths)


def test_copy_of_the_sources_holds_what_git_would_take(tmp_path, monkeypatch):
    """A file that is not committed yet is tested too; one that is ignored is not."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name, text in ((".gitignore", "ignored\n.cache\n"), ("new.py", "1\n"), ("ignored", "2\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(pythons, "HERE", tmp_path)
    monkeypatch.setattr(pythons, "PLACE", tmp_path / ".cache" / "pythons")

    pythons.copy_sources(pythons.Interpreter("3.15", "python3.15"))

    copied = tmp_path / ".cache" / "pythons" / "3.15" / "source"
    assert sorted(path.name for path in copied.iterdir()) == [".git", ".gitignore", "new.py"]


def test_tool_for_one_python_is_not_asked_for_on_another():
    """CPython's own tests are those of one version; PostgreSQL comes from Debian where no wheel has it."""
    here = machine.Tool("package", "proof", "marker", pythons=THIS)
    later = machine.Tool("package", "proof", "marker", pythons=f"3.{sys.version_info.minor + 1}+")

    assert here.is_needed()
    assert not later.is_needed()
    assert machine.Tool("package", "proof", "marker", pythons=f"{THIS}+").is_needed()
