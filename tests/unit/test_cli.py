"""The command line, called in this process: what it prints, how it ends, and one sentence when it cannot."""

import json
import logging
import socket
import sys
from types import SimpleNamespace

import pytest

from levelpool.cli import main


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


@pytest.fixture
def run_levelpool(monkeypatch, capsys):
    """`levelpool ...`, with settings as keywords; the answer has returncode, stdout and stderr."""

    def run(*arguments, data_dir, **settings):
        for name, value in {"LEVELPOOL_DATA_DIR": str(data_dir), "LEVELPOOL_PORT": "0", **settings}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["levelpool", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        logging.captureWarnings(capture=False)
        shown = capsys.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=shown.out, stderr=shown.err)

    return run


def sentence(done) -> str:
    """The one line on stderr."""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("levelpool: ")
    return line


def test_port_that_is_taken_is_told(run_levelpool, var):
    """Status 2, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_levelpool("serve", data_dir=var, LEVELPOOL_PORT=str(port))

    assert done.returncode == 2
    assert f"port {port}" in sentence(done)
    assert "LEVELPOOL_PORT" in sentence(done)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"LEVELPOOL_INBOX": "/no/such/inbox"}, "/no/such/inbox does not exist"),
        ({"LEVELPOOL_INBOX": "/etc/hostname"}, "not a folder"),
        ({"LEVELPOOL_DATABASE_URL": "postgresql://user:secret@127.0.0.1:9/db"}, "127.0.0.1"),
        ({"LEVELPOOL_DATABASE_URL": "sqlite:////no/such/folder/x.sqlite"}, "/no/such/folder"),
        ({"LEVELPOOL_DATABASE_URL": "nonsense"}, "LEVELPOOL_DATABASE_URL is 'nonsense'"),
        ({"LEVELPOOL_PORT": "99999"}, "LEVELPOOL_PORT is '99999'"),
        ({"LEVELPOOL_ADMIN_TOKEN": "short"}, "LEVELPOOL_ADMIN_TOKEN is 5 characters long"),
        ({"CPU_EXECUTOR_WORKERS": "many"}, "CPU_EXECUTOR_WORKERS is 'many'"),
        ({"LEVELPOOL_HOST": "203.0.113.7"}, "203.0.113.7"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_what_keeps_the_service_from_starting_is_one_sentence(run_levelpool, var, settings, told):
    """Status 2, one line, no traceback, no password."""
    done = run_levelpool("serve", data_dir=var, **settings)

    assert done.returncode == 2
    assert told in sentence(done)
    assert "secret" not in done.stderr


def test_capacity_names_the_numbers_and_their_sources(run_levelpool, var):
    """For programs and for people."""
    shown = run_levelpool("capacity", data_dir=var, CPU_EXECUTOR_WORKERS="3")
    variables = {"BROKER": "redis://:letmein@mq", "MAPS_TOKEN": "letmein", "LEVELPOOL_WORKER_VARIABLES": "-LANG MAPS_*", "LANG": "C"}
    answer = json.loads(run_levelpool("capacity", "--json", data_dir=var, CPU_EXECUTOR_WORKERS="3", **variables).stdout)

    assert "worker processes 3  for the whole host  (set by CPU_EXECUTOR_WORKERS)" in shown.stdout
    assert "(min(floor(cpus * 5), 20), at least 2)" in shown.stdout
    assert answer["cpu_limits"][0] == {"value": answer["cpus"], "source": answer["cpu_source"]}
    assert answer["memory_limits"][0] == {"value": answer["memory"], "source": answer["memory_source"]}
    assert answer["cpu_workers"] == 3
    assert answer["cpus"] > 0
    assert answer["cpu_source"] in shown.stdout
    assert answer["memory_source"] in shown.stdout
    assert {"name": "BROKER", "reason": "its value has a URL with a password in it"} in answer["withheld_variables"]
    assert {"name": "LANG", "reason": "the rule -LANG"} in answer["withheld_variables"]
    assert "MAPS_TOKEN" not in [each["name"] for each in answer["withheld_variables"]]


def test_list_of_no_tokens_says_so(run_levelpool, var):
    """Nothing at all would leave open whether the command did anything."""
    done = run_levelpool("token", "list", data_dir=var)

    assert (done.returncode, done.stdout) == (0, "no tokens: 'levelpool token create' makes one\n")


def test_token_is_made_listed_and_revoked(run_levelpool, var):
    """It is shown once; what is listed is not the token."""
    made = json.loads(run_levelpool("token", "create", "--role", "operator", "--name", "ann", "--json", data_dir=var).stdout)
    listed = run_levelpool("token", "list", data_dir=var).stdout
    assert "ann" in listed
    assert made["token"] not in listed
    revoked = run_levelpool("token", "revoke", "1", data_dir=var)
    again = run_levelpool("token", "revoke", "1", data_dir=var)

    assert (revoked.returncode, again.returncode) == (0, 2)
    assert "no token 1 to revoke" in sentence(again)
    assert json.loads(run_levelpool("token", "list", "--json", data_dir=var).stdout)["tokens"][0]["state"] == "revoked"


def test_unexpected_error_is_one_sentence_too(run_levelpool, var, monkeypatch):
    """Even what nobody thought of ends without a traceback, and says how to see more."""
    monkeypatch.setattr("levelpool.capacity.detect.detect_capacity", lambda: 1 / 0)
    done = run_levelpool("capacity", data_dir=var)

    assert done.returncode == 2
    assert "ZeroDivisionError" in sentence(done)
